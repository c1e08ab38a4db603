#include "wengert/autodiff/base/zip.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

// Members one after the other, each behind a header of its own; then the directory, which counts; then the end record.
// All little-endian, as are the machines we run on.
static_assert(std::endian::native == std::endian::little, "zip: swap the bytes on this machine");

namespace wengert::detail {
namespace {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u32 member_mark = 0x04034b50, directory_mark = 0x02014b50, end_mark = 0x06054b50, end64_mark = 0x06064b50,
              locator_mark = 0x07064b50;
constexpr std::size_t member_size = 30, directory_size = 46, end_size = 22, end64_size = 56, locator_size = 20;
constexpr u16 look_in_zip64_16 = 0xffff;
constexpr u32 look_in_zip64 = 0xffffffff;
constexpr int stored = 0, deflated = 8;
constexpr u64 best_ratio = 1032;  // of deflate
constexpr std::size_t part = 1 << 16;

template <class T>
T get(const char* from) {
  T x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

struct End {
  u64 count = 0, size = 0, begin = 0;  // of the directory
};

std::string read_text(const File& file, u64 at, std::size_t n) {
  std::string text(n, '\0');
  file.read(at, text.data(), n);
  return text;
}

End read_end64(const FileTask& task, const File& file, u64 end) {
  if (end < locator_size + end64_size) task.fail("the zip archive lacks its zip64 record");
  const std::string locator = read_text(file, end - locator_size, locator_size);
  const u64 at = get<u64>(&locator[8]);
  if (get<u32>(&locator[0]) != locator_mark || at > end - locator_size - end64_size)
    task.fail("the zip archive lacks its zip64 record");
  const std::string record = read_text(file, at, end64_size);
  if (get<u32>(&record[0]) != end64_mark) task.fail("the zip archive lacks its zip64 record");
  const End e{get<u64>(&record[32]), get<u64>(&record[40]), get<u64>(&record[48])};
  if (e.begin > at || e.size > at - e.begin) task.fail("the directory of the zip archive is not inside the file");
  return e;
}

// The end record is the last thing in the file but for a comment, whose length it tells.
End read_end(const FileTask& task, const File& file) {
  const auto n = static_cast<std::size_t>(std::min<u64>(file.size(), end_size + 0xffff));
  if (n < end_size) task.fail("{} bytes are too few for a zip archive", file.size());
  const std::string tail = read_text(file, file.size() - n, n);
  for (std::size_t i = n - end_size + 1; i-- > 0;) {
    const char* p = &tail[i];
    if (get<u32>(p) != end_mark || get<u16>(p + 20) != n - end_size - i) continue;
    const u64 end = file.size() - n + i;
    const End e{get<u16>(p + 10), get<u32>(p + 12), get<u32>(p + 16)};
    if (e.count == look_in_zip64_16 || e.size == look_in_zip64 || e.begin == look_in_zip64)
      return read_end64(task, file, end);
    if (e.begin > end || e.size > end - e.begin) task.fail("the directory of the zip archive is not inside the file");
    return e;
  }
  task.fail("no zip archive, or a truncated one: its end record is missing");
}

// Sizes that do not fit into 32 bits stand in an extra field, in this order.
void read_zip64(const FileTask& task, ZipEntry& e, std::string_view extra) {
  std::string_view wide;
  while (extra.size() >= 4) {
    const auto n = get<u16>(extra.data() + 2);
    if (n > extra.size() - 4) break;
    if (get<u16>(extra.data()) == 1) wide = extra.substr(4, n);
    extra.remove_prefix(4 + std::size_t{n});
  }
  for (u64* value : {&e.size, &e.packed, &e.header}) {
    if (*value != look_in_zip64) continue;
    if (wide.size() < 8) task.fail("member {}: its size of more than 32 bits is missing", in_quotes(e.name));
    *value = get<u64>(wide.data());
    wide.remove_prefix(8);
  }
}

void check_entry(const FileTask& task, const ZipEntry& e, int flags) {
  const std::string name = in_quotes(e.name);
  if (flags & 1) task.fail("member {} is encrypted", name);
  if (e.method != stored && e.method != deflated)
    task.fail("member {}: compression method {}; only stored and deflated members can be read", name, e.method);
  if (e.header > e.limit || e.packed > e.limit - e.header)
    task.fail("member {}: {} bytes from {} on are not inside the file", name, e.packed, e.header);
  const bool possible = e.method == stored ? e.size == e.packed : e.size / best_ratio <= e.packed;
  if (!possible) task.fail("member {}: {} bytes cannot unpack to {}", name, e.packed, e.size);
}

void check_names(const FileTask& task, const std::vector<ZipEntry>& entries) {
  std::vector<std::string_view> names;
  for (auto& e : entries) names.push_back(e.name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    task.fail("member {} appears twice", in_quotes(*twice));
}

template <class... T>
std::string packed(T... fields) {
  std::string bytes;
  (bytes.append(reinterpret_cast<const char*>(&fields), sizeof fields), ...);
  return bytes;
}

u16 clipped16(u64 n) { return static_cast<u16>(std::min<u64>(n, look_in_zip64_16)); }
u32 clipped(u64 n) { return static_cast<u32>(std::min<u64>(n, look_in_zip64)); }

u32 checksum(u32 crc, const void* bytes, std::size_t n) {
  return static_cast<u32>(crc32_z(crc, static_cast<const unsigned char*>(bytes), n));
}

std::string deflated_bytes(const std::vector<std::span<const std::byte>>& pieces) {
  z_stream z{};
  if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&z, &deflateEnd);
  std::string out;
  auto run = [&](std::span<const std::byte> in, int flush) {
    z.next_in = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(in.data()));
    z.avail_in = static_cast<uInt>(in.size());
    do {
      const auto old = out.size();
      out.resize(old + part);
      z.next_out = reinterpret_cast<unsigned char*>(out.data() + old), z.avail_out = static_cast<uInt>(part);
      deflate(&z, flush);
      out.resize(old + part - z.avail_out);
    } while (z.avail_out == 0);
  };
  constexpr std::size_t most = 1 << 30;  // zlib counts in 32 bits
  for (auto piece : pieces)
    for (; !piece.empty(); piece = piece.subspan(std::min(most, piece.size())))
      run(piece.first(std::min(most, piece.size())), Z_NO_FLUSH);
  run({}, Z_FINISH);
  return out;
}

}  // namespace

std::vector<ZipEntry> list_zip(const FileTask& task, const File& file) {
  const End end = read_end(task, file);
  if (end.count > end.size / directory_size)
    task.fail("the directory of the zip archive is too short for {} members", end.count);
  const std::string text = read_text(file, end.begin, static_cast<std::size_t>(end.size));
  std::vector<ZipEntry> entries(static_cast<std::size_t>(end.count));
  std::string_view rest = text;
  u64 total = 0;
  for (auto& e : entries) {
    if (rest.size() < directory_size || get<u32>(rest.data()) != directory_mark)
      task.fail("the directory of the zip archive is broken");
    const char* p = rest.data();
    const std::size_t name = get<u16>(p + 28), extra = get<u16>(p + 30), comment = get<u16>(p + 32);
    rest.remove_prefix(directory_size);
    if (name + extra + comment > rest.size()) task.fail("the directory of the zip archive is broken");
    e = {std::string(rest.substr(0, name)),
         get<u16>(p + 10),
         get<u32>(p + 16),
         get<u32>(p + 20),
         get<u32>(p + 24),
         get<u32>(p + 42),
         end.begin};
    read_zip64(task, e, rest.substr(name, extra));
    rest.remove_prefix(name + extra + comment);
    check_entry(task, e, get<u16>(p + 8));
    total += member_size + name + e.packed;  // each less than the file, of which there are few: no overflow
    if (total > end.begin) task.fail("members of the zip archive overlap");
  }
  if (!rest.empty()) task.fail("the directory of the zip archive holds more than its {} members", end.count);
  check_names(task, entries);
  return entries;
}

// --- one member -----------------------------------------------------------------------------------------------------

struct ZipMember::Unpacker {
  Unpacker() : buffer(new unsigned char[part]) {
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~Unpacker() { inflateEnd(&z); }
  Unpacker(const Unpacker&) = delete;

  z_stream z{};
  std::unique_ptr<unsigned char[]> buffer;
  bool ended = false, stuck = false;
};

ZipMember::ZipMember(const FileTask& task, const File& file, const ZipEntry& e)
    : task_(task), file_(file), name_(in_quotes(e.name)), expected_crc_(e.crc), left_(e.size), packed_(e.packed) {
  if (e.limit - e.header < member_size) task_.fail("member {} is broken", name_);
  const std::string header = read_text(file, e.header, member_size);
  const std::size_t name = get<u16>(&header[26]), extra = get<u16>(&header[28]);
  at_ = e.header + member_size + name + extra;
  if (get<u32>(&header[0]) != member_mark || name != e.name.size() || at_ > e.limit || e.packed > e.limit - at_ ||
      read_text(file, e.header + member_size, name) != e.name)
    task_.fail("member {}: the zip archive holds something else in its place", name_);
  if (e.method == deflated) unpacker_ = std::make_unique<Unpacker>();
}

ZipMember::~ZipMember() = default;

void ZipMember::read(void* to, std::size_t n) {
  auto* bytes = static_cast<unsigned char*>(to);
  if (unpacker_) unpack(bytes, n);
  else copy(bytes, n);
  crc_ = checksum(crc_, bytes, n);
  left_ -= n;
  if (left_ == 0 && crc_ != expected_crc_)
    task_.fail("member {} is damaged: its checksum is {:08x}, it should be {:08x}", name_, crc_, expected_crc_);
}

void ZipMember::copy(unsigned char* to, std::size_t n) {
  file_.read(at_, to, n);
  at_ += n, packed_ -= n;
}

void ZipMember::refill() {
  z_stream& z = unpacker_->z;
  if (z.avail_in > 0 || packed_ == 0) return;
  const auto n = static_cast<std::size_t>(std::min<u64>(packed_, part));
  file_.read(at_, unpacker_->buffer.get(), n);
  at_ += n, packed_ -= n;
  z.next_in = unpacker_->buffer.get(), z.avail_in = static_cast<uInt>(n);
}

// zlib may hold back output when all input is taken, so it is asked even then; it is stuck when nothing comes of it.
std::size_t ZipMember::inflate_some(unsigned char* to, std::size_t n) {
  z_stream& z = unpacker_->z;
  refill();
  const auto room = static_cast<uInt>(std::min<std::size_t>(n, 1 << 30));
  const auto in = z.avail_in;
  z.next_out = to, z.avail_out = room;
  const int result = inflate(&z, Z_NO_FLUSH);
  if (result == Z_MEM_ERROR) throw std::bad_alloc();
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
    task_.fail("member {}: the packed data is corrupt: {}", name_, z.msg ? z.msg : "unknown form");
  unpacker_->ended = result == Z_STREAM_END;
  unpacker_->stuck = !unpacker_->ended && z.avail_out == room && z.avail_in == in;
  return room - z.avail_out;
}

void ZipMember::unpack(unsigned char* to, std::size_t n) {
  for (std::size_t done = 0; done < n;) {
    if (unpacker_->ended || unpacker_->stuck)
      task_.fail("member {} ends early: {} bytes are missing", name_, left_ - done);
    done += inflate_some(to + done, n - done);
  }
}

void ZipMember::finish() {
  if (left_ > 0) task_.fail("member {}: {} bytes follow its end", name_, left_);
  if (crc_ != expected_crc_) task_.fail("member {} is damaged: its checksum does not match", name_);
  if (!unpacker_) return;
  // The end mark of the stream may not have been read yet.
  unsigned char more;
  while (!unpacker_->ended && !unpacker_->stuck)
    if (inflate_some(&more, 1) > 0) break;
  if (!unpacker_->ended || unpacker_->z.avail_in > 0 || packed_ > 0)
    task_.fail("member {}: the packed data does not end where its numbers do", name_);
}

// --- writing --------------------------------------------------------------------------------------------------------

void ZipDraft::keep(std::string bytes) {
  const std::string& kept = kept_.emplace_back(std::move(bytes));
  pieces_.push_back(std::as_bytes(std::span(kept)));
  size_ += kept.size();
}

namespace {

constexpr u16 utf8_names = 1 << 11;
constexpr u32 first_of_1980 = 0x00210000;  // always: the same members make the same bytes
u16 version_for(bool wide) { return wide ? 45 : 20; }

std::string member_header(const ZipEntry& e) {
  const bool wide = e.size >= look_in_zip64 || e.packed >= look_in_zip64;
  const std::string extra = wide ? packed(u16{1}, u16{16}, e.size, e.packed) : "";
  const u32 hidden = look_in_zip64;
  return packed(member_mark, version_for(wide), utf8_names, static_cast<u16>(e.method), first_of_1980, e.crc,
                wide ? hidden : clipped(e.packed), wide ? hidden : clipped(e.size), static_cast<u16>(e.name.size()),
                static_cast<u16>(extra.size())) +
         e.name + extra;
}

std::string directory_entry(const ZipEntry& e) {
  std::string wide;
  for (const u64 value : {e.size, e.packed, e.header})
    if (value >= look_in_zip64) wide += packed(value);
  if (!wide.empty()) wide = packed(u16{1}, static_cast<u16>(wide.size())) + wide;
  const u16 version = version_for(!wide.empty());
  return packed(directory_mark, version, version, utf8_names, static_cast<u16>(e.method), first_of_1980, e.crc,
                clipped(e.packed), clipped(e.size), static_cast<u16>(e.name.size()), static_cast<u16>(wide.size()),
                u16{0}, u16{0}, u16{0}, u32{0}, clipped(e.header)) +
         e.name + wide;
}

}  // namespace

void ZipDraft::add(const std::string& name, const std::vector<std::span<const std::byte>>& bytes) {
  ZipEntry e{name, compress_ ? deflated : stored, 0, 0, 0, size_, 0};
  for (auto piece : bytes) e.crc = checksum(e.crc, piece.data(), piece.size()), e.size += piece.size();
  std::string small = compress_ ? deflated_bytes(bytes) : std::string();
  e.packed = compress_ ? small.size() : e.size;
  keep(member_header(e));
  if (compress_) {
    keep(std::move(small));
  } else {
    pieces_.insert(pieces_.end(), bytes.begin(), bytes.end());
    size_ += e.size;
  }
  entries_.push_back(std::move(e));
}

std::vector<std::span<const std::byte>> ZipDraft::pieces() {
  const u64 begin = size_, count = entries_.size();
  std::string directory;
  for (auto& e : entries_) directory += directory_entry(e);
  const u64 length = directory.size();
  keep(std::move(directory));
  if (const u64 at = size_; count >= look_in_zip64_16 || length >= look_in_zip64 || begin >= look_in_zip64)
    keep(packed(end64_mark, u64{end64_size - 12}, u16{45}, u16{45}, u32{0}, u32{0}, count, count, length, begin) +
         packed(locator_mark, u32{0}, at, u32{1}));
  keep(packed(end_mark, u16{0}, u16{0}, clipped16(count), clipped16(count), clipped(length), clipped(begin), u16{0}));
  return std::move(pieces_);
}

}  // namespace wengert::detail
