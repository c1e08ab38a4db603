#pragma once

// A progress bar on a terminal, plain lines elsewhere.

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace common {

inline bool on_terminal() {
  static const bool terminal = isatty(STDOUT_FILENO);
  return terminal;
}

/// "1,234,567".
inline std::string grouped(std::int64_t n) {
  std::string s = std::to_string(n);
  for (auto i = static_cast<int>(s.size()) - 3; i > (n < 0 ? 1 : 0); i -= 3) s.insert(static_cast<std::size_t>(i), ",");
  return s;
}

/// "0:07", "12:34".
inline std::string clock_time(double seconds) {
  const auto s = static_cast<std::int64_t>(seconds + 0.5);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

/// How far a long loop has come, how fast, and how long it will take:
///
///   Progress progress(epochs * images, "images");
///   for (...) progress.advance(64);          // the bar, where there is a terminal
///   progress.say("epoch 1: loss 0.3");       // a line that stays, above the bar
class Progress {
 public:
  Progress(std::int64_t total, std::string unit) : total_(total), unit_(std::move(unit)) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;

  void advance(std::int64_t n) {
    done_ += n;
    const auto now = Clock::now();
    if (!on_terminal() || now - drawn_ < std::chrono::milliseconds(50)) return;
    drawn_ = now;
    draw();
  }

  void say(const std::string& line) {
    clear();
    fmt::print("{}\n", line);
    if (on_terminal() && done_ < total_) draw();
    std::fflush(stdout);
  }

  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double per_second() const { return static_cast<double>(done_) / std::max(seconds(), 1e-9); }
  double seconds_left() const { return static_cast<double>(total_ - done_) / std::max(per_second(), 1e-9); }

 private:
  using Clock = std::chrono::steady_clock;

  void draw() {
    const double part =
        std::min(1., static_cast<double>(done_) / static_cast<double>(std::max<std::int64_t>(total_, 1)));
    const auto text = fmt::format(" {:3.0f} %   {} {}/s   {} left", 100 * part,
                                  grouped(static_cast<std::int64_t>(per_second())), unit_, clock_time(seconds_left()));
    fmt::print("\r  {}{}\033[K", bar(part, std::clamp(columns() - static_cast<int>(text.size()) - 4, 8, 40)), text);
    std::fflush(stdout);
    shown_ = true;
  }

  // In eighths of a character.
  static std::string bar(double part, int width) {
    static constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const int filled = static_cast<int>(part * width * 8);
    std::string full;
    for (int i = 0; i < filled / 8; ++i) full += "█";
    full += eighths[filled % 8];
    const int empty = width - (filled + 7) / 8;
    return fmt::format("\033[36m{}\033[0m\033[2m{}\033[0m", full,
                       std::string(static_cast<std::size_t>(std::max(empty, 0)), '.'));
  }

  void clear() {
    if (shown_) fmt::print("\r\033[K");
    std::fflush(stdout);
    shown_ = false;
  }

  static int columns() {
    winsize size{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
  }

  std::int64_t total_, done_ = 0;
  std::string unit_;
  Clock::time_point start_ = Clock::now(), drawn_{};
  bool shown_ = false;
};

}  // namespace common
