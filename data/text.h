#pragma once

// Texts as int64 tokens, for language models.
//
//   const data::Text text = data::read_text("tinyshakespeare.txt");
//   for (auto [x, y] : data::Windows(text.tokens, 32, 64)) ...   // [batch, time]; y is x one token later
//   std::cout << text.vocabulary.decode(text.tokens);

#include "wengert/data/dataset.h"

#include <string>
#include <string_view>
#include <vector>

namespace wengert::data {

/// Characters are code points of UTF-8. Words are separated by blanks and ends of lines.
enum class Unit { characters, words };

/// Tokens and their indices.
class WENGERT_API Vocabulary {
 public:
  Vocabulary() = default;
  /// The tokens of a text: characters in the order of their code points; words by frequency, and equally frequent words
  /// in alphabetical order. max_tokens limits the number of tokens: the first token, "<unknown>", then stands for all
  /// others. ValueError for a text that is not UTF-8, or when max_tokens is 1 or negative.
  explicit Vocabulary(std::string_view text, Unit unit = Unit::characters, std::int64_t max_tokens = 0,
                      Where = Where::current());
  /// These tokens, with indices from 0. The token "<unknown>", if it is among them, stands for all others. ValueError
  /// for a repeated token.
  explicit Vocabulary(std::vector<std::string> tokens, Unit unit = Unit::characters, Where = Where::current());

  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }
  Unit unit() const { return unit_; }
  /// The tokens in the order of their indices.
  const std::vector<std::string>& tokens() const { return tokens_; }

  /// The indices of the tokens of a text, int64 [n]. ValueError for an unknown token when there is no "<unknown>", and
  /// for a text that is not UTF-8.
  Tensor encode(std::string_view text, Where = Where::current()) const;
  /// The text of int64 indices of any shape, with blanks between words. ValueError for an index out of range.
  std::string decode(const Tensor& numbers, Where = Where::current()) const;

 private:
  void sort_index(Where);
  std::int64_t number(std::string_view token, Where) const;

  std::vector<std::string> tokens_;
  std::vector<std::int64_t> sorted_;  // indices in alphabetical order of their tokens
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
  std::int64_t max_tokens = 0;             ///< in the vocabulary; 0: all
  const Vocabulary* vocabulary = nullptr;  ///< an existing vocabulary, instead of a new one
};
/// A text file, plain or gzip. FileError when it is not UTF-8 or empty; ValueError as Vocabulary.
WENGERT_API Text read_text(const std::string& path, TextOptions = {}, Where = Where::current());

struct WindowsOptions {
  bool drop_last = true;  ///< false: the rest of the text makes a shorter window
};

/// Windows [batch, time] over tokens [n], for models that keep their state from window to window. The text is divided
/// into `batch` parts of equal length, and row b of a window continues where row b of the window before ended. y is x
/// one token later. The rest of the parts makes a shorter window, or is dropped with drop_last.
class WENGERT_API Windows {
 public:
  /// ShapeError unless the tokens are [n] with at least two for each part; ValueError unless batch and time are
  /// >= 1.
  Windows(const Tensor& tokens, std::int64_t batch, std::int64_t time, WindowsOptions = {}, Where = Where::current());

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

/// Windows of the tokens [n] that begin at `starts`: x and y [starts, time], y one token later. A Loader deals windows
/// from anywhere in a text:
///   data::Loader windows(n - time, [=](data::Rows starts) { return data::windows_at(tokens, starts, time); });
/// ValueError unless 0 <= start < n - time.
WENGERT_API Dataset windows_at(const Tensor& tokens, Rows starts, std::int64_t time, Where = Where::current());

}  // namespace wengert::data
