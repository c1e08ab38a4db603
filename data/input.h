#pragma once

// Internal: bytes of a file, decompressed if they are gzip.

#include "wengert/autodiff/base/file.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace wengert::data {

/// The bytes of a file or of memory, decompressed if they are gzip. The task must outlive the input.
class Input {
 public:
  explicit Input(const detail::FileTask&);
  Input(const detail::FileTask&, std::span<const unsigned char> memory);
  ~Input();

  /// Up to n bytes; fewer only at the end. A gzip checksum is compared by the call that returns fewer.
  std::size_t read(void* to, std::size_t n);

 private:
  struct Unpacker;
  void begin();
  bool refill();
  std::size_t copy(unsigned char* to, std::size_t n);
  std::size_t unpack(unsigned char* to, std::size_t n);

  const detail::FileTask& task_;
  std::optional<detail::File> file_;
  std::uint64_t position_ = 0;  // in the file
  std::unique_ptr<unsigned char[]> buffer_;
  std::span<const unsigned char> ready_;  // not processed yet
  std::unique_ptr<Unpacker> unpacker_;    // of gzip
};

}  // namespace wengert::data
