#pragma once

// Paths over the contours of a function of two variables, drawn by gnuplot.

#include "plot.h"

#include <functional>

namespace common {

struct Path {
  std::string name;
  std::vector<double> x = {}, y = {};
  bool points = false;  ///< not a path, but points
};

struct Map {
  std::string title;
  double left, right, bottom, top;
  std::function<double(double, double)> height;
  std::vector<double> levels;  ///< of the contours
  std::vector<Path> paths = {};
};

namespace detail {

inline std::string draw(const Map& map, int number) {
  static constexpr const char* colours[] = {"#2f6db3", "#d1495b", "#3a8f5c", "#b07d12", "#7b5ea7",
                                            "#20a0a8", "#c2649c", "#444444", "#8a5a2b"};
  constexpr int cells = 120;
  std::string s = fmt::format("set label {} at graph 0, graph 1.07\nset xrange [{}:{}]\nset yrange [{}:{}]\n",
                              quoted("{/:Bold " + map.title + "}"), map.left, map.right, map.bottom, map.top);
  s += fmt::format("$grid{} << END\n", number);
  for (int i = 0; i <= cells; ++i, s += "\n")
    for (int j = 0; j <= cells; ++j) {
      const double x = map.left + (map.right - map.left) * j / cells,
                   y = map.bottom + (map.top - map.bottom) * i / cells;
      s += fmt::format("{:.5g} {:.5g} {:.6g}\n", x, y, map.height(x, y));
    }
  std::string levels;
  for (const double l : map.levels) levels += fmt::format("{}{}", levels.empty() ? "" : ",", l);
  s += fmt::format(
      "END\nset contour base\nunset surface\nset cntrparam levels discrete {}\nset table $lines{}\nsplot $grid{} using "
      "1:2:3 with lines\nunset table\nunset contour\n",
      levels, number, number);
  std::string curves = fmt::format("plot $lines{} using 1:2 with lines lw {} lc rgb '{}' notitle", number,
                                   map.levels.size() > 1 ? 0.7 : 2, map.levels.size() > 1 ? "#c8c8c8" : "#444444");
  for (std::size_t p = 0; p < map.paths.size(); ++p) {
    const Path& path = map.paths[p];
    s += fmt::format("$path{}_{} << END\n", number, p);
    for (std::size_t i = 0; i < path.x.size(); ++i) s += fmt::format("{:.6g} {:.6g}\n", path.x[i], path.y[i]);
    s += "END\n";
    const char* colour = colours[p % std::size(colours)];
    const std::string name = fmt::format(", $path{}_{} using 1:2", number, p);
    if (path.points) {
      curves += fmt::format("{} with points pt 7 ps 0.25 lc rgb '{}' title {}", name, colour, quoted(path.name));
      continue;
    }
    curves += fmt::format("{} with lines lw 2 lc rgb '{}' title {}", name, colour, quoted(path.name));
    curves += fmt::format("{} every ::{} with points pt 7 ps 0.6 lc rgb '{}' notitle", name, path.x.size() - 1, colour);
  }
  return s + curves + "\nunset label\n";
}

}  // namespace detail

/// Two maps in a row, as SVG. False when gnuplot is not there or fails.
inline bool plot(const std::string& path, const std::vector<Map>& maps) {
  const std::size_t rows = (maps.size() + 1) / 2, columns = std::min<std::size_t>(maps.size(), 2);
  std::string script = fmt::format(
      "set terminal svg enhanced rounded size {},{} font 'sans-serif,14' background '#ffffff'\n"
      "set output {}\n"
      "set border 3 lw 1 lc rgb '#888888'\n"
      "set tics nomirror scale 0.5 textcolor rgb '#444444'\n"
      "set key outside right top samplen 1.5 textcolor rgb '#444444'\n"
      "set tmargin 3\n"
      "set multiplot layout {}, {}\n",
      620 * columns, 420 * rows, detail::quoted(path), rows, columns);
  int number = 0;
  for (const Map& map : maps) script += detail::draw(map, number++);
  return detail::run_gnuplot(script);
}

}  // namespace common
