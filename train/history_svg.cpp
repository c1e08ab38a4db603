// A history as SVG: panels of curves over epochs.

#include "wengert/autodiff/base/fail.h"
#include "wengert/train/history.h"

#include <algorithm>
#include <cmath>

namespace wengert::train {

namespace {

constexpr double width = 440, height = 300, left = 66, right = 14, top = 40, bottom = 42;
constexpr const char* colors[] = {"#2f6db3", "#d1495b", "#3a8f5c", "#b07d12", "#7b5ea7"};

struct Panel {
  std::string title;
  std::vector<const History::Column*> curves;
};

std::string_view last_word(std::string_view name) { return name.substr(name.find_last_of(' ') + 1); }

std::vector<Panel> panels_of(const History& history) {
  std::vector<Panel> all;
  for (const auto& c : history.columns) {
    if (c.name == "epoch" || c.name == "step" || c.name == "seconds") continue;
    if (std::ranges::none_of(c.values, [](double y) { return std::isfinite(y); })) continue;
    const auto same = [&](const Panel& p) { return p.title == last_word(c.name); };
    auto panel = std::ranges::find_if(all, same);
    if (panel == all.end()) panel = all.insert(all.end(), {std::string(last_word(c.name)), {}});
    panel->curves.push_back(&c);
  }
  // Losses come first.
  const auto loss = std::ranges::find_if(all, [](const Panel& p) { return p.title == "loss"; });
  if (loss != all.end()) std::rotate(all.begin(), loss, loss + 1);
  return all;
}

std::string escaped(std::string_view text) {
  std::string s;
  for (const char c : text) s += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return s;
}

/// Maps values to coordinates, and places grid lines at about five round numbers or at powers of ten.
struct Axis {
  double low, high;
  bool logarithmic = false;
  std::vector<double> ticks = {};

  double part(double x) const {
    if (logarithmic) return (std::log10(x) - std::log10(low)) / (std::log10(high) - std::log10(low));
    return (x - low) / (high - low);
  }
};

Axis linear(double low, double high) {
  if (!(high > low)) low -= 0.5 * std::max(std::abs(low), 1.0), high += 0.5 * std::max(std::abs(high), 1.0);
  const double rough = (high - low) / 5, unit = std::pow(10, std::floor(std::log10(rough)));
  const double step = rough / unit > 5 ? 10 * unit : rough / unit > 2 ? 5 * unit : rough / unit > 1 ? 2 * unit : unit;
  Axis axis{std::floor(low / step) * step, std::ceil(high / step) * step};
  for (int i = 0; axis.low + i * step < axis.high + step / 2; ++i) axis.ticks.push_back(axis.low + i * step);
  return axis;
}
Axis decades(double low, double high) {
  Axis axis{low / 1.2, high * 1.2, true};
  const int first = static_cast<int>(std::ceil(std::log10(axis.low)));
  const int n = static_cast<int>(std::floor(std::log10(axis.high))) - first + 1, every = std::max(1, (n + 5) / 6);
  for (int i = 0; i < n; i += every) axis.ticks.push_back(std::pow(10, first + i));
  return axis;
}

Axis axis_of(const Panel& panel) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const auto* c : panel.curves)
    for (const double y : c->values)
      if (std::isfinite(y)) low = std::min(low, y), high = std::max(high, y);
  return low > 0 && high > 30 * low ? decades(low, high) : linear(low, high);
}

std::string line(double x1, double y1, double x2, double y2, const char* color) {
  return fmt::format("<path d='M{:.1f},{:.1f} L{:.1f},{:.1f}' stroke='{}'/>\n", x1, y1, x2, y2, color);
}
std::string text(double x, double y, std::string_view anchor, std::string_view words, const char* color = "#444444") {
  return fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}' fill='{}'>{}</text>\n", x, y, anchor, color,
                     escaped(words));
}

std::string draw(const Panel& panel, const std::vector<double>& epochs) {
  const Axis y = axis_of(panel);
  // The axis spans the epochs without margins.
  const Axis x = epochs.size() > 1
                     ? Axis{epochs.front(), epochs.back(), false, linear(epochs.front(), epochs.back()).ticks}
                     : linear(epochs.front(), epochs.front());
  auto across = [&](double v) { return left + x.part(v) * (width - left - right); };
  auto up = [&](double v) { return height - bottom - y.part(v) * (height - top - bottom); };
  std::string s;
  for (const double t : y.ticks)
    s +=
        line(left, up(t), width - right, up(t), "#e4e4e4") + text(left - 8, up(t) + 4, "end", fmt::format("{:.4g}", t));
  for (const double t : x.ticks)
    if (t == std::floor(t) && t >= x.low && t <= x.high)
      s += line(across(t), height - bottom, across(t), height - bottom + 4, "#888888") +
           text(across(t), height - bottom + 18, "middle", fmt::format("{:g}", t));
  s += line(left, top, left, height - bottom, "#888888");
  s += line(left, height - bottom, width - right, height - bottom, "#888888");
  s += text((left + width - right) / 2, height - 6, "middle", "epoch");
  double at = width - right;
  for (std::size_t k = panel.curves.size();
       k-- > 0;) {  // names at the right of the title line, the first outermost left
    const char* color = colors[k % std::size(colors)];
    if (panel.curves.size() > 1) {
      s += text(at, 22, "end", panel.curves[k]->name, color);
      at -= 8.0 * static_cast<double>(panel.curves[k]->name.size()) + 14;
    }
    std::string path, dots;
    bool pen_up = true;
    for (std::size_t i = 0; i < epochs.size(); ++i) {
      const double v = panel.curves[k]->values[i];
      if (!std::isfinite(v)) {
        pen_up = true;
        continue;
      }
      path += fmt::format("{}{:.1f},{:.1f} ", pen_up ? "M" : "L", across(epochs[i]), up(v));
      if (epochs.size() <= 30)
        dots += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='2.5' fill='{}'/>\n", across(epochs[i]), up(v), color);
      pen_up = false;
    }
    s += fmt::format("<path d='{}' fill='none' stroke='{}' stroke-width='2' stroke-linejoin='round'/>\n{}", path, color,
                     dots);
  }
  return s + fmt::format("<text x='{:.1f}' y='22' font-weight='bold' fill='#222222'>{}</text>\n", left,
                         escaped(panel.title));
}

}  // namespace

std::string History::svg() const {
  const auto panels = size() ? panels_of(*this) : std::vector<Panel>();
  const std::size_t across = std::clamp<std::size_t>(panels.size(), 1, 3), down = (panels.size() + across - 1) / across;
  std::string s = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' viewBox='0 0 {0} {1}' font-family='sans-serif' "
      "font-size='13'>\n<rect width='100%' height='100%' fill='#ffffff'/>\n",
      across * static_cast<std::size_t>(width), std::max<std::size_t>(down, 1) * static_cast<std::size_t>(height));
  for (std::size_t i = 0; i < panels.size(); ++i)
    s += fmt::format("<g transform='translate({},{})'>\n{}</g>\n", static_cast<double>(i % across) * width,
                     static_cast<double>(i / across) * height, draw(panels[i], columns.front().values));
  return s + "</svg>\n";
}

}  // namespace wengert::train
