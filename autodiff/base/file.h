#pragma once

// Internal: files on disk, with errors that name them.

#include "wengert/autodiff/base/fail.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace wengert::detail {

/// What is done to which file, and for whom: every message begins with the first two.
struct FileTask {
  std::string_view who;
  std::string path;
  Where where;

  template <class... A>
  [[noreturn, gnu::cold, gnu::noinline]] void fail(fmt::format_string<A...> message, A&&... a) const {
    throw FileError(fmt::format("{}: {}: {}", who, path, fmt::format(message, std::forward<A>(a)...)), where);
  }
};

/// A regular file, open for reading. The task must outlive it.
class File {
 public:
  explicit File(const FileTask&);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::uint64_t size() const { return size_; }
  /// Up to n bytes from `at`; fewer only at the end of the file.
  std::size_t read_some(std::uint64_t at, void* to, std::size_t n) const;
  /// Exactly n bytes.
  void read(std::uint64_t at, void* to, std::size_t n) const;

 private:
  const FileTask& task_;
  int handle_;
  std::uint64_t size_ = 0;
};

/// Writes the pieces one after the other to a new file beside the path, and moves it there once it is on the disk.
/// Whatever goes wrong, the path holds either the old bytes or all of the new ones.
void write_atomically(const FileTask&, std::span<const std::span<const std::byte>> pieces);

/// A name from a file, in quotes, with control characters escaped, and cut when it is long: fit for a message.
std::string in_quotes(std::string_view);

}  // namespace wengert::detail
