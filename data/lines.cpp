#include "wengert/data/lines.h"

namespace wengert::data {

// A longer line is no data, but a file that decompresses to gigabytes without line ends.
constexpr std::size_t longest_line = std::size_t{1} << 26;

bool Lines::next(std::string_view& line) {
  std::size_t searched = 0;
  for (;;) {
    const std::string_view rest = std::string_view(text_).substr(begin_);
    const auto end = rest.find('\n', searched);
    if (end != rest.npos) return take(line, rest.substr(0, end), end + 1);
    searched = rest.size();
    if (searched > longest_line) task_.fail("line {} is longer than {} bytes", number_ + 1, longest_line);
    if (!more()) return !text_.empty() && take(line, text_, text_.size());
  }
}

bool Lines::take(std::string_view& line, std::string_view text, std::size_t used) {
  if (number_++ == 0 && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.ends_with('\r')) text.remove_suffix(1);
  line = text, begin_ += used;
  return true;
}

// Drops processed lines and reads more.
bool Lines::more() {
  constexpr std::size_t part = 1 << 16;
  text_.erase(0, std::exchange(begin_, 0));
  const auto old = text_.size();
  text_.resize(old + part);
  const auto got = input_.read(text_.data() + old, part);
  text_.resize(old + got);
  return got > 0;
}

}  // namespace wengert::data
