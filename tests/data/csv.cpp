#include "../files.h"
#include "gzip.h"
#include "wengert/data/data.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace wengert;

namespace {

Tensor csv(const std::string& text, data::CsvOptions options = {}) {
  TemporaryFolder folder;
  write_bytes(folder / "x.csv", text);
  return data::read_csv(folder / "x.csv", options);
}

std::string complaint(const std::string& text, data::CsvOptions options = {}) {
  try {
    csv(text, options);
    return "accepted";
  } catch (const FileError& e) {
    const std::string what = e.what();
    const auto begin = what.find("x.csv: ") + 7;
    return what.substr(begin, what.find('\n') - begin);
  }
}

bool refused_or(const std::vector<float>& expected, const std::string& text) {
  try {
    return csv(text).to_vector<float>() == expected;
  } catch (const FileError&) {
    return true;
  }
}

}  // namespace

TEST_CASE("csv: rows and columns of numbers, in every form that numbers have") {
  const Tensor x = csv("1, -2.5,+3e2\n.5,0,\t-0 \n");
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.dtype() == float32);
  CHECK(x.to_vector<float>() == std::vector<float>{1, -2.5, 300, .5, 0, 0});
  CHECK(csv("7").shape() == Shape{1, 1});
}

TEST_CASE("csv: float64 keeps every digit, and int64 every whole number") {
  CHECK(csv("0.1\n", {.dtype = float64}).item() == 0.1);
  CHECK(csv("9007199254740993", {.dtype = int64}).to_vector<std::int64_t>()[0] == 9007199254740993);
  CHECK(complaint("1.5", {.dtype = int64}) == "line 1, column 1: expected a whole number, found \"1.5\"");
  CHECK(complaint("nan", {.dtype = int64}) == "line 1, column 1: expected a whole number, found \"nan\"");
  CHECK_THROWS_AS(csv("1", {.dtype = boolean}), TypeError);
}

TEST_CASE("csv: header, CRLF, byte order mark, a missing last newline and empty lines at the end are overlooked") {
  const std::vector<float> expected{1, 2, 3, 4};
  CHECK(csv("a,b\n1,2\n3,4\n", {.header = true}).to_vector<float>() == expected);
  CHECK(csv("1,2\r\n3,4\r\n").to_vector<float>() == expected);
  CHECK(csv("\xEF\xBB\xBF"
            "1,2\n3,4")
            .to_vector<float>() == expected);
  CHECK(csv("1,2\n3,4\n\n  \n").to_vector<float>() == expected);
}

TEST_CASE("csv: other separators; a blank stands for any run of blanks") {
  const std::vector<float> expected{1, 2, 3, 4};
  CHECK(csv("1;2\n3;4", {.separator = ';'}).to_vector<float>() == expected);
  CHECK(csv("1\t2\n3\t4", {.separator = '\t'}).to_vector<float>() == expected);
  CHECK(csv("  1   2\n3 \t4  \n", {.separator = ' '}).to_vector<float>() == expected);
  for (const char bad : {'\n', '.', '1', '-', '\0'}) CHECK_THROWS_AS(csv("1", {.separator = bad}), ValueError);
}

TEST_CASE("csv: NaN and infinity are read only where they are written and allowed") {
  const auto x = csv("nan,NaN,inf,-Infinity", {.allow_nonfinite = true}).to_vector<float>();
  CHECK((std::isnan(x[0]) && std::isnan(x[1])));
  CHECK((std::isinf(x[2]) && x[3] < 0));
  CHECK(complaint("1\nNaN") ==
        "line 2, column 1: \"NaN\" is no finite number; pass {.allow_nonfinite = true} if it is meant");
  CHECK(complaint("1,-inf").starts_with("line 1, column 2: \"-inf\" is no finite number"));
  CHECK(complaint("1,,3") ==
        "line 1, column 2: is empty; write nan for a missing value, and pass {.allow_nonfinite = true}");
  CHECK(complaint("1,2\n3,") ==
        "line 2, column 2: is empty; write nan for a missing value, and pass {.allow_nonfinite = true}");
}

TEST_CASE("csv: mistakes are named by line and column") {
  CHECK(complaint("1,2\n3,four\n") == "line 2, column 2: expected a number, found \"four\"");
  CHECK(complaint("1,2\n3,4x\n") == "line 2, column 2: expected a number, found \"4x\"");
  CHECK(complaint("1,2\n3,4 5\n") == "line 2, column 2: expected a number, found \"4 5\"");
  CHECK(complaint("1,0x10\n") == "line 1, column 2: expected a number, found \"0x10\"");
  CHECK(complaint("+-1\n") == "line 1, column 1: expected a number, found \"+-1\"");
  CHECK(complaint("1e99\n") == "line 1, column 1: \"1e99\" does not fit into float32");
  CHECK(complaint("a,b\n1,2\n") == "line 1, column 1: expected a number, found \"a\"");
  CHECK(complaint("1,2\n3\n") == "line 2: expected 2 columns as in the first row, found 1");
  CHECK(complaint("1,2\n3,4,5\n") == "line 2: expected 2 columns as in the first row, found 3");
  CHECK(complaint("1,2\n\n3,4\n") == "line 2 is empty");
  CHECK(complaint("") == "there are no numbers");
  CHECK(complaint("a,b\n", {.header = true}) == "there are no numbers");
  CHECK(complaint(std::string("1,\0"
                              "2",
                              4)) == "line 1, column 2: expected a number, found \"\\x002\"");
}

TEST_CASE("csv: lines that cross the borders of buffers are whole") {
  std::string text;
  double sum = 0;
  for (int i = 0; i < 50000; ++i) text += std::to_string(i) + "," + std::to_string(-i) + "\n", sum += i;
  for (const auto& bytes : {text, gzip(text)}) {
    const Tensor x = csv(bytes, {.dtype = float64});
    REQUIRE(x.shape() == Shape{50000, 2});
    double first = 0, second = 0;
    const auto values = x.read<double>();
    for (std::size_t i = 0; i < values.size(); i += 2) first += values[i], second += values[i + 1];
    CHECK(first == sum);
    CHECK(second == -sum);
  }
}

TEST_CASE("csv: a packed line without end is refused before it fills the memory") {
  CHECK(complaint(gzip(std::string(std::size_t{80} << 20, ' '))) == "line 1 is longer than 67108864 bytes");
}

TEST_CASE("gzip: several packed parts are one file, and nothing else may follow") {
  CHECK(csv(gzip("1,2\n3") + gzip(",4\n")).to_vector<float>() == std::vector<float>{1, 2, 3, 4});
  CHECK(complaint(gzip("1\n") + "x") == "bytes follow the end of the gzip data");
  CHECK(complaint(gzip("1\n") + "\x1f") == "the gzip data is truncated");
}

TEST_CASE("gzip: cut at any byte it is refused; with a byte changed it is refused or reads the same") {
  std::string text;
  for (int i = 0; i < 40; ++i) text += std::to_string(i * i % 97) + "," + std::to_string(i) + "\n";
  const std::string packed = gzip(text);
  const auto expected = csv(text).to_vector<float>();
  for (std::size_t n = 0; n < packed.size(); ++n)
    CHECK_MESSAGE(complaint(packed.substr(0, n)) != "accepted", "cut after ", n);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    std::string changed = packed;
    changed[i] = static_cast<char>(changed[i] ^ 0x41);
    CHECK_MESSAGE(refused_or(expected, changed), "changed at ", i);
  }
}
