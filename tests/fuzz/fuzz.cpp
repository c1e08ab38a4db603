// A libFuzzer program for all formats: the one that the variable WENGERT_FUZZ_FORMAT names. With WENGERT_FUZZ_SEEDS it
// first writes that format's seeds into the folder.
//
//   WENGERT_FUZZ_FORMAT=npy WENGERT_FUZZ_SEEDS=seeds build-fuzz/tests/fuzz/fuzz -runs=30000 seeds

#include "../files.h"
#include "formats.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

const fuzz::Format* format = nullptr;

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const std::string_view name = variable("WENGERT_FUZZ_FORMAT");
  for (auto& f : fuzz::formats())
    if (f.name == name) format = &f;
  if (!format) {
    std::fprintf(stderr, "WENGERT_FUZZ_FORMAT must be one of:");
    for (auto& f : fuzz::formats()) std::fprintf(stderr, " %s", std::string(f.name).c_str());
    std::fprintf(stderr, "\n");
    std::exit(2);
  }
  if (const std::string folder = variable("WENGERT_FUZZ_SEEDS"); !folder.empty()) {
    int i = 0;
    for (auto& seed : format->seeds()) write_bytes(folder + "/seed" + std::to_string(i++), seed);
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* bytes, std::size_t n, std::size_t most);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* bytes, std::size_t n, std::size_t most, unsigned seed) {
  n = LLVMFuzzerMutate(bytes, n, most);
  if (format->repair && seed % 8 != 0) format->repair({bytes, n});
  return n;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t n) {
  const MemoryFile file({reinterpret_cast<const char*>(bytes), n});
  format->read(file.path());
  return 0;
}
