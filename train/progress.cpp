#include "wengert/train/progress.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace wengert::train {

namespace {

// "0:07", "12:34", "1:02:03".
std::string clock_time(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const auto s = static_cast<std::int64_t>(seconds + 0.5);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

// A bar with a resolution of one eighth of a character.
std::string bar(double part, int width) {
  static constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int filled = static_cast<int>(std::clamp(part, 0.0, 1.0) * width * 8);
  std::string full;
  for (int i = 0; i < filled / 8; ++i) full += "█";
  return fmt::format("{}{}{}", full, eighths[filled % 8],
                     std::string(static_cast<std::size_t>(width - (filled + 7) / 8), '.'));
}

std::string epoch_line(const FitEvent& e) {
  const auto digits = std::to_string(e.epochs).size();
  std::string s = fmt::format("epoch {:>{}}/{}", e.epoch, digits, e.epochs);
  for (const History::Column& c : e.history.columns) {
    if (c.name == "epoch" || c.name == "step" || c.name == "seconds") continue;
    if (c.name == "lr" && std::isnan(c.values.back())) continue;
    s += fmt::format("   {} {:<9.4g}", c.name, c.values.back());
  }
  return s +
         fmt::format("   {}/s   {} left", readable_count(std::llround(e.rows_per_second)), clock_time(e.seconds_left));
}

int columns_of(std::FILE* file) {
  winsize size{};
  if (!isatty(fileno(file))) return 0;
  return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

}  // namespace

ProgressBar::ProgressBar(std::FILE* file) : ProgressBar(file, columns_of(file)) {}
ProgressBar::ProgressBar(std::FILE* file, int columns) : file_(file), columns_(columns) {}

void ProgressBar::clear() {
  if (shown_) std::fputs("\r\033[K", file_);
  shown_ = false;
}

void ProgressBar::operator()(const FitEvent& e) {
  if (e.end || e.end_of_epoch) clear();
  if (e.end_of_epoch) std::fputs((epoch_line(e) + "\n").c_str(), file_);
  if (e.end || e.end_of_epoch) return void(std::fflush(file_));
  if (columns_ <= 0 || (drawn_ >= 0 && e.seconds < drawn_ + 0.05)) return;
  drawn_ = e.seconds, shown_ = true;
  const std::string where = e.batches ? fmt::format("{}/{}", e.batch, e.batches) : std::to_string(e.batch);
  const auto text = fmt::format("epoch {}/{}  {}  loss {:.4g}  {}/s  {} left", e.epoch, e.epochs, where, e.loss,
                                readable_count(std::llround(e.rows_per_second)), clock_time(e.seconds_left));
  const int room = std::min(columns_ - static_cast<int>(text.size()) - 5, 40);
  const double part = e.batches ? static_cast<double>(e.batch) / static_cast<double>(e.batches) : 0;
  const std::string drawn = room >= 5 && e.batches ? bar(part, room) + "  " : "";
  std::fputs(fmt::format("\r{}{}\033[K", drawn, text.substr(0, static_cast<std::size_t>(columns_ - 1))).c_str(), file_);
  std::fflush(file_);
}

}  // namespace wengert::train
