#include "../files.h"
#include "gzip.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/data/data.h"

#include <doctest/doctest.h>

using namespace wengert;

namespace {

using Bytes = std::string;

Bytes operator""_b(const char* text, std::size_t n) { return {text, n}; }

Tensor idx(const Bytes& bytes, DType dtype = float32) {
  TemporaryFolder folder;
  write_bytes(folder / "x", bytes);
  return data::read_idx(folder / "x", dtype);
}

std::string complaint(const Bytes& bytes) {
  try {
    idx(bytes);
    return "accepted";
  } catch (const FileError& e) {
    return e.what();
  }
}

bool refused_or(const std::vector<float>& expected, const Bytes& bytes) {
  try {
    return idx(bytes).to_vector<float>() == expected;
  } catch (const FileError&) {
    return true;
  }
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const Bytes six = "\0\0\x08\2\0\0\0\2\0\0\0\3\1\2\3\4\5\xff"_b;  // bytes [2, 3]

}  // namespace

TEST_CASE("idx: bytes come in their shape, plain and packed") {
  for (const auto& bytes : {six, gzip(six)}) {
    CHECK(idx(bytes).shape() == Shape{2, 3});
    CHECK(idx(bytes).to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 255});
    CHECK(idx(bytes, int64).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2, 3, 4, 5, 255});
  }
  CHECK(idx("\0\0\x08\1\0\0\0\0"_b).shape() == Shape{0});
}

TEST_CASE("idx: every type is read, the first byte being the highest") {
  CHECK(idx("\0\0\x09\1\0\0\0\1\xff"_b, int64).item() == -1);
  CHECK(idx("\0\0\x0B\1\0\0\0\1\xff\xfe"_b, int64).item() == -2);
  CHECK(idx("\0\0\x0C\1\0\0\0\1\x80\0\0\1"_b, int64).item() == -2147483647);
  CHECK(idx("\0\0\x0D\1\0\0\0\1\x3f\xc0\0\0"_b).item() == 1.5);
  CHECK(idx("\0\0\x0E\1\0\0\0\1\x3f\xf8\0\0\0\0\0\0"_b, float64).item() == 1.5);
  CHECK_THROWS_WITH_AS(idx("\0\0\x0D\1\0\0\0\1\x3f\xc0\0\0"_b, int64), doctest::Contains("holds floats"), TypeError);
  CHECK_THROWS_AS(idx(six, boolean), TypeError);
}

TEST_CASE("idx: cut at any byte, or with a byte more, it is refused, plain and packed") {
  for (const auto& bytes : {six, gzip(six)}) {
    for (std::size_t n = 0; n < bytes.size(); ++n)
      CHECK_MESSAGE(complaint(bytes.substr(0, n)) != "accepted", "cut after ", n);
    CHECK(contains(complaint(bytes + "x"), "bytes follow"));
  }
  for (std::size_t n = 0; n < six.size(); ++n)
    CHECK_MESSAGE(complaint(gzip(six.substr(0, n))) != "accepted", "cut after ", n);
  CHECK(contains(complaint(gzip(six + "x")), "bytes follow the 6 that the shape [2, 3] takes"));
  CHECK(contains(complaint(six.substr(0, 15)), "truncated: the shape [2, 3] takes 6 bytes, found 3"));
}

TEST_CASE("idx: a changed byte of the header is refused or gives another value, and packed data is never believed") {
  for (std::size_t i = 0; i < six.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bytes = six;
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      complaint(bytes);  // throws nothing but FileError
    }
  const Bytes packed = gzip(six);
  for (std::size_t i = 0; i < packed.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bytes = packed;
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      CHECK(refused_or(idx(six).to_vector<float>(), bytes));
    }
}

TEST_CASE("idx: mistakes in the header are named") {
  CHECK(contains(complaint("\1\0\x08\1\0\0\0\0"_b), "begins with two zero bytes, found 0x01 0x00"));
  CHECK(contains(complaint("\0\0\x07\1\0\0\0\0"_b), "found 0x07"));
  CHECK(contains(complaint("\0\0\x08\0"_b), "expected 1 to 8 axes, found 0"));
  CHECK(contains(complaint("\0\0\x08\x09"_b + Bytes(36, '\0')), "expected 1 to 8 axes, found 9"));
}

TEST_CASE("idx: sizes from nowhere take no memory") {
  const auto before = memory_stats().reserved;
  CHECK(contains(complaint("\0\0\x08\2\xff\xff\xff\xff\x7f\xff\xff\xff"_b), "truncated"));
  CHECK(contains(complaint("\0\0\x08\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"_b),
                 "more elements than can be counted"));
  CHECK(contains(complaint("\0\0\x08\4\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"_b),
                 "more elements than can be counted"));
  CHECK(memory_stats().reserved == before);
}
