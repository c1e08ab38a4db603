#include "wengert/autodiff/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace wengert::detail {
namespace {

std::string system_says() { return std::strerror(errno); }

// Repeats a call that a signal interrupted.
template <class F>
auto insist(F&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Where the bytes go in the end: a symbolic link stays, and what it points to is replaced.
std::string destination(const FileTask& task) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(task.path.c_str(), nullptr), &std::free);
  if (!real) return task.path;
  struct stat s;
  if (stat(real.get(), &s) == 0 && !S_ISREG(s.st_mode))
    task.fail("cannot be written: there is something here that is no file");
  return real.get();
}

// A file that vanishes unless it is moved to its place.
class Draft {
 public:
  Draft(const FileTask& task, std::string place) : task_(task), place_(std::move(place)) {
    static std::atomic<unsigned> count{0};
    name_ = fmt::format("{}.{}-{}.part", place_, getpid(), count++);
    handle_ = insist([&] { return open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
    if (handle_ < 0) task_.fail("cannot be written: {}", system_says());
  }
  ~Draft() {
    if (handle_ >= 0) close(handle_);
    if (!name_.empty()) unlink(name_.c_str());
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto n = insist([&] { return ::write(handle_, bytes.data(), bytes.size()); });
      if (n < 0) task_.fail("could not be written: {}{}", system_says(), kept());
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }

  void move_into_place() {
    // The bytes first, then the name: after a power cut there must be no name without its bytes.
    if (insist([&] { return fsync(handle_); }) < 0) task_.fail("could not be written: {}{}", system_says(), kept());
    const int closed = close(std::exchange(handle_, -1));  // never repeated: on Linux the handle is gone in any case
    if (closed < 0 && errno != EINTR) task_.fail("could not be written: {}{}", system_says(), kept());
    if (rename(name_.c_str(), place_.c_str()) < 0)
      task_.fail("could not be put in its place: {}{}", system_says(), kept());
    name_.clear();
    sync_folder();
  }

 private:
  const char* kept() const { return access(place_.c_str(), F_OK) == 0 ? "; the old file is untouched" : ""; }

  // Makes the new name last. Not every file system can, and the file itself is whole; so nobody is told.
  void sync_folder() const {
    const auto slash = place_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : place_.substr(0, slash + 1);
    const int handle = insist([&] { return open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (handle < 0) return;
    insist([&] { return fsync(handle); });
    close(handle);
  }

  const FileTask& task_;
  std::string place_, name_;
  int handle_ = -1;
};

}  // namespace

File::File(const FileTask& task) : task_(task) {
  // O_NONBLOCK: a named pipe that nobody writes to must not keep us waiting.
  handle_ = insist([&] { return open(task.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (handle_ < 0) task_.fail("cannot be read: {}", system_says());
  struct stat s;
  if (fstat(handle_, &s) == 0 && S_ISREG(s.st_mode)) {
    size_ = static_cast<std::uint64_t>(s.st_size);
    return;
  }
  close(handle_);
  task_.fail("cannot be read: it is {}", S_ISDIR(s.st_mode) ? "a folder" : "no regular file");
}

File::~File() { close(handle_); }

std::size_t File::read_some(std::uint64_t at, void* to, std::size_t n) const {
  auto* next = static_cast<std::byte*>(to);
  std::size_t done = 0;
  while (done < n) {
    const auto got = insist([&] { return pread(handle_, next + done, n - done, static_cast<off_t>(at + done)); });
    if (got < 0) task_.fail("cannot be read: {}", system_says());
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void File::read(std::uint64_t at, void* to, std::size_t n) const {
  const auto got = read_some(at, to, n);
  if (got < n) task_.fail("ends after {} bytes, but {} were there when it was opened", at + got, size_);
}

void write_atomically(const FileTask& task, std::span<const std::span<const std::byte>> pieces) {
  Draft draft(task, destination(task));
  for (auto piece : pieces) draft.write(piece);
  draft.move_into_place();
}

std::string in_quotes(std::string_view name) {
  std::size_t cut = std::min<std::size_t>(name.size(), 80);
  while (cut < name.size() && cut > 0 && (name[cut] & 0xC0) == 0x80) --cut;  // not in the middle of a UTF-8 character
  std::string shown = "\"";
  for (const unsigned char c : name.substr(0, cut)) {
    if (c < 0x20 || c == 0x7f) shown += fmt::format("\\x{:02x}", c);
    else shown += static_cast<char>(c);
  }
  return shown + (cut < name.size() ? "...\"" : "\"");
}

}  // namespace wengert::detail
