#include "wengert/data/text.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/data/input.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace wengert::data {

using detail::in_quotes;

namespace {

constexpr std::string_view unknown = "<unknown>", blanks = " \t\r\n\v\f";

// Length of the UTF-8 character at the start of the text; 0 if there is none (Unicode 15, table 3-7).
std::size_t character_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned a = byte(0), b = byte(1);
  if (a < 0x80) return 1;
  if (a < 0xC2 || !follows(1)) return 0;
  if (a < 0xE0) return 2;
  if (!follows(2) || (a == 0xE0 && b < 0xA0) || (a == 0xED && b > 0x9F)) return 0;
  if (a < 0xF0) return 3;
  if (!follows(3) || (a == 0xF0 && b < 0x90) || a > 0xF4 || (a == 0xF4 && b > 0x8F)) return 0;
  return 4;
}

// The first position that is not UTF-8.
std::optional<std::size_t> first_odd_byte(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto n = character_length(text.substr(i));
    if (n == 0) return i;
    i += n;
  }
  return {};
}

void check_utf8(const char* who, std::string_view text, Where where) {
  if (const auto odd = first_odd_byte(text)) fail<ValueError>(where, "{}: the text is not UTF-8 at byte {}", who, *odd);
}

// Calls f(token) for each token; characters must be UTF-8.
template <class F>
void for_each_token(std::string_view text, Unit unit, F&& f) {
  while (!text.empty()) {
    if (unit == Unit::words) {
      text.remove_prefix(std::min(text.size(), text.find_first_not_of(blanks)));
      if (text.empty()) return;
    }
    const auto n = unit == Unit::words ? std::min(text.size(), text.find_first_of(blanks)) : character_length(text);
    f(text.substr(0, n));
    text.remove_prefix(n);
  }
}

struct Counted {
  std::string_view token;
  std::int64_t times;
};

// Every token of the text, in alphabetical order, which is that of code points.
std::vector<Counted> count_tokens(std::string_view text, Unit unit) {
  std::vector<std::string_view> all;
  for_each_token(text, unit, [&](std::string_view token) { all.push_back(token); });
  std::sort(all.begin(), all.end());
  std::vector<Counted> counts;
  for (auto token : all) {
    if (counts.empty() || counts.back().token != token) counts.push_back({token, 0});
    ++counts.back().times;
  }
  return counts;
}

}  // namespace

Vocabulary::Vocabulary(std::string_view text, Unit unit, std::int64_t max_tokens, Where where) : unit_(unit) {
  if (max_tokens < 0 || max_tokens == 1)
    fail<ValueError>(where, "vocabulary: max_tokens must be >= 2, or 0 for no limit, got {}", max_tokens);
  check_utf8("vocabulary", text, where);
  auto counts = count_tokens(text, unit);
  const bool limited = max_tokens > 0 && static_cast<std::int64_t>(counts.size()) > max_tokens;
  const auto more_often = [](const Counted& a, const Counted& b) { return a.times > b.times; };
  if (unit == Unit::words || limited) std::stable_sort(counts.begin(), counts.end(), more_often);
  if (limited) {
    counts.resize(static_cast<std::size_t>(max_tokens - 1));
    tokens_.emplace_back(unknown);
    if (unit == Unit::characters) std::ranges::sort(counts, {}, &Counted::token);
  }
  for (auto& c : counts) tokens_.emplace_back(c.token);
  sort_index(where);
}

Vocabulary::Vocabulary(std::vector<std::string> tokens, Unit unit, Where where)
    : tokens_(std::move(tokens)), unit_(unit) {
  sort_index(where);
}

void Vocabulary::sort_index(Where where) {
  sorted_.resize(tokens_.size());
  std::iota(sorted_.begin(), sorted_.end(), std::int64_t{0});
  const auto token = [&](std::int64_t i) -> const std::string& { return tokens_[static_cast<std::size_t>(i)]; };
  std::ranges::sort(sorted_, {}, token);
  for (std::size_t i = 0; i < sorted_.size(); ++i) {
    if (i && token(sorted_[i]) == token(sorted_[i - 1]))
      fail<ValueError>(where, "vocabulary: the token {} is given twice", in_quotes(token(sorted_[i])));
    if (token(sorted_[i]) == unknown) unknown_ = sorted_[i];
  }
}

std::int64_t Vocabulary::number(std::string_view token, Where where) const {
  const auto name = [&](std::int64_t i) { return std::string_view(tokens_[static_cast<std::size_t>(i)]); };
  const auto found = std::ranges::lower_bound(sorted_, token, {}, name);
  if (found != sorted_.end() && name(*found) == token) return *found;
  if (unknown_ < 0)
    fail<ValueError>(where, "vocabulary: {} is none of its {} tokens, and there is no {} to stand for it",
                     in_quotes(token), size(), unknown);
  return unknown_;
}

Tensor Vocabulary::encode(std::string_view text, Where where) const {
  check_utf8("encode", text, where);
  std::vector<std::int64_t> numbers;
  for_each_token(text, unit_, [&](std::string_view token) { numbers.push_back(number(token, where)); });
  return from(numbers, {static_cast<std::int64_t>(numbers.size())});
}

std::string Vocabulary::decode(const Tensor& numbers, Where where) const {
  std::string text;
  for (const auto i : numbers.to_vector<std::int64_t>(where)) {
    if (i < 0 || i >= size()) fail<ValueError>(where, "decode: there is no token {}; there are {}", i, size());
    if (unit_ == Unit::words && !text.empty()) text += ' ';
    text += tokens_[static_cast<std::size_t>(i)];
  }
  return text;
}

Text read_text(const std::string& path, TextOptions options, Where where) {
  const detail::FileTask task{"read_text", path, where};
  Input input(task);
  std::string text;
  constexpr std::size_t part = 1 << 16;
  for (std::size_t got = part; got == part;) {
    const auto old = text.size();
    text.resize(old + part);
    got = input.read(text.data() + old, part);
    text.resize(old + got);
  }
  if (text.empty()) task.fail("the file is empty");
  if (const auto odd = first_odd_byte(text)) task.fail("not UTF-8 at byte {}", *odd);
  Vocabulary vocabulary =
      options.vocabulary ? *options.vocabulary : Vocabulary(text, options.unit, options.max_tokens, where);
  const Tensor tokens = vocabulary.encode(text, where);
  return {std::move(vocabulary), tokens};
}

Windows::Windows(const Tensor& tokens, std::int64_t batch, std::int64_t time, WindowsOptions options, Where where)
    : time_(time) {
  if (batch < 1 || time < 1)
    fail<ValueError>(where, "windows: batch and time must be >= 1, got {} and {}", batch, time);
  if (tokens.rank() != 1 || tokens.size(0) / batch < 2)
    fail<ShapeError>(where, "windows: {} parts need tokens [n] with n >= {}, got {}", batch, 2 * batch, tokens.shape());
  const std::int64_t length = tokens.size(0) / batch;
  parts_ = reshape(narrow(tokens.detach(), 0, 0, batch * length), {batch, length});
  count_ = (length - 1) / time + (!options.drop_last && (length - 1) % time != 0);
}

Dataset Windows::operator[](std::int64_t i) const {
  const std::int64_t begin = i * time_, n = std::min(time_, parts_.size(1) - 1 - begin);
  return {narrow(parts_, 1, begin, n), narrow(parts_, 1, begin + 1, n)};
}

Dataset windows_at(const Tensor& tokens, Rows starts, std::int64_t time, Where where) {
  if (tokens.rank() != 1) fail<ShapeError>(where, "windows_at: tokens must be [n], got {}", tokens.shape());
  if (time < 1) fail<ValueError>(where, "windows_at: time must be >= 1, got {}", time);
  const Tensor packed = contiguous(tokens.detach());
  const auto all = packed.read<std::int64_t>(where);
  Dataset d{empty({static_cast<std::int64_t>(starts.size()), time}, int64),
            empty({static_cast<std::int64_t>(starts.size()), time}, int64)};
  auto *x = wengert::detail::fresh<std::int64_t>(d.x), *y = wengert::detail::fresh<std::int64_t>(d.y);
  for (const auto start : starts) {
    if (start < 0 || start >= packed.size(0) - time)
      fail<ValueError>(where, "windows_at: {} tokens and the one that follows do not fit at {} of {}", time, start,
                       packed.size(0));
    x = std::copy_n(all.begin() + start, time, x), y = std::copy_n(all.begin() + start + 1, time, y);
  }
  return d;
}

}  // namespace wengert::data
