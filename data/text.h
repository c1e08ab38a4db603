#pragma once

// Texts as numbers, for models of language.
//
//   const data::Text text = data::read_text("tinyshakespeare.txt");
//   for (auto [x, y] : data::Windows(text.tokens, 32, 64)) ...   // [batch, time]; y is x one token later
//   std::cout << text.vocabulary.decode(text.tokens);

#include "wengert/data/dataset.h"

#include <string>
#include <string_view>
#include <vector>

namespace wengert::data {

/// Characters are code points of UTF-8; words are what stands between blanks and ends of lines.
enum class Unit { characters, words };

/// Tokens and their numbers.
class WENGERT_API Vocabulary {
 public:
  Vocabulary() = default;
  /// The tokens of a text: characters in the order of their code points, words by how often they occur, the most
  /// frequent ones first and equally frequent ones in alphabetical order. With `most`, only so many tokens, the first
  /// of which, "<unknown>", stands for all others. ValueError for a text that is not UTF-8, or when most is 1 or
  /// negative.
  explicit Vocabulary(std::string_view text, Unit unit = Unit::characters, std::int64_t most = 0,
                      Where = Where::current());
  /// These, from 0; the token "<unknown>" stands for all others if it is among them. ValueError for a token given
  /// twice.
  explicit Vocabulary(std::vector<std::string> tokens, Unit unit = Unit::characters, Where = Where::current());

  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }
  Unit unit() const { return unit_; }
  /// By their numbers; a file for them is one token a line, or metadata of a model.
  const std::vector<std::string>& tokens() const { return tokens_; }

  /// int64 [tokens of the text]. ValueError for a token that is not there and has no "<unknown>" to stand for it, and
  /// for a text that is not UTF-8.
  Tensor encode(std::string_view text, Where = Where::current()) const;
  /// The text of int64 numbers of any shape; blanks are put between words. ValueError when one is out of range.
  std::string decode(const Tensor& numbers, Where = Where::current()) const;

 private:
  void sort_index(Where);
  std::int64_t number(std::string_view token, Where) const;

  std::vector<std::string> tokens_;
  std::vector<std::int64_t> sorted_;  // numbers in alphabetical order of their tokens
  Unit unit_ = Unit::characters;
  std::int64_t unknown_ = -1;
};

/// A text and its tokens.
struct Text {
  Vocabulary vocabulary;
  Tensor tokens;  ///< int64 [n]
};

struct TextOptions {
  Unit unit = Unit::characters;
  std::int64_t most = 0;                   ///< tokens in the vocabulary; 0: all
  const Vocabulary* vocabulary = nullptr;  ///< of a text read before, instead of a new one
};
/// A text file, plain or gzip. FileError when it is not UTF-8 or empty; ValueError as Vocabulary.
WENGERT_API Text read_text(const std::string& path, TextOptions = {}, Where = Where::current());

/// Tokens [n] in windows [batch, time], for models that go on with their state: the text is cut into `batch` parts of
/// equal length, and row b of the next window goes on where row b of this one ended. y is what follows x. What is left
/// at the end of the parts makes a shorter window, or is dropped.
class WENGERT_API Windows {
 public:
  /// ShapeError unless the tokens are [n] with at least two for each part; ValueError unless batch and time are at
  /// least 1.
  Windows(const Tensor& tokens, std::int64_t batch, std::int64_t time, bool drop_last = true, Where = Where::current());

  std::int64_t size() const { return count_; }
  /// x and y, views [batch, time].
  Dataset operator[](std::int64_t i) const;

  class Iterator {
   public:
    Iterator(const Windows& of, std::int64_t i) : of_(&of), i_(i) {}
    Dataset operator*() const { return (*of_)[i_]; }
    Iterator& operator++() { return ++i_, *this; }
    bool operator==(const Iterator& o) const { return i_ == o.i_; }

   private:
    const Windows* of_;
    std::int64_t i_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, count_}; }

 private:
  Tensor parts_;  // [batch, length + 1]
  std::int64_t time_, count_;
};

/// The tokens [n] from each of these places on: x and y [starts, time], y one token later. With a Loader, windows from
/// anywhere in the text:
///   data::Loader windows(n - time, [=](data::Rows starts) { return data::windows_at(tokens, starts, time); });
/// ValueError unless 0 <= start < n - time.
WENGERT_API Dataset windows_at(const Tensor& tokens, Rows starts, std::int64_t time, Where = Where::current());

}  // namespace wengert::data
