#pragma once

// Internal: zip archives of named members, stored or deflated, as npz files are. PKWARE's APPNOTE 6.3.

#include "wengert/autodiff/base/file.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace wengert::detail {

/// Bytes one after the other, of which it is known how many are left.
class Bytes {
 public:
  virtual ~Bytes() = default;
  virtual std::uint64_t left() const = 0;
  /// Exactly n bytes, of those that are left.
  virtual void read(void* to, std::size_t n) = 0;
};

/// A whole file. It must outlive this.
class FileBytes final : public Bytes {
 public:
  explicit FileBytes(const File& file) : file_(file) {}
  std::uint64_t left() const override { return file_.size() - at_; }
  void read(void* to, std::size_t n) override { file_.read(at_, to, n), at_ += n; }

 private:
  const File& file_;
  std::uint64_t at_ = 0;
};

struct ZipEntry {
  std::string name;
  int method = 0;  // 0 stored, 8 deflated
  std::uint32_t crc = 0;
  std::uint64_t packed = 0, size = 0;  // bytes in the archive, and unpacked
  std::uint64_t header = 0;            // where the member begins
  std::uint64_t limit = 0;             // where members end: the directory begins
};

/// What the directory of an archive tells. All places and sizes lie inside the file, members have names of their own
/// and cannot overlap as a whole, and unpacked sizes are no larger than deflate can make them: 1032 times.
std::vector<ZipEntry> list_zip(const FileTask&, const File&);

/// One member, unpacked while it is read; with its last byte its checksum is compared. Task and file must outlive it.
class ZipMember final : public Bytes {
 public:
  ZipMember(const FileTask&, const File&, const ZipEntry&);
  ~ZipMember() override;
  std::uint64_t left() const override { return left_; }
  void read(void* to, std::size_t n) override;
  /// Fails unless all was read and the packed bytes end there too.
  void finish();

 private:
  struct Unpacker;
  void copy(unsigned char* to, std::size_t n);
  void unpack(unsigned char* to, std::size_t n);
  std::size_t inflate_some(unsigned char* to, std::size_t n);
  void refill();

  const FileTask& task_;
  const File& file_;
  const std::string name_;
  const std::uint32_t expected_crc_;
  std::uint32_t crc_ = 0;
  std::uint64_t left_ = 0;             // unpacked
  std::uint64_t at_ = 0, packed_ = 0;  // in the file; still to come
  std::unique_ptr<Unpacker> unpacker_;
};

/// An archive in the making; zip64 where sizes ask for it. Always the same bytes for the same members.
class ZipDraft {
 public:
  explicit ZipDraft(bool compress) : compress_(compress) {}
  /// The bytes must live until pieces() were written, unless the draft compresses.
  void add(const std::string& name, const std::vector<std::span<const std::byte>>& bytes);
  /// The whole archive. Call once, at the end.
  std::vector<std::span<const std::byte>> pieces();

 private:
  void keep(std::string bytes);

  const bool compress_;
  std::vector<ZipEntry> entries_;
  std::deque<std::string> kept_;
  std::vector<std::span<const std::byte>> pieces_;
  std::uint64_t size_ = 0;
};

}  // namespace wengert::detail
