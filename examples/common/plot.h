#pragma once

// Curves as a picture, drawn by gnuplot.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace common {

struct Curve {
  std::string name = {};  ///< written at its end
  std::vector<double> x = {}, y = {};
  int colour = 0;      ///< curves of one colour belong together
  bool faint = false;  ///< a noisy line behind the others
  bool dashed = false, points = false;

  void add(double x_next, double y_next) { x.push_back(x_next), y.push_back(y_next); }
};

struct Panel {
  std::string title, x_label = "epoch";
  std::vector<Curve> curves = {};
  bool logarithmic = false, logarithmic_x = false;
  double low = 1e300;                ///< where the y axis begins, if given
  std::string number_format = "%g";  ///< of the y axis
};

inline bool on_path(const std::string& program) {
  std::istringstream path(std::getenv("PATH") ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(path, folder, ':');)
    if (access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

namespace detail {

// In single quotes gnuplot takes everything as it is, but for the quote itself.
inline std::string quoted(const std::string& text) {
  std::string s = "'";
  for (const char c : text) s += c == '\'' ? "''" : std::string(1, c);
  return s + "'";
}

inline std::string data(const Curve& curve, const std::string& name) {
  std::string s = name + " << END\n";
  for (std::size_t i = 0; i < curve.x.size(); ++i) s += fmt::format("{} {}\n", curve.x[i], curve.y[i]);
  return s + "END\n";
}

// Names of curves that end close together are moved apart; in lines of text.
inline std::vector<double> label_shifts(const Panel& panel) {
  constexpr double lines = 15;  // fit into the height of a panel
  auto height = [&](double y) { return panel.logarithmic ? std::log10(std::max(y, 1e-300)) : y; };
  double low = 1e300, high = -1e300;
  std::vector<std::pair<double, std::size_t>> ends;
  for (std::size_t i = 0; i < panel.curves.size(); ++i) {
    const Curve& c = panel.curves[i];
    for (const double y : c.y)
      if (y >= panel.low || panel.low == 1e300) low = std::min(low, height(y)), high = std::max(high, height(y));
    if (!c.name.empty() && !c.y.empty()) ends.emplace_back(height(c.y.back()), i);
  }
  if (panel.logarithmic) low = std::floor(low), high = std::ceil(high);  // as the axis
  for (auto& end : ends) end.first = (end.first - low) / std::max(high - low, 1e-300) * lines;
  std::sort(ends.begin(), ends.end());
  auto places = ends;
  for (int round = 0; round < 200; ++round)
    for (std::size_t k = 1; k < places.size(); ++k)
      if (const double missing = 1.05 - (places[k].first - places[k - 1].first); missing > 0)
        places[k - 1].first -= missing / 2, places[k].first += missing / 2;
  std::vector<double> shift(panel.curves.size());
  for (std::size_t k = 0; k < ends.size(); ++k) shift[ends[k].second] = places[k].first - ends[k].first;
  return shift;
}

inline std::string draw(const Panel& panel, int number) {
  static constexpr const char* strong[] = {"#2f6db3", "#d1495b", "#3a8f5c", "#b07d12",
                                           "#7b5ea7", "#20a0a8", "#c2649c", "#555555"};
  static constexpr const char* pale[] = {"#c3d6ea", "#f1c9cf", "#c4dfce", "#e7d7b0",
                                         "#d6cce6", "#bfe3e5", "#ecd0e0", "#cccccc"};
  std::string s, curves;
  for (std::size_t i = 0; i < panel.curves.size(); ++i) {
    const Curve& c = panel.curves[i];
    if (c.x.empty()) continue;
    const std::string name = fmt::format("$panel{}_{}", number, i);
    s += data(c, name);
    curves += curves.empty() ? "plot " : ", ";
    const char* colour = (c.faint ? pale : strong)[c.colour % 8];
    if (c.points) curves += fmt::format("{} using 1:2 with points pt 7 ps 0.5 lc rgb '{}'", name, colour);
    else
      curves += fmt::format("{} using 1:2 with lines lw {} dt {} lc rgb '{}'", name, c.faint ? 1 : 2.5,
                            c.dashed ? 2 : 1, colour);
  }
  if (curves.empty()) return "";
  const auto shift = label_shifts(panel);
  for (std::size_t i = 0; i < panel.curves.size(); ++i)
    if (const Curve& c = panel.curves[i]; !c.name.empty() && !c.x.empty())
      s += fmt::format("set label {} at {}, {} offset 0.8, {} textcolor rgb '{}'\n", quoted(c.name), c.x.back(),
                       c.y.back(), shift[i], strong[c.colour % 8]);
  s += fmt::format("set label {} at graph 0, graph 1.09\nset xlabel {}\nset format y '{}'\n",
                   quoted("{/:Bold " + panel.title + "}"), quoted(panel.x_label), panel.number_format);
  s += panel.logarithmic ? "set logscale y\n" : "unset logscale y\n";
  s += panel.logarithmic_x ? "set logscale x\n" : "unset logscale x\n";
  s += panel.low < 1e300 ? fmt::format("set yrange [{}:*]\n", panel.low) : "set yrange [*:*]\n";
  return s + curves + "\nunset label\n";
}

// False when gnuplot is not there or fails.
inline bool run_gnuplot(const std::string& script) {
  if (!on_path("gnuplot")) return false;
  auto* const before = std::signal(SIGPIPE, SIG_IGN);  // should gnuplot go away early, its exit status tells
  std::FILE* gnuplot = popen("gnuplot", "w");
  if (gnuplot) std::fputs(script.c_str(), gnuplot);
  const bool drawn = gnuplot && pclose(gnuplot) == 0;
  std::signal(SIGPIPE, before);
  return drawn;
}

}  // namespace detail

/// Says what became of a picture.
inline void tell(bool drawn, const std::string& path, const std::string& what) {
  if (drawn) fmt::print("{} shows {}\n", path, what);
  else fmt::print("{} was not drawn: it needs gnuplot (Debian: apt-get install gnuplot-nox)\n", path);
}

/// Panels, up to three in a row, as SVG. False when gnuplot is not there or fails.
inline bool plot(const std::string& path, const std::vector<Panel>& panels) {
  const std::size_t across = std::clamp<std::size_t>(panels.size(), 1, panels.size() == 4 ? 2 : 3);
  const std::size_t down = (panels.size() + across - 1) / across;
  std::size_t longest = 0;  // of the names, which stand on the right
  for (const Panel& panel : panels)
    for (const Curve& c : panel.curves) longest = std::max(longest, c.name.size());
  std::string script = fmt::format(
      "set terminal svg enhanced rounded size {},{} font 'sans-serif,14' background '#ffffff'\n"
      "set output {}\n"
      "set border 3 lw 1 lc rgb '#888888'\n"
      "set tics nomirror scale 0.5 textcolor rgb '#444444'\n"
      "set grid ytics lt 1 lw 0.7 lc rgb '#e4e4e4'\n"
      "set xlabel textcolor rgb '#444444'\n"
      "set key off\n"
      "set rmargin {}\n"
      "set tmargin 3\n"
      "set multiplot layout {}, {}\n",
      500 * across, 400 * down, detail::quoted(path), std::max<std::size_t>(9, longest + 2), down, across);
  int number = 0;
  for (auto& panel : panels) script += detail::draw(panel, number++);

  return detail::run_gnuplot(script);
}

}  // namespace common
