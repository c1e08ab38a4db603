#include "formats.h"

#include "../data/gzip.h"
#include "../files.h"
#include "wengert/autodiff/files/npy.h"
#include "wengert/autodiff/files/state.h"
#include "wengert/autodiff/ops.h"
#include "wengert/data/data.h"
#include "wengert/data/images.h"

using namespace wengert;

namespace fuzz {
namespace {

// What a reader says of a broken file, and nothing else.
template <class F>
void may_refuse(F&& read) {
  try {
    read();
  } catch (const FileError&) {
  }
}

// The bytes that save(path) leaves in a file.
template <class F>
std::string written(F&& save) {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  save(path);
  return read_bytes(path);
}

std::vector<NamedTensor> tensors() {
  const Tensor x = reshape(arange(6, float32), {2, 3});
  return {{"hidden.weight", x},
          {"hidden.bias", full({2}, -0.5, float64)},
          {"mask", x > 2},
          {"count", full({}, 7, int64)},
          {"none", zeros({0, 3})}};
}

struct Affine {
  Param weight, bias;
};
struct Model {
  Affine hidden{zeros({2, 3}), zeros({2})};
};

// --- safetensors ----------------------------------------------------------------------------------------------------

std::vector<std::string> safetensors_seeds() {
  return {written([](auto& path) { save_tensors(path, tensors(), {{"epoch", "3"}, {"\u2207", "\"\\\n"}}); }),
          written([](auto& path) { save_tensors(path, {}); }), written([](auto& path) { save(path, Model()); })};
}
void read_safetensors(const std::string& path) {
  may_refuse([&] { load_tensors(path); });
  Model m;
  may_refuse([&] { load(path, m); });
  may_refuse([&] { load_state(path, m, {.strict = false, .convert = true}).text(); });
}

// --- npy and npz ----------------------------------------------------------------------------------------------------

// The header of another type and order in place of our own.
std::string npy_of(std::string_view header, std::string_view numbers, char version = 1) {
  std::string bytes("\x93NUMPY", 6);
  bytes += version, bytes += '\0', bytes += static_cast<char>(header.size()), bytes += '\0';
  if (version > 1) bytes += std::string(2, '\0');
  bytes += header;
  return bytes += numbers;
}
std::vector<std::string> npy_seeds() {
  std::vector<std::string> all;
  for (auto& t : tensors()) all.push_back(written([&](auto& path) { save_npy(path, t.tensor); }));
  all.push_back(npy_of("{'descr': '>f2', 'fortran_order': True, 'shape': (2, 3), }\n", "0123456789ab"));
  all.push_back(npy_of("{'descr': '<u8', 'fortran_order': False, 'shape': (2,), }\n",
                       std::string("01234567\0\0\0\0\0\0\0\1", 16), 2));
  all.push_back(npy_of("{'descr': '>i4', 'fortran_order': False, 'shape': (1L, 3L), }\n", "0123456789ab", 3));
  return all;
}
void read_npy(const std::string& path) {
  may_refuse([&] { load_npy(path); });
}

std::vector<std::string> npz_seeds() {
  return {written([](auto& path) { save_npz(path, tensors()); }),
          written([](auto& path) { save_npz(path, tensors(), {.compress = true}); }),
          written([](auto& path) { save_npz(path, {{"w", zeros({100, 5})}}, {.compress = true}); }),
          written([](auto& path) { save_npz(path, {}); })};
}
void read_npz(const std::string& path) {
  may_refuse([&] { load_npz(path); });
  Model m;
  may_refuse([&] { load_state(path, m, {.strict = false}); });
}

// --- idx, CSV, gzip -------------------------------------------------------------------------------------------------

std::vector<std::string> idx_seeds() {
  using namespace std::string_literals;
  return {"\0\0\x08\3\0\0\0\2\0\0\0\2\0\0\0\2"s + "01234567",
          "\0\0\x09\1\0\0\0\3"s + "abc",
          "\0\0\x0b\1\0\0\0\2"s + "abcd",
          "\0\0\x0c\2\0\0\0\1\0\0\0\2"s + "01234567",
          "\0\0\x0d\1\0\0\0\2"s + "01234567",
          "\0\0\x0e\1\0\0\0\1"s + "01234567"};
}
void read_idx(const std::string& path) {
  for (const DType dtype : {float32, float64, int64}) {
    try {
      may_refuse([&] { data::read_idx(path, dtype); });
    } catch (const TypeError&) {  // floats as int64
    }
  }
}

std::vector<std::string> csv_seeds() {
  return {"1,2.5,-3e-7\r\n+4,.5,6.\r\n\r\n", "a b\n1  2\n 3 4 \n",
          "\xEF\xBB\xBF"
          "1,nan\n-inf,0x1p3\n",
          "12345678901234567890123456789,1e308\n1e-400,1e999\n"};
}
void read_csv(const std::string& path) {
  may_refuse([&] { data::read_csv(path); });
  may_refuse(
      [&] { data::read_csv(path, {.header = true, .separator = ' ', .dtype = float64, .allow_nonfinite = true}); });
  may_refuse([&] { data::read_csv(path, {.dtype = int64}); });
}

std::vector<std::string> gzip_seeds() {
  std::vector<std::string> all;
  for (const auto& seeds : {idx_seeds(), csv_seeds()})
    for (const auto& seed : seeds) all.push_back(gzip(seed));
  all.push_back(gzip("1,2\n") + gzip("3,4\n"));
  return all;
}
void read_gzip(const std::string& path) {
  read_idx(path);
  read_csv(path);
}

// --- png ------------------------------------------------------------------------------------------------------------

std::vector<std::string> png_seeds() {
  std::vector<std::string> all;
  for (const std::int64_t channels : {1, 3, 4}) {
    const Tensor picture = reshape(arange(channels * 35, float32) * 0.01, {channels, 5, 7});
    all.push_back(written([&](const std::string& path) { data::write_png(path, picture); }));
  }
  return all;
}

// The checksum of each chunk: behind its length, its type and that many bytes.
void repair_png(std::span<unsigned char> bytes) {
  for (std::size_t at = 8; at + 12 <= bytes.size();) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < 4; ++i) n = n << 8 | bytes[at + i];
    if (n > bytes.size() - at - 12) return;
    const auto crc = crc32_z(0, &bytes[at + 4], n + 4);
    for (std::size_t i = 0; i < 4; ++i) bytes[at + 8 + n + i] = static_cast<unsigned char>(crc >> (24 - 8 * i));
    at += n + 12;
  }
}
void read_png(const std::string& path) {
  for (const int channels : {0, 1, 4}) may_refuse([&] { data::read_png(path, channels); });
}

constexpr Format all[] = {{"safetensors", safetensors_seeds, read_safetensors},
                          {"npy", npy_seeds, read_npy},
                          {"npz", npz_seeds, read_npz},
                          {"idx", idx_seeds, read_idx},
                          {"csv", csv_seeds, read_csv},
                          {"gzip", gzip_seeds, read_gzip},
                          {"png", png_seeds, read_png, repair_png}};

}  // namespace

std::span<const Format> formats() { return all; }

}  // namespace fuzz
