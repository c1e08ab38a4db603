#include "wengert/data/input.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace wengert::data {
namespace {

constexpr std::size_t buffer_size = 1 << 16;

}  // namespace

struct Input::Unpacker {
  Unpacker() {
    constexpr int gzip_only = 16;
    if (inflateInit2(&z, MAX_WBITS + gzip_only) != Z_OK) throw std::bad_alloc();
  }
  ~Unpacker() { inflateEnd(&z); }
  Unpacker(const Unpacker&) = delete;

  z_stream z{};
  bool inside = true;  // a gzip file may consist of several streams
};

Input::Input(const detail::FileTask& task) : task_(task), buffer_(new unsigned char[buffer_size]) {
  file_.emplace(task);
  begin();
}

Input::Input(const detail::FileTask& task, std::span<const unsigned char> memory) : task_(task), ready_(memory) {
  begin();
}

Input::~Input() = default;

void Input::begin() {
  refill();
  if (ready_.size() >= 2 && ready_[0] == 0x1f && ready_[1] == 0x8b) unpacker_ = std::make_unique<Unpacker>();
}

bool Input::refill() {
  if (ready_.empty() && file_) {
    ready_ = {buffer_.get(), file_->read_some(position_, buffer_.get(), buffer_size)};
    position_ += ready_.size();
  }
  return !ready_.empty();
}

std::size_t Input::read(void* to, std::size_t n) {
  auto* bytes = static_cast<unsigned char*>(to);
  return unpacker_ ? unpack(bytes, n) : copy(bytes, n);
}

std::size_t Input::copy(unsigned char* to, std::size_t n) {
  std::size_t done = 0;
  while (done < n && refill()) {
    const auto part = std::min(n - done, ready_.size());
    std::memcpy(to + done, ready_.data(), part);
    ready_ = ready_.subspan(part), done += part;
  }
  return done;
}

std::size_t Input::unpack(unsigned char* to, std::size_t n) {
  auto& [z, inside] = *unpacker_;
  std::size_t done = 0;
  while (done < n) {
    if (!refill()) {
      if (inside) task_.fail("the gzip data is truncated");
      break;
    }
    if (!inside) {
      if (ready_[0] != 0x1f) task_.fail("bytes follow the end of the gzip data");
      inflateReset(&z), inside = true;
    }
    // zlib counts in 32 bits.
    const auto in = static_cast<uInt>(std::min<std::size_t>(ready_.size(), 1 << 30));
    const auto out = static_cast<uInt>(std::min<std::size_t>(n - done, 1 << 30));
    z.next_in = const_cast<unsigned char*>(ready_.data()), z.avail_in = in;
    z.next_out = to + done, z.avail_out = out;
    const int result = inflate(&z, Z_NO_FLUSH);
    ready_ = ready_.subspan(in - z.avail_in), done += out - z.avail_out;
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result == Z_STREAM_END) inside = false;
    else if (result != Z_OK && result != Z_BUF_ERROR)
      task_.fail("the gzip data is corrupt: {}", z.msg ? z.msg : "unknown form");
  }
  return done;
}

}  // namespace wengert::data
