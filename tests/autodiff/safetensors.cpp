#include "wengert/autodiff/files/safetensors.h"

#include "../files.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/ops.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <limits>

using namespace wengert;

namespace {

// A file as someone hostile would write it: any header over any data.
std::string file_of(const std::string& header, std::size_t data_bytes, std::uint64_t claimed_length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &claimed_length, 8);
  return bytes + header + std::string(data_bytes, '\1');
}
std::string file_of(const std::string& header, std::size_t data_bytes = 0) {
  return file_of(header, data_bytes, header.size());
}

std::string braces(const std::string& inside) {
  std::string s = "{";
  s += inside;
  return s += '}';
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

// What is said about these bytes as a file; "" when they are accepted.
std::string complaint(const std::string& bytes) {
  try {
    load_tensors(MemoryFile(bytes).path());
    return "";
  } catch (const FileError& e) {
    return e.what();
  }
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

template <class T>
void check_same(const Tensor& a, const Tensor& b) {
  CHECK(a.shape() == b.shape());
  CHECK(a.dtype() == b.dtype());
  CHECK(a.to_vector<T>() == b.to_vector<T>());
}

// The disk is full: no file may grow beyond `bytes`.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit now{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

// Root may write everywhere, so become nobody for a while.
class Nobody {
 public:
  Nobody() : root_(geteuid() == 0) {
    if (root_) CHECK(seteuid(65534) == 0);
  }
  ~Nobody() {
    if (root_) CHECK(seteuid(0) == 0);
  }

 private:
  bool root_;
};

}  // namespace

TEST_CASE("safetensors: every dtype, odd shapes and metadata come back as they were saved") {
  TemporaryFolder folder;
  const float inf = std::numeric_limits<float>::infinity();
  const auto bits = from(std::vector<float>{1.5f, -0.f, inf, std::numeric_limits<float>::denorm_min()}, {2, 2});
  const auto flags = from(std::vector<std::int64_t>{1, 0, 1}, {3}) > 0.5;
  const std::vector<NamedTensor> saved = {
      {"flags", to(flags, boolean)},
      {"hidden.weight", bits},
      {"doubles", full({1, 1, 1, 1, 1, 1, 1, 3}, 0.1, float64)},
      {"count", full({}, -5, int64)},
      {"nothing", zeros({3, 0, 2})},
      {"späte \"Namen\"\n", ones({1})},
  };
  save_tensors(folder / "x", saved, {{"epoch", "3"}, {"who", "\xE2\x88\x87"}});

  const TensorFile loaded = load_tensors(folder / "x");
  REQUIRE(loaded.tensors.size() == saved.size());
  for (std::size_t i = 0; i < saved.size(); ++i) CHECK(loaded.tensors[i].name == saved[i].name);
  check_same<bool>(loaded.at("flags"), saved[0].tensor);
  check_same<float>(loaded.at("hidden.weight"), bits);
  check_same<double>(loaded.at("doubles"), saved[2].tensor);
  check_same<std::int64_t>(loaded.at("count"), saved[3].tensor);
  check_same<float>(loaded.at("nothing"), saved[4].tensor);
  CHECK(loaded.metadata == Metadata{{"epoch", "3"}, {"who", "\xE2\x88\x87"}});
  CHECK_THROWS_WITH_AS(loaded.at("hidden.bias"), doctest::Contains("hidden.bias"), ValueError);
  CHECK(folder.entries() == 1);
}

TEST_CASE("safetensors: a strided view is saved in its own order") {
  TemporaryFolder folder;
  const auto x = reshape(arange(6, float32), {2, 3});
  save_tensors(folder / "x", {{"x", transpose(x)}, {"column", select(x, 1, 2)}});
  const auto loaded = load_tensors(folder / "x");
  CHECK(loaded.at("x").to_vector<float>() == std::vector<float>{0, 3, 1, 4, 2, 5});
  CHECK(loaded.at("column").to_vector<float>() == std::vector<float>{2, 5});
}

TEST_CASE("safetensors: NaN keeps its bits, and a tracked tensor is saved by its value") {
  TemporaryFolder folder;
  std::uint64_t nan = 0x7ff8dead0000beef, back = 0;
  double value;
  std::memcpy(&value, &nan, 8);
  save_tensors(folder / "x", {{"nan", full({1}, value, float64).track()}});
  const auto loaded = load_tensors(folder / "x");
  value = loaded.at("nan").read<double>()[0];
  std::memcpy(&back, &value, 8);
  CHECK(back == nan);
  CHECK_FALSE(loaded.at("nan").tracked());
}

TEST_CASE("safetensors: the bytes are those of the format, the widest numbers first") {
  TemporaryFolder folder;
  save_tensors(folder / "x", {{"b", ones({1}, boolean)}, {"a", ones({}, int64)}});
  std::string header = braces(entry("b", "BOOL", "[1]", "[8,9]") + "," + entry("a", "I64", "[]", "[0,8]"));
  header.resize((header.size() + 7) / 8 * 8, ' ');
  CHECK(read_bytes(folder / "x") == file_of(header) + std::string("\1\0\0\0\0\0\0\0\1", 9));
}

TEST_CASE("safetensors: no tensors at all are a file too") {
  TemporaryFolder folder;
  save_tensors(folder / "x", {});
  CHECK(load_tensors(folder / "x").tensors.empty());
}

TEST_CASE("safetensors: a file cut at any byte, or with a byte more, is refused") {
  TemporaryFolder folder;
  save_tensors(folder / "x", {{"w", ones({3})}, {"b", ones({2}, boolean)}}, {{"k", "v"}});
  const std::string whole = read_bytes(folder / "x");
  CHECK(complaint(whole) == "");
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK_MESSAGE(complaint(whole.substr(0, n)) != "", "cut after ", n);
  CHECK(contains(complaint(whole + "x"), "1 bytes follow the last tensor"));
}

TEST_CASE("safetensors: no changed byte of a file does worse than an error or another value") {
  TemporaryFolder folder;
  save_tensors(folder / "x", {{"w", ones({3})}, {"b", ones({2}, boolean)}}, {{"k", "v"}});
  const std::string whole = read_bytes(folder / "x");
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (const char flip : {'\x01', '\x10', '\x80', '\xff'}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      complaint(bytes);  // throws nothing but FileError
    }
}

TEST_CASE("safetensors: a header length from nowhere is refused before it is allocated") {
  const auto before = memory_stats().reserved;
  for (const std::uint64_t length :
       {std::uint64_t{3}, std::uint64_t{1} << 32, ~std::uint64_t{0}, ~std::uint64_t{0} - 7})
    CHECK(contains(complaint(file_of("{}", 0, length)), "header of " + std::to_string(length) + " bytes"));
  CHECK(contains(complaint(""), "too few"));
  CHECK(memory_stats().reserved == before);
}

TEST_CASE(
    "safetensors: shapes that overflow, or promise other bytes than there are, are refused before they are allocated") {
  const auto before = memory_stats().reserved;
  auto shape = [](const std::string& s, const std::string& offsets) {
    return complaint(file_of(braces(entry("w", "F32", s, offsets)), 8));
  };
  CHECK(contains(shape("[4294967296,4294967296]", "[0,8]"), "more elements than can be counted"));
  CHECK(contains(shape("[4611686018427387904]", "[0,8]"), "more elements than can be counted"));
  CHECK(contains(shape("[0,4611686018427387904,4]", "[0,8]"), "more elements than can be counted"));
  CHECK(contains(shape("[9223372036854775808]", "[0,8]"), "a size of 9223372036854775808"));
  CHECK(contains(shape("[1073741824]", "[0,8]"), "takes 4294967296 bytes, found 8"));
  CHECK(contains(shape("[3]", "[0,8]"), "takes 12 bytes, found 8"));
  CHECK(contains(shape("[]", "[0,8]"), "takes 4 bytes, found 8"));
  CHECK(contains(shape("[1,1,1,1,1,1,1,1,2]", "[0,8]"), "more than 8 axes"));
  CHECK(contains(shape("[1073741824]", "[0,4294967296]"), "offsets [0, 4294967296] in 8 bytes of data"));
  CHECK(memory_stats().reserved == before);
}

TEST_CASE("safetensors: offsets that overlap, leave gaps, run backwards or out of the file are refused") {
  auto two = [](const std::string& a, const std::string& b) {
    return complaint(file_of(braces(entry("a", "F32", "[1]", a) + "," + entry("b", "F32", "[1]", b)), 8));
  };
  CHECK(two("[0,4]", "[4,8]") == "");
  CHECK(two("[4,8]", "[0,4]") == "");
  CHECK(contains(two("[0,4]", "[0,4]"), "\"a\" and \"b\" overlap"));
  CHECK(contains(two("[0,4]", "[8,12]"), "tensor \"b\": offsets [8, 12] in 8 bytes of data"));
  CHECK(contains(two("[4,0]", "[4,8]"), "tensor \"a\": offsets [4, 0]"));
  CHECK(contains(two("[0,4]", "[18446744073709551612,0]"), "tensor \"b\": offsets"));
  CHECK(contains(complaint(file_of(braces(entry("a", "F32", "[1]", "[4,8]")), 8)),
                 "bytes 0 to 4 of the data belong to no tensor"));
  CHECK(contains(complaint(file_of(braces(entry("a", "F32", "[1]", "[0,4]")), 8)), "4 bytes follow the last tensor"));
  const std::string odd = entry("a", "BOOL", "[1]", "[0,1]") + "," + entry("b", "F32", "[1]", "[1,5]");
  CHECK(contains(complaint(file_of(braces(odd), 5)), "tensor \"b\": F32 must begin at a multiple of 4 bytes, found 1"));
}

TEST_CASE("safetensors: duplicate names are refused") {
  const std::string a = entry("a", "F32", "[1]", "[0,4]"), again = entry("a", "F32", "[1]", "[4,8]");
  CHECK(contains(complaint(file_of(braces(a + "," + again), 8)), "tensor \"a\" appears twice"));
  CHECK(contains(complaint(file_of(braces(a + "," + entry("\\u0061", "F32", "[1]", "[4,8]")), 8)),
                 "tensor \"a\" appears twice"));
  CHECK(contains(complaint(file_of("{\"__metadata__\":{},\"__metadata__\":{}}")), "\"__metadata__\" appears twice"));
  CHECK(contains(complaint(file_of("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}")), "\"k\" appears twice"));
  CHECK(contains(complaint(file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4)),
                 "\"dtype\" appears twice"));
}

TEST_CASE("safetensors: JSON of any other form is refused, and the message says what was expected") {
  auto header = [](const std::string& h) { return complaint(file_of(h, 4)); };
  auto field = [&](const std::string& f) { return header("{\"a\":{" + f + "}}"); };
  CHECK(contains(header("[]"), "must be a JSON object"));
  CHECK(contains(header(" {}"), "must be a JSON object"));
  CHECK(contains(header("{"), "not JSON"));
  CHECK(contains(header("{} x"), "not JSON: mistake at byte 4"));
  CHECK(contains(header("{\"\xff\":{}}"), "not JSON"));
  CHECK(contains(header("{\"a\":3}"), "tensor \"a\": expected an object with dtype, shape and data_offsets, found 3"));
  CHECK(contains(header("{\"a\":[]}"), "found a list"));
  CHECK(contains(header("{\"a\":{}}"), "dtype is missing"));
  CHECK(contains(header("{\"__metadata__\":\"x\"}"), "must be an object of strings, found \"x\""));
  CHECK(contains(header("{\"__metadata__\":{\"epoch\":3}}"), "\"epoch\" in __metadata__ must be a string, found 3"));
  CHECK(contains(header("{\"__metadata__\":{\"epoch\":{}}}"), "must be a string, found an object"));
  CHECK(contains(field("\"dtype\":null"), "dtype must be a string, found null"));
  CHECK(contains(field("\"shape\":\"3\""), "shape must be a list of whole numbers, found \"3\""));
  CHECK(contains(field("\"shape\":[-1]"), "that are not negative, found -1"));
  CHECK(contains(field("\"shape\":[1.0]"), "found 1.0"));
  CHECK(contains(field("\"shape\":[1e999]"), "not JSON"));
  CHECK(contains(field("\"shape\":[[1]]"), "found a list"));
  CHECK(contains(field("\"shape\":[true]"), "found true"));
  CHECK(contains(field("\"shape\":[99999999999999999999999]"), "found 99999999999999999999999"));
  CHECK(contains(field("\"data_offsets\":[0]"), "data_offsets must be [begin, end], found 1 numbers"));
  CHECK(contains(field("\"data_offsets\":[0,4,8]"), "found more"));
  CHECK(contains(field("\"strides\":[1]"), "found \"strides\""));
  CHECK(contains(header(braces(entry("a", "F16", "[2]", "[0,4]"))),
                 "dtype must be F32, F64, I64 or BOOL, found \"F16\""));
  CHECK(contains(header("{\"a\":" + std::string(100'000, '[')), "found a list"));
}

TEST_CASE("safetensors: a BOOL is 0 or 1") {
  const std::string header = braces(entry("mask", "BOOL", "[2]", "[0,2]"));
  CHECK(complaint(file_of(header) + std::string("\0\1", 2)) == "");
  CHECK(contains(complaint(file_of(header) + "\1\2"), "tensor \"mask\": element 1 is 2"));
}

TEST_CASE("safetensors: errors about the file name it and the user's line") {
  TemporaryFolder folder;
  const auto line = __LINE__ + 2;
  try {
    load_tensors(folder / "absent");
    CHECK(false);
  } catch (const FileError& e) {
    CHECK(contains(e.what(), "load_tensors: " + (folder / "absent") + ": cannot be read: No such file"));
    CHECK(e.where().line() == line);
  }
  CHECK_THROWS_WITH_AS(load_tensors(folder / "."), doctest::Contains("it is a folder"), FileError);
  CHECK_THROWS_WITH_AS(load_tensors("/dev/zero"), doctest::Contains("no regular file"), FileError);
  CHECK_THROWS_WITH_AS(save_tensors("/dev/null", {}), doctest::Contains("is no file"), FileError);
  CHECK_THROWS_WITH_AS(save_tensors(folder / "absent/x", {}), doctest::Contains("No such file"), FileError);
}

TEST_CASE("safetensors: what cannot be saved is refused before the old file is touched") {
  TemporaryFolder folder;
  write_bytes(folder / "x", "old");
  const Tensor one = ones({1});
  CHECK_THROWS_WITH_AS(save_tensors(folder / "x", {{"a", one}, {"a", one}}), doctest::Contains("\"a\" is given twice"),
                       ValueError);
  CHECK_THROWS_WITH_AS(save_tensors(folder / "x", {{"__metadata__", one}}), doctest::Contains("__metadata__"),
                       ValueError);
  CHECK_THROWS_WITH_AS(save_tensors(folder / "x", {{"a", Tensor()}}), doctest::Contains("\"a\" has no value"),
                       ValueError);
  CHECK_THROWS_WITH_AS(save_tensors(folder / "x", {{"\xff", one}}), doctest::Contains("not UTF-8"), ValueError);
  CHECK_THROWS_WITH_AS(save_tensors(folder / "x", {}, {{"k", "\xff"}}), doctest::Contains("not UTF-8"), ValueError);
  CHECK(read_bytes(folder / "x") == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("safetensors: on a full disk the old file stays as it was, and nothing is left behind") {
  TemporaryFolder folder;
  save_tensors(folder / "x", {{"w", ones({4})}});
  const std::string old = read_bytes(folder / "x");
  for (const rlim_t room : {0, 7, 100, 5000}) {
    FullDisk disk(room);
    CHECK_THROWS_WITH_AS(save_tensors(folder / "x", {{"w", ones({10000})}}),
                         doctest::Contains("the old file is untouched"), FileError);
  }
  CHECK(read_bytes(folder / "x") == old);
  CHECK(folder.entries() == 1);
}

TEST_CASE("safetensors: in a folder without permission the old file stays as it was") {
  TemporaryFolder folder;
  namespace fs = std::filesystem;
  fs::create_directory(folder / "locked");
  write_bytes(folder / "locked/x", "old");
  fs::permissions(folder / ".", fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  fs::permissions(folder / "locked",
                  fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec);
  {
    Nobody nobody;
    CHECK_THROWS_WITH_AS(save_tensors(folder / "locked/x", {{"w", ones({4})}}), doctest::Contains("Permission denied"),
                         FileError);
  }
  CHECK(read_bytes(folder / "locked/x") == "old");
  fs::permissions(folder / "locked", fs::perms::owner_all);
}

TEST_CASE("safetensors: a symbolic link stays, and the file behind it is replaced") {
  TemporaryFolder folder;
  write_bytes(folder / "real", "old");
  std::filesystem::create_symlink("real", folder / "link");
  save_tensors(folder / "link", {});
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(load_tensors(folder / "real").tensors.empty());
}

namespace {

struct Affine {
  Param weight, bias;
};
struct Small {
  Affine hidden{ones({2, 3}), zeros({2})};
  std::vector<Affine> blocks;
  Buffer mean = zeros({2});
  Tensor scale = ones({1});
  double rate = 0.5;
};

Small filled(double value) {
  Small m;
  m.blocks.push_back({ones({1, 2}), {}});  // without a bias
  for_each_tensor(m, [&](auto& t) { t.assign(full(t.shape(), value)); });
  return m;
}

// Every number of the model, to see whether it changed.
std::vector<float> numbers(const Small& m) {
  std::vector<float> all;
  for_each_tensor(m, [&](const Tensor& t) {
    for (float x : t.to_vector<float>()) all.push_back(x);
  });
  return all;
}

}  // namespace

TEST_CASE("save and load: a model comes back, trained tensors and buffers, under the paths of its fields") {
  TemporaryFolder folder;
  save(folder / "m", filled(3), {{"epoch", "7"}});
  std::vector<std::string> names;
  for (auto& t : load_tensors(folder / "m").tensors) names.push_back(t.name);
  CHECK(names == std::vector<std::string>{"hidden.weight", "hidden.bias", "blocks.0.weight", "mean", "scale"});

  Small m = filled(1);
  const Tensor weight = m.hidden.weight.detach();
  load(folder / "m", m);
  CHECK(numbers(m) == numbers(filled(3)));
  CHECK(m.hidden.weight.is_trained());
  CHECK(weight.to_vector<float>() == std::vector<float>(6, 3));  // in place: who holds the parameter sees it
}

TEST_CASE("load: a plain tensor of the model that others hold too is replaced, not changed") {
  TemporaryFolder folder;
  save(folder / "m", filled(3));
  Small m = filled(1);
  const Tensor mine = m.scale;
  load(folder / "m", m);
  CHECK(mine.item() == 1);
  CHECK(m.scale.item() == 3);
}

TEST_CASE("load: whatever does not match is named, and the model stays as it was") {
  TemporaryFolder folder;
  const auto path = folder / "m";
  auto refused = [&](const Small& saved) {
    save(path, saved);
    Small m = filled(1);
    const auto before = numbers(m);
    std::string what;
    try {
      load(path, m);
    } catch (const FileError& e) {
      what = e.what();
    }
    CHECK(numbers(m) == before);
    return what;
  };
  Small saved = filled(3);
  saved.scale = ones({2});
  CHECK(contains(refused(saved), "tensor \"scale\": the model has float32 [1], the file float32 [2]"));
  saved.scale = ones({1}, float64);
  CHECK(contains(refused(saved), "tensor \"scale\": the model has float32 [1], the file float64 [1]"));
  saved.scale = {};
  CHECK(contains(refused(saved), "load: " + path + ": tensor \"scale\" of the model is not in the file"));
  saved = filled(3);
  saved.blocks[0].bias = zeros({1});
  CHECK(contains(refused(saved), "tensor \"blocks.0.bias\" of the file is not in the model"));
  save(path, filled(3));
  const auto whole = read_bytes(path);
  write_bytes(path, whole.substr(0, whole.size() - 1));
  Small m = filled(1);
  CHECK_THROWS_AS(load(path, m), FileError);
  CHECK(numbers(m) == numbers(filled(1)));
}
