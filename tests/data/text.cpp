#include "wengert/data/text.h"

#include "files.h"
#include "wengert/data/loader.h"

#include <doctest/doctest.h>

#include <string>

using namespace wengert;

namespace {
using Numbers = std::vector<std::int64_t>;
using Names = std::vector<std::string>;
using data::Unit;
using data::Vocabulary;

Numbers numbers(const Tensor& t) { return t.to_vector<std::int64_t>(); }
}  // namespace

TEST_CASE("vocabulary: characters are code points in order, and decoding gives the text back") {
  const std::string text = "b\xC3\xA4 \xE2\x82\xAC\n a\xF0\x9F\x98\x80";
  const Vocabulary v{std::string_view(text)};
  CHECK(v.tokens() == Names{"\n", " ", "a", "b", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"});
  CHECK(numbers(v.encode(text)) == Numbers{3, 4, 1, 5, 0, 1, 2, 6});
  CHECK(v.decode(v.encode(text)) == text);
  CHECK(v.encode("").shape() == Shape{0});
}

TEST_CASE("vocabulary: words by how often they occur, then by name") {
  const Vocabulary v("to be or\nnot  to be", Unit::words);
  CHECK(v.tokens() == Names{"be", "to", "not", "or"});
  CHECK(numbers(v.encode(" not to be ")) == Numbers{2, 1, 0});
  CHECK(v.decode(v.encode("not\tto be")) == "not to be");
}

TEST_CASE("vocabulary: limited to the most frequent tokens, one stands for all others") {
  const Vocabulary v("to be or not to be", Unit::words, 3);
  CHECK(v.tokens() == Names{"<unknown>", "be", "to"});
  CHECK(numbers(v.encode("or to see")) == Numbers{0, 2, 0});
  CHECK(Vocabulary("aab", Unit::characters, 7).size() == 2);
  CHECK(Vocabulary("zzyxw", Unit::characters, 3).tokens() == Names{"<unknown>", "w", "z"});
  CHECK_THROWS_AS(Vocabulary("aab", Unit::characters, 1), ValueError);
}

TEST_CASE("vocabulary: tokens that are not there, texts that are not UTF-8 and doubled tokens are refused") {
  const Vocabulary v(Names{"b", "a"});
  CHECK(numbers(v.encode("ab")) == Numbers{1, 0});
  CHECK_THROWS_WITH_AS(v.encode("abc"), doctest::Contains("\"c\" is none of its 2 tokens"), ValueError);
  CHECK_THROWS_WITH_AS(v.decode(arange(3)), doctest::Contains("no token 2; there are 2"), ValueError);
  CHECK_THROWS_AS(Vocabulary(Names{"a", "a"}), ValueError);
  for (const char* odd : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"})
    CHECK_THROWS_WITH_AS(v.encode(std::string("ab") + odd), doctest::Contains("not UTF-8 at byte 2"), ValueError);
}

TEST_CASE("read_text: a file and its vocabulary, or that of another one") {
  const TemporaryFolder folder;
  write_bytes(folder / "a.txt", "hello"), write_bytes(folder / "b.txt", "hole"),
      write_bytes(folder / "c.txt", "he\xFF");
  write_bytes(folder / "d.txt", "");
  const data::Text a = data::read_text(folder / "a.txt");
  CHECK(a.vocabulary.decode(a.tokens) == "hello");
  CHECK(numbers(data::read_text(folder / "b.txt", {.vocabulary = &a.vocabulary}).tokens) == Numbers{1, 3, 2, 0});
  CHECK_THROWS_WITH_AS(data::read_text(folder / "c.txt"), doctest::Contains("c.txt: not UTF-8 at byte 2"), FileError);
  CHECK_THROWS_AS(data::read_text(folder / "d.txt"), FileError);
  CHECK_THROWS_AS(data::read_text(folder / "e.txt"), FileError);
}

TEST_CASE("windows: each row goes on where it ended, and y is x one token later") {
  const data::Windows windows(arange(23), 2, 4);  // two parts of 11
  CHECK(windows.size() == 2);
  CHECK(numbers(windows[0].x) == Numbers{0, 1, 2, 3, 11, 12, 13, 14});
  CHECK(numbers(windows[0].y) == Numbers{1, 2, 3, 4, 12, 13, 14, 15});
  CHECK(numbers(windows[1].x) == Numbers{4, 5, 6, 7, 15, 16, 17, 18});
  const data::Windows all(arange(23), 2, 4, {.drop_last = false});
  CHECK(all.size() == 3);
  CHECK(numbers(all[2].y) == Numbers{9, 10, 20, 21});
  int seen = 0;
  for (auto [x, y] : windows) seen += x.shape() == Shape{2, 4} && y.shape() == Shape{2, 4};
  CHECK(seen == 2);
  CHECK_THROWS_AS(data::Windows(arange(3), 2, 4), ShapeError);
  CHECK_THROWS_AS(data::Windows(arange(9), 0, 4), ValueError);
}

TEST_CASE("windows_at: anywhere in the text, dealt by a loader") {
  const Tensor tokens = arange(10);
  const auto d = data::windows_at(tokens, Numbers{6, 0}, 3);
  CHECK(numbers(d.x) == Numbers{6, 7, 8, 0, 1, 2});
  CHECK(numbers(d.y) == Numbers{7, 8, 9, 1, 2, 3});
  CHECK_THROWS_WITH_AS(data::windows_at(tokens, Numbers{7}, 3), doctest::Contains("do not fit at 7 of 10"), ValueError);
  CHECK_THROWS_AS(data::windows_at(tokens, Numbers{-1}, 3), ValueError);
  data::Loader windows(7, [=](data::Rows starts) { return data::windows_at(tokens, starts, 3); }, {.batch_size = 4});
  std::int64_t rows = 0;
  for (auto& [x, y] : windows) rows += x.size(0);
  CHECK(rows == 7);
}
