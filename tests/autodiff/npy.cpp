#include "wengert/autodiff/files/npy.h"

#include "../files.h"
#include "../support.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/ops.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

using namespace wengert;
using test::contains;

namespace {

// Written by numpy 1.24: the independent side.
template <std::size_t n>
std::string bytes_of(const char (&text)[n]) {
  return {text, n - 1};
}
const std::string numpy_floats = bytes_of(
    "\223NUMPY\001\000v\000{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }                                 "
    "                         \012\000\000\200\077\000\000\000@\000\000@@\000\000\200@\000\000\240@\000\000\300@");
const std::string numpy_halves = bytes_of(
    "\223NUMPY\001\000v\000{'descr': '>f2', 'fortran_order': False, 'shape': (4,), }                                   "
    "                         \012>\000\300\000\000\001|\000");
const std::string numpy_fortran = bytes_of(
    "\223NUMPY\002\000t\000\000\000{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }                          "
    "                               "
    "\012\001\000\000\000\004\000\000\000\002\000\000\000\005\000\000\000\003\000\000\000\006\000\000\000");
const std::string numpy_too_large = bytes_of(
    "\223NUMPY\003\000t\000\000\000{'descr': '<u8', 'fortran_order': False, 'shape': (), }                             "
    "                               \012\000\000\000\000\000\000\000\200");
const std::string numpy_deflated = bytes_of(
    "PK\003\004\024\000\000\000\010\000\000\000!\000$\003\336XH\000\000\000\204\000\000\000\005\000\024\000w."
    "npy\001\000\020\000\204\000\000\000\000\000\000\000H\000\000\000\000\000\000\000\233\354\027\352\033\020\311\310P"
    "\306P\255\236\222Z\234\134\244n\245\240^Sj\250\256\243\240\236\226_TR\224\230\027\237_\224\222\012\022wK\314)N\005"
    "\212\027g$\026\244\002\371\032&:\232:\012\265\012\024\000.\006F&"
    "f\000PK\003\004\024\000\000\000\010\000\000\000!\000\356\031\273]"
    "F\000\000\000\202\000\000\000\011\000\024\000flags.npy\001\000\020\000\202\000\000\000\000\000\000\000F"
    "\000\000\000\000\000\000\000\233\354\027\352\033\020\311\310P\306P\255\236\222Z\234\134\244n\245\240^\223d\250\256"
    "\243\240\236\226_TR\224\230\027\237_\224\222\012\022wK\314)N\005\212\027g$\026\244\002\371\032F:\232:\012\265\012"
    "\024\000.F\006\000PK\001\002\024\003\024\000\000\000\010\000\000\000!\000$"
    "\003\336XH\000\000\000\204\000\000\000\005\000\000\000\000\000\000\000\000\000\000\000\200\001\000\000\000\000w."
    "npyPK\001\002\024\003\024\000\000\000\010\000\000\000!\000\356\031\273]"
    "F\000\000\000\202\000\000\000\011\000\000\000\000\000\000\000\000\000\000\000\200\001\177\000\000\000flags.npyPK"
    "\005\006\000\000\000\000\002\000\002\000j\000\000\000\000\001\000\000\000\000");

Tensor npy(const std::string& bytes) { return load_npy(MemoryFile(bytes).path()); }
TensorFile npz(const std::string& bytes) { return load_npz(MemoryFile(bytes).path()); }
std::string complaint(const std::string& bytes) {
  try {
    if (bytes.starts_with("PK")) npz(bytes);
    else npy(bytes);
    return "";
  } catch (const FileError& e) {
    return e.what();
  }
}

// An npy file with any header over any numbers.
std::string npy_of(const std::string& header, const std::string& numbers = "") {
  return bytes_of("\223NUMPY\001\000") + static_cast<char>(header.size() & 255) +
         static_cast<char>(header.size() >> 8) + header + numbers;
}
std::string header(const std::string& type, const std::string& shape, const std::string& fortran = "False") {
  std::string text = "{'descr': '";
  text += type, text += "', 'fortran_order': ", text += fortran, text += ", 'shape': ", text += shape;
  return text += ", }";
}

template <class T>
std::string as_bytes(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

template <class T>
void check_same(const Tensor& a, const Tensor& b) {
  REQUIRE(a.dtype() == b.dtype());
  REQUIRE(a.shape() == b.shape());
  const auto x = contiguous(a), y = contiguous(b);
  if (a.numel() > 0) CHECK(std::memcmp(x.read<T>().data(), y.read<T>().data(), x.read<T>().size() * sizeof(T)) == 0);
}

std::vector<NamedTensor> assorted() {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor numbers = reshape(arange(6, float64), {2, 3});
  return {{"w", from(std::vector<float>{1.5f, -0.f, inf, -nan, std::numeric_limits<float>::denorm_min(), 0}, {3, 2})},
          {"hidden.bias", transpose(numbers)},
          {"flags", numbers > 2},
          {"count", full({}, -5, int64)},
          {"none", zeros({3, 0, 2})},
          {"späte/Namen", full({1, 1, 1, 1, 1, 1, 1, 3}, 0.1, float64)}};
}

void check_assorted(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i].name == b[i].name);
  check_same<float>(a[0].tensor, b[0].tensor);
  check_same<double>(a[1].tensor, b[1].tensor);
  check_same<bool>(a[2].tensor, b[2].tensor);
  check_same<std::int64_t>(a[3].tensor, b[3].tensor);
  check_same<float>(a[4].tensor, b[4].tensor);
  check_same<double>(a[5].tensor, b[5].tensor);
}

std::string saved_npz(const std::vector<NamedTensor>& tensors, bool compress) {
  TemporaryFolder folder;
  save_npz(folder / "x", tensors, {.compress = compress});
  CHECK(folder.entries() == 1);
  return read_bytes(folder / "x");
}

void replace(std::string& bytes, const std::string& old, const std::string& now) {
  const auto at = bytes.rfind(old);
  REQUIRE(at != bytes.npos);
  bytes.replace(at, old.size(), now);
}

}  // namespace

TEST_CASE("npy: what numpy wrote is read, and written again byte by byte") {
  const Tensor x = npy(numpy_floats);
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  TemporaryFolder folder;
  save_npy(folder / "x", x);
  CHECK(read_bytes(folder / "x") == numpy_floats);
}

TEST_CASE("npy: every dtype, odd shapes, views and NaN come back bit by bit") {
  TemporaryFolder folder;
  std::vector<NamedTensor> back;
  for (auto& [name, t] : assorted()) {
    save_npy(folder / "x", t);
    CHECK(read_bytes(folder / "x").find('\n') % 64 == 63);  // numbers are aligned
    back.push_back({name, load_npy(folder / "x")});
  }
  check_assorted(back, assorted());
}

TEST_CASE("npy: Fortran order and version 2 give the same array") {
  const Tensor x = npy(numpy_fortran);
  CHECK(x.dtype() == int64);
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("npy: types that we lack become the one that holds their values") {
  const Tensor halves = npy(numpy_halves);
  CHECK(halves.dtype() == float32);
  CHECK(halves.to_vector<float>() == std::vector<float>{1.5f, -2, 0x1p-24f, std::numeric_limits<float>::infinity()});
  auto integers = [](const std::string& type, const std::string& numbers) {
    return npy(npy_of(header(type, "(2,)"), numbers)).to_vector<std::int64_t>();
  };
  using Two = std::vector<std::int64_t>;
  CHECK(integers("|u1", as_bytes<std::uint8_t>({3, 255})) == Two{3, 255});
  CHECK(integers("|i1", as_bytes<std::int8_t>({3, -1})) == Two{3, -1});
  CHECK(integers("<u2", as_bytes<std::uint16_t>({3, 65535})) == Two{3, 65535});
  CHECK(integers("<i2", as_bytes<std::int16_t>({3, -2})) == Two{3, -2});
  CHECK(integers(">u4", bytes_of("\0\0\0\3\377\377\377\377")) == Two{3, 4294967295});
  CHECK(integers("<i4", as_bytes<std::int32_t>({3, -2})) == Two{3, -2});
  CHECK(integers("<u8", as_bytes<std::uint64_t>({3, 1})) == Two{3, 1});
  CHECK(integers(">i8", bytes_of("\0\0\0\0\0\0\0\3\377\377\377\377\377\377\377\376")) == Two{3, -2});
  CHECK(npy(npy_of(header(">f8", "()"), bytes_of("\077\370\0\0\0\0\0\0"))).item() == 1.5);
  CHECK(npy(npy_of(header(">f4", "()"), bytes_of("\300\000\0\0"))).item() == -2);
}

TEST_CASE("npy: float16 has all its values, subnormals, infinities and NaN among them") {
  std::string numbers;
  for (int i = 0; i < 65536; ++i) numbers += static_cast<char>(i & 255), numbers += static_cast<char>(i >> 8);
  const auto all = npy(npy_of(header("<f2", "(65536,)"), numbers)).to_vector<float>();
  for (int i = 0; i < 65536; ++i) {
    const double sign = i >> 15 ? -1 : 1, mantissa = i & 1023;
    const int exponent = i >> 10 & 31;
    const float got = all[static_cast<std::size_t>(i)];
    if (exponent == 31 && mantissa != 0) {
      CHECK(std::isnan(got));
    } else {
      const double size = exponent == 31  ? std::numeric_limits<double>::infinity()
                          : exponent == 0 ? mantissa / 1024 * std::exp2(-14)
                                          : (1 + mantissa / 1024) * std::exp2(exponent - 15);
      if (got != sign * size || std::signbit(got) != (sign < 0)) FAIL_CHECK("float16 number ", i, " became ", got);
    }
  }
}

TEST_CASE("npy: what cannot be read is refused with a sentence") {
  auto of_type = [](const std::string& type) { return complaint(npy_of(header(type, "()"), "12345678")); };
  CHECK(of_type("<i8") == "");
  for (const std::string type : {"<c8", "|O", "<U2", "|S8", "<M8[ns]", "<f16", "<i3", "", "f", "<f8 "})
    CHECK(contains(of_type(type), "the type \"" + type + "\" cannot be read; convert it to float32"));
  CHECK(contains(complaint(npy_of("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,), }", "1234")),
                 "arrays of records"));
  CHECK(contains(complaint(numpy_too_large), "element 0 is 9223372036854775808, too large for an int64"));
  CHECK(contains(complaint(npy_of(header("|b1", "(2,)"), "\1\2")), "element 1 is 2, but a bool is 0 or 1"));
  std::string version = numpy_floats;
  version[6] = 4;
  CHECK(contains(complaint(version), "format version 4.0; versions 1 to 3 are known"));
}

TEST_CASE("npy: headers of any other form are refused") {
  auto refused = [](const std::string& text) { return complaint(npy_of(text, "1234")); };
  CHECK(refused("{\"shape\":(1,),'fortran_order':False,'descr':'<f4'}") == "");
  CHECK(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }") == "");
  CHECK(refused(header("<f4", "(1, 1)")) == "");
  for (const std::string text :
       {"", "{", "{}", "x", "{'descr': '<f4', 'fortran_order': False}", "{'descr': '<f4', 'descr': '<f4'}"})
    CHECK(contains(refused(text), "the header is not what numpy writes"));
  for (const std::string shape : {"1", "(1", "[1]", "(-1,)", "(1.0,)", "(,)", "(1 1)", "(99999999999999999999,)"})
    CHECK(contains(refused(header("<f4", shape)), "the header is not what numpy writes"));
  CHECK(contains(refused(header("<f4", "(1,)", "false")), "the header is not what numpy writes, at \"false, 'shape'"));
  CHECK(contains(refused(header("<f4", "(1,)") + "}"), "the header is not what numpy writes, at \"}\""));
  CHECK(contains(refused("{'x': 1}"), "unknown entry \"x\""));
  CHECK(contains(refused(header("<f4", "(1,1,1,1,1,1,1,1,1)")), "more than 8 axes"));
}

TEST_CASE("npy: shapes are checked against the bytes that are there before anything is allocated") {
  const auto before = memory_stats().reserved;
  auto shape = [](const std::string& s) { return complaint(npy_of(header("<f4", s), "1234")); };
  CHECK(contains(shape("(1073741824,)"), "the shape [1073741824] takes 4294967296 bytes, found 4"));
  CHECK(contains(shape("(4294967296, 4294967296)"), "more elements than can be counted"));
  CHECK(contains(shape("(0, 4611686018427387904, 4)"), "more elements than can be counted"));
  CHECK(contains(shape("(2,)"), "takes 8 bytes, found 4"));
  CHECK(contains(shape("()") + complaint(npy_of(header("<f4", "()"), "12345")), "takes 4 bytes, found 5"));
  CHECK(contains(complaint(npy_of(header("|u1", "(1152921504606846976,)"), "1")), "more elements than can be counted"));
  CHECK(memory_stats().reserved == before);
}

TEST_CASE("npy: a file cut at any byte is refused, and errors name the file and the user's line") {
  for (const auto& whole : {numpy_floats, numpy_fortran})
    for (std::size_t n = 0; n < whole.size(); ++n) CHECK(complaint(whole.substr(0, n)) != "");
  TemporaryFolder folder;
  const auto line = __LINE__ + 2;
  try {
    load_npy(folder / "absent");
    CHECK(false);
  } catch (const FileError& e) {
    CHECK(contains(e.what(), "load_npy: " + (folder / "absent") + ": cannot be read: No such file"));
    CHECK(e.where().line() == line);
  }
  CHECK_THROWS_AS(save_npy(folder / "x", Tensor()), ValueError);
  CHECK(folder.entries() == 0);
}

TEST_CASE("npz: what numpy deflated is read") {
  const TensorFile file = npz(numpy_deflated);
  REQUIRE(file.tensors.size() == 2);
  CHECK(file.at("w").to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK(file.at("flags").to_vector<bool>() == std::vector<bool>{true, false});
}

TEST_CASE("npz: every dtype comes back bit by bit, stored and deflated, and the same tensors make the same bytes") {
  for (const bool compress : {false, true}) {
    const std::string bytes = saved_npz(assorted(), compress);
    check_assorted(npz(bytes).tensors, assorted());
    CHECK(saved_npz(assorted(), compress) == bytes);
    CHECK(npz(saved_npz({}, compress)).tensors.empty());
  }
}

TEST_CASE("npz: deflated arrays larger than the buffers come back") {
  std::vector<float> noise(300'000);
  std::uint32_t state = 1;
  for (auto& x : noise) x = static_cast<float>((state = state * 1664525 + 1013904223) >> 12 & 255);
  const Tensor x = from(noise, {300, 1000});
  const std::string bytes = saved_npz({{"x", x}, {"zeros", zeros({500, 1000})}}, true);
  CHECK(bytes.size() < 700'000);
  check_same<float>(npz(bytes).at("x"), x);
  check_same<float>(npz(bytes).at("zeros"), zeros({500, 1000}));
}

TEST_CASE("npz: damage anywhere is an error, never another value") {
  for (const bool compress : {false, true}) {
    const std::vector<NamedTensor> saved = {{"w", arange(20)}, {"b", ones({3})}};
    const std::string whole = saved_npz(saved, compress);
    for (std::size_t n = 0; n < whole.size(); ++n) CHECK(complaint(whole.substr(0, n) + "") != "");
    int silent = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ 0x11);
      if (bytes.starts_with("PK") && complaint(bytes) == "") {
        ++silent;  // in fields that nobody reads, such as the time
        for (auto& t : npz(bytes).tensors)
          if (t.name == "w") check_same<std::int64_t>(t.tensor, saved[0].tensor);
      }
    }
    CHECK(silent < 150);
  }
}

TEST_CASE("npz: a wrong checksum, an encrypted member, another method and what is no array are refused by name") {
  const std::string whole = saved_npz({{"w", ones({2})}}, false);
  const auto directory = whole.find("PK\1\2");
  auto changed = [&](std::size_t at, char to) {
    std::string bytes = whole;
    bytes[directory + at] = to;
    return complaint(bytes);
  };
  CHECK(contains(changed(16, 'x'), "member \"w.npy\" is damaged: its checksum is"));
  CHECK(contains(changed(8, 1), "member \"w.npy\" is encrypted"));
  CHECK(contains(changed(10, 12), "member \"w.npy\": compression method 12"));
  CHECK(contains(changed(24, 1), "cannot unpack to"));
  CHECK(contains(changed(45, 1), "are not inside the file"));
  CHECK(contains(changed(42, 1), "something else in its place"));
  std::string other = whole;
  for (auto at = other.find("w.npy"); at != other.npos; at = other.find("w.npy")) other.replace(at, 5, "w.pkl");
  CHECK(contains(complaint(other), "member \"w.pkl\": not an array; an npz file holds .npy files only"));
  CHECK(contains(complaint("PK" + std::string(100, 'x')), "its end record is missing"));
}

TEST_CASE("npz: members that overlap or stand twice in the directory are refused") {
  std::string whole = saved_npz({{"a", ones({2})}, {"b", ones({2})}}, false);
  std::string twice = whole;
  for (auto at = twice.find("b.npy"); at != twice.npos; at = twice.find("b.npy")) twice.replace(at, 5, "a.npy");
  CHECK(contains(complaint(twice), "member \"a.npy\" appears twice"));
  // Many entries for one member: a bomb of a few bytes.
  const auto begin = whole.find("PK\1\2"), second = whole.find("PK\1\2", begin + 1), end = whole.find("PK\5\6");
  std::string bomb = whole.substr(0, begin), entry = whole.substr(begin, second - begin);
  for (char name = 'c'; name < 'g'; ++name) entry[46] = name, bomb += entry;
  std::string tail = whole.substr(end);
  tail[8] = tail[10] = 4;
  tail[12] = static_cast<char>(4 * entry.size());
  CHECK(contains(complaint(bomb + tail), "members of the zip archive overlap"));
}

TEST_CASE("npz: a member that claims more than deflate can hold is refused before it is allocated") {
  std::string bytes = saved_npz({{"w", zeros({1000})}}, true);
  const auto before = memory_stats().reserved;
  const auto directory = bytes.find("PK\1\2");
  const std::uint32_t huge = 0x7fffffff;
  std::memcpy(&bytes[directory + 24], &huge, 4);
  CHECK(contains(complaint(bytes), "bytes cannot unpack to 2147483647"));
  CHECK(memory_stats().reserved == before);
}

TEST_CASE("npz: zip64 records are read") {
  std::string bytes = saved_npz({{"w", ones({2})}}, false);
  // The same directory, its sizes in an extra field and its place in a zip64 record.
  const auto directory = bytes.find("PK\1\2"), end = bytes.find("PK\5\6");
  std::string entry = bytes.substr(directory, end - directory);
  std::uint32_t packed = 0, size = 0;
  std::memcpy(&packed, &entry[20], 4), std::memcpy(&size, &entry[24], 4);
  std::memset(&entry[20], 0xff, 8);
  std::memset(&entry[42], 0xff, 4);
  const std::string extra = as_bytes<std::uint16_t>({1, 24}) + as_bytes<std::uint64_t>({size, packed, 0});
  entry[30] = static_cast<char>(extra.size());
  entry += extra;
  const std::string record = "PK\6\6" + as_bytes<std::uint64_t>({44}) + as_bytes<std::uint16_t>({45, 45}) +
                             as_bytes<std::uint32_t>({0, 0}) + as_bytes<std::uint64_t>({1, 1, entry.size(), directory});
  const std::string locator = "PK\6\7" + as_bytes<std::uint32_t>({0}) +
                              as_bytes<std::uint64_t>({directory + entry.size()}) + as_bytes<std::uint32_t>({1});
  const std::string tail = bytes_of("PK\5\6\0\0\0\0") + std::string(12, '\xff') + std::string(2, '\0');
  const std::string wide = bytes.substr(0, directory) + entry + record + locator + tail;
  CHECK(npz(wide).at("w").to_vector<float>() == std::vector<float>{1, 1});
  for (std::size_t n = directory; n < wide.size(); ++n) CHECK(complaint(wide.substr(0, n)) != "");
  std::string broken = wide;
  replace(broken, "PK\6\6", "PK\6\5");
  CHECK(contains(complaint(broken), "lacks its zip64 record"));
  broken = wide;
  replace(broken, extra, std::string(extra.size(), '\0'));
  CHECK(contains(complaint(broken), "its size of more than 32 bits is missing"));
}

TEST_CASE("npz: more members than 16 bits count make a zip64 archive, and come back") {
  std::vector<NamedTensor> many(65'600);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = {std::to_string(i), scalar(1)};
  const std::string bytes = saved_npz(many, false);
  CHECK(bytes.find("PK\6\6") != bytes.npos);
  const TensorFile back = npz(bytes);
  CHECK(back.tensors.size() == many.size());
  CHECK(back.tensors.back().name == "65599");
}

TEST_CASE("npz: what cannot be saved is refused before the old file is touched") {
  TemporaryFolder folder;
  write_bytes(folder / "x", "old");
  const Tensor one = ones({1});
  CHECK_THROWS_WITH_AS(save_npz(folder / "x", {{"a", one}, {"a", one}}), doctest::Contains("\"a\" is given twice"),
                       ValueError);
  CHECK_THROWS_WITH_AS(save_npz(folder / "x", {{"a", Tensor()}}), doctest::Contains("\"a\" has no value"), ValueError);
  CHECK_THROWS_WITH_AS(save_npz(folder / "x", {{"", one}}), doctest::Contains("cannot be the name"), ValueError);
  CHECK_THROWS_WITH_AS(save_npz(folder / "absent/x", {}), doctest::Contains("No such file"), FileError);
  CHECK(read_bytes(folder / "x") == "old");
  CHECK(folder.entries() == 1);
}
