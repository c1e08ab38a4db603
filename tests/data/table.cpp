#include "wengert/data/table.h"

#include "files.h"
#include "wengert/autodiff/ops.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

using namespace wengert;

namespace {

using Labels = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

struct File {
  TemporaryFolder folder;
  std::string path = folder / "table.csv";
  explicit File(std::string_view text) { write_bytes(path, text); }
};

data::Table read(std::string_view text, data::TableOptions options = {}) {
  return data::read_table(File(text).path, options);
}

std::string complaint(std::string_view text, data::TableOptions options = {}) {
  try {
    read(text, options);
  } catch (const FileError& e) {
    return e.what();
  }
  return "nothing was thrown";
}
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("read_table: columns have names, numbers are numbers and the rest are categories in alphabetical order") {
  const data::Table t = read("size, colour ,price\n1.5,red,-2e3\n+2, blue,7\r\n3,red , .5\n\n");
  CHECK(t.size() == 3);
  CHECK(t.names() == Names{"size", "colour", "price"});
  CHECK(t["size"].values.to_vector<float>() == std::vector<float>{1.5, 2, 3});
  CHECK(t["price"].values.to_vector<float>() == std::vector<float>{-2000, 7, 0.5});
  CHECK_FALSE(t["size"].is_category());
  CHECK(t["colour"].categories == Names{"blue", "red"});
  CHECK(t["colour"].values.to_vector<std::int64_t>() == Labels{1, 0, 1});
}

TEST_CASE("read_table: a data set has the target as y and one column for each number and category as x") {
  const data::Table t = read("n,kind,y\n1,b,10\n2,a,20\n", {.dtype = float64});
  const data::Dataset d = t.dataset("y");
  CHECK(d.x.shape() == Shape{2, 3});
  CHECK(d.x.to_vector<double>() == std::vector<double>{1, 0, 1, 2, 1, 0});
  CHECK(d.y.to_vector<double>() == std::vector<double>{10, 20});
  CHECK(t.dataset("kind").y.to_vector<std::int64_t>() == Labels{1, 0});
  CHECK(t.matrix({"y"}).to_vector<double>() == std::vector<double>{10, 20});
  CHECK_THROWS_WITH_AS(t.dataset("z"), doctest::Contains("no column 'z'; there are n, kind, y"), ValueError);
}

TEST_CASE("read_table: the first line of scikit-learn's files counts rows and features and names the classes") {
  const char* text = "3,2,setosa,rose\n1,2,1\n3,4,0\n5,6,1\n";
  const data::Table t = read(text, {.header = data::Header::scikit_learn});
  CHECK(t.names() == Names{"0", "1", "target"});
  CHECK(t["target"].categories == Names{"setosa", "rose"});
  CHECK(t.dataset("target").y.to_vector<std::int64_t>() == Labels{1, 0, 1});
  CHECK(t.dataset("target").x.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(contains(complaint("2,2,a,b\n1,2,3\n"), "pass {.header = data::Header::scikit_learn}"));
  CHECK(contains(complaint("4,2,a,b\n1,2,1\n", {.header = data::Header::scikit_learn}), "line 1: expected 1,2"));
  CHECK(contains(complaint("1,2,a,b\n1,2,2\n", {.header = data::Header::scikit_learn}),
                 "line 2, column 3 (\"target\"): expected the number of one of 2 classes, from 0, found \"2\""));
}

TEST_CASE("read_table: without a header columns are numbered") {
  CHECK(read("1,a\n2,b\n", {.header = data::Header::none}).names() == Names{"0", "1"});
}

TEST_CASE("read_table: fields may stand in quotes, with separators and quotes inside") {
  const data::Table t = read("a,\"b, c\"\n\"x \"\"y\"\", z\" ,1\n,2\n", {.allow_missing = true});
  CHECK(t.names() == Names{"a", "b, c"});
  CHECK(t["a"].categories == Names{"x \"y\", z"});
  CHECK(t["a"].values.to_vector<std::int64_t>() == Labels{0, -1});
  CHECK(contains(complaint("a\n\"x\n"), "line 2, column 1: the quotes are not closed"));
  CHECK(contains(complaint("a,b\n\"x\"y,1\n"), "line 2, column 1: expected ',' after the closing quotes, found \"y\""));
  CHECK(read("a\tb\n\t1\n", {.separator = '\t', .allow_missing = true}).names() == Names{"a", "b"});
}

TEST_CASE("read_table: numbers are taken as categories where asked for") {
  const data::Table t = read("zip,x\n20,1\n10,2\n", {.categories = {"zip"}});
  CHECK(t["zip"].categories == Names{"10", "20"});
  CHECK(contains(complaint("zip\n1\n", {.categories = {"zap"}}), "there is no column \"zap\""));
}

TEST_CASE("read_table: what comes later is read like what came first") {
  const data::Table first = read("x,kind\n1,a\n2,b\n3,c\n");
  const data::Table second = read("x,kind\n4,c\n", {.like = &first});
  CHECK(second["kind"].categories == Names{"a", "b", "c"});
  CHECK(second["kind"].values.to_vector<std::int64_t>() == Labels{2});
  CHECK(second.dataset("x").x.shape() == Shape{1, 3});
  CHECK(contains(complaint("x,kind\n4,d\n", {.like = &first}), "\"d\" is none of the categories a, b, c"));
  CHECK(contains(complaint("x,kind\nb,a\n", {.like = &first}), "expected a finite number, found \"b\""));
  CHECK(contains(complaint("x,sort\n4,a\n", {.like = &first}), "x, kind; found x, sort"));
}

TEST_CASE("read_table: missing values are an error, or nan and -1 where they are allowed") {
  const char* text = "x,kind\n1,a\n,NA\n";
  CHECK(contains(complaint(text), "line 3, column 1 (\"x\"): a value is missing"));
  const data::Table t = read(text, {.allow_missing = true});
  CHECK(t["x"].values.to_vector<float>()[0] == 1);
  CHECK(std::isnan(t["x"].values.to_vector<float>()[1]));
  CHECK(t["kind"].values.to_vector<std::int64_t>() == Labels{0, -1});
  CHECK(t.matrix({"kind"}).to_vector<float>() == std::vector<float>{1, 0});
}

TEST_CASE("read_table: broken files are named with line and column") {
  CHECK(contains(complaint("a,b\n1,2\n3\n"), "line 3: expected 2 columns as in the header, found 1"));
  CHECK(contains(complaint("a,a\n1,2\n"), "two columns are called \"a\""));
  CHECK(contains(complaint("a\n1\n\n2\n"), "line 3 is empty"));
  CHECK(contains(complaint("a\nnan\n1\n"), "line 2, column 1 (\"a\"): expected a finite number, found \"nan\""));
  CHECK(contains(complaint("a\n1e39\n"), "\"1e39\" does not fit into float32"));
  CHECK(contains(complaint(""), "the file is empty"));
  CHECK(contains(complaint("a,b\n"), "there are no rows"));
  CHECK_THROWS_AS(data::read_table("/nowhere/table.csv"), FileError);
  CHECK_THROWS_AS(read("a\n1\n", {.dtype = int64}), TypeError);
  CHECK_THROWS_AS(read("a\n1\n", {.separator = ' '}), ValueError);
}
