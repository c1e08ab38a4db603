#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/text.h"
#include "wengert/autodiff/inspect/picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>

namespace wengert {

using namespace picture;

namespace {

struct Look {
  std::string_view legend, shape, fill, line;
};
constexpr std::array<Look, 7> looks{{
    {"operator", "box", "#e8f0fb", "#5b87c7"},
    {"result", "box", "#fbe3e4", "#c9454f"},
    {"parameter", "cylinder", "#fdf0d0", "#c9932a"},
    {"buffer", "cylinder", "#f5f2ea", "#a89a7c"},
    {"variable", "ellipse", "#efe6f8", "#8a5fb5"},
    {"input", "ellipse", "#e2f3e3", "#4f9a57"},
    {"data", "ellipse", "#f1f1f1", "#8f8f8f"},
}};
const Look& look_of(Role r) { return looks[static_cast<std::size_t>(r)]; }

// Text inside an HTML-like label. Bytes that are no printable ASCII and no UTF-8 would stop dot.
std::string html(std::string_view text) {
  std::string s;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = c < 0x80                ? 1
                               : c >= 0xc2 && c < 0xe0 ? 2
                               : c >= 0xe0 && c < 0xf0 ? 3
                               : c >= 0xf0 && c < 0xf5 ? 4
                                                       : 0;
    bool whole = length > 0 && i + length <= text.size();
    for (std::size_t k = 1; whole && k < length; ++k) whole = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    if (!whole || c < 0x20 || c == 0x7f) s += '?';
    else if (c == '&') s += "&amp;";
    else if (c == '<') s += "&lt;";
    else if (c == '>') s += "&gt;";
    else if (c == '"') s += "&quot;";
    else s += text.substr(i, length);
    i += whole ? length : 1;
  }
  return s.empty() ? "?" : s;
}

// Text inside a quoted string; the backslash is special to dot twice.
std::string quoted(std::string_view text) {
  std::string s = "\"";
  for (const char c : html(text))
    if (c == '\\') s += "\\\\";
    else s += c;
  return s + '"';
}

// The colors of operators by time or bytes, from white to red. The root of the share, so that differences among the
// small show.
struct Heat {
  ColorBy by;
  double most = 0, all = 0;

  explicit Heat(const Picture& p) : by(p.color_by) {
    for (const Box& b : p.boxes)
      if (is_shown(b)) most = std::max(most, amount(b)), all += amount(b);
  }
  bool on() const { return by != ColorBy::kind; }
  bool is_shown(const Box& b) const { return on() && is_operator(b) && (by == ColorBy::bytes || b.forward_ns >= 0); }
  double amount(const Box& b) const {
    return by == ColorBy::bytes ? static_cast<double>(b.bytes()) : b.forward_ns + b.backward_ns;
  }
  static std::string color(double share) {
    struct Color {
      double r, g, b;
    };
    constexpr std::array<Color, 3> scale{{{255, 255, 255}, {253, 208, 120}, {232, 96, 72}}};
    const double t = 2 * std::sqrt(std::clamp(share, 0.0, 1.0));
    const Color &low = scale[t < 1 ? 0 : 1], &high = scale[t < 1 ? 1 : 2];
    auto mixed = [f = t < 1 ? t : t - 1](double x, double y) { return static_cast<int>(std::lround(x + f * (y - x))); };
    return fmt::format("#{:02x}{:02x}{:02x}", mixed(low.r, high.r), mixed(low.g, high.g), mixed(low.b, high.b));
  }
  std::string fill(const Box& b) const { return is_shown(b) ? color(most > 0 ? amount(b) / most : 0) : "#ffffff"; }
  std::string_view line(const Box& b) const { return is_shown(b) ? "#a4572f" : "#9a9a9a"; }

  std::string in_units(double x) const {
    return by == ColorBy::bytes ? readable_bytes(static_cast<std::int64_t>(x)) : readable_time(x);
  }
  // A line of its own in the label.
  std::string words(const Box& b) const {
    if (!is_shown(b)) return "";
    const std::string percent = fmt::format("<B>{:.1f} %</B>", all > 0 ? 100 * amount(b) / all : 0);
    if (by == ColorBy::bytes) return "<BR/>" + percent + " of all results";
    std::string s = "<BR/>" + readable_time(b.forward_ns);
    if (b.backward_ns > 0) s += " + " + readable_time(b.backward_ns) + " back";
    return s + "  ·  " + percent;
  }
  std::string legend() const {
    std::string cells = fmt::format("<TD>{}</TD>", by == ColorBy::bytes ? "bytes of results:" : "time:");
    for (const double share : {0.0, 0.0625, 0.25, 0.5625, 1.0})
      cells += fmt::format(
          "<TD STYLE=\"rounded\" BORDER=\"1\" BGCOLOR=\"{}\" COLOR=\"#a4572f\" CELLPADDING=\"4\" WIDTH=\"74\">{}</TD>",
          color(share), in_units(share * most));
    return cells;
  }
};

std::string label_of(const Box& b, const Heat& heat) {
  std::string s = fmt::format("<B>{}</B>", html(b.title));
  if (!b.name.empty()) s += fmt::format("  <I>{}</I>", html(b.name));
  for (const Value& v : b.values) s += fmt::format("<BR/>{} {}", v.dtype, v.shape);
  if (b.values.empty()) return s;
  s += fmt::format("<BR/><FONT POINT-SIZE=\"9\" COLOR=\"{}\">{}", heat.is_shown(b) ? "#1e1e1e" : "#6b6b6b",
                   readable_bytes(b.bytes()));
  if (b.where.line() && !in_model(b.role)) s += fmt::format("  ·  {}", html(short_place(b.where)));
  return s + heat.words(b) + "</FONT>";
}

std::string tooltip_of(const Box& b) {
  if (!b.where.line()) return b.title;
  return fmt::format("{} at {}:{}, in {}", b.title, b.where.file_name(), b.where.line(), b.where.function_name());
}

void write_box(std::string& to, const Box& b, std::size_t i, const Heat& heat, std::string_view indent) {
  const Look& look = look_of(b.role);
  const std::string fill = heat.on() ? heat.fill(b) : std::string(look.fill);
  const std::string_view line = heat.on() && is_operator(b) ? heat.line(b) : look.line;
  fmt::format_to(std::back_inserter(to),
                 "{}n{} [shape={}, fillcolor=\"{}\", color=\"{}\"{}, label=<{}>, tooltip={}];\n", indent, i, look.shape,
                 fill, line, b.role == Role::result ? ", penwidth=2.4" : "", label_of(b, heat), quoted(tooltip_of(b)));
}

void write_boxes(std::string& to, const Picture& p, const Heat& heat) {
  std::map<std::string, std::vector<std::size_t>> layers;
  for (std::size_t i = 0; i < p.boxes.size(); ++i) {
    if (p.boxes[i].layer.empty()) write_box(to, p.boxes[i], i, heat, "  ");
    else layers[p.boxes[i].layer].push_back(i);
  }
  int cluster = 0;
  for (const auto& [layer, members] : layers) {
    to += fmt::format(
        "  subgraph cluster_{} {{\n    label=<<B>{}</B>>; labelloc=t; labeljust=l; style=\"rounded,filled\"; "
        "color=\"#c9ccd3\"; "
        "fillcolor=\"#f8f9fb\"; fontcolor=\"#555b66\"; margin=12; tooltip={};\n",
        cluster++, html(layer), quoted(layer));
    for (const std::size_t i : members) write_box(to, p.boxes[i], i, heat, "    ");
    to += "  }\n";
  }
}

// One row of colors, and what the graph amounts to.
std::string legend_of(const Picture& p, const Heat& heat) {
  std::array<std::int64_t, looks.size()> count{};
  std::int64_t parameters = 0, bytes = 0;
  for (const Box& b : p.boxes) {
    ++count[static_cast<std::size_t>(b.role)];
    if (is_operator(b)) bytes += b.bytes();
    if (b.role == Role::parameter)
      for (const Value& v : b.values) parameters += v.shape.numel();
  }
  std::string cells;
  for (std::size_t r = heat.on() ? 2 : 0; r < looks.size(); ++r)  // operators have a row of their own
    if (count[r])
      cells += fmt::format(
          "<TD STYLE=\"rounded\" BORDER=\"1\" BGCOLOR=\"{}\" COLOR=\"{}\" CELLPADDING=\"4\" WIDTH=\"74\">{}</TD>",
          heat.on() ? "#ffffff" : looks[r].fill, looks[r].line, looks[r].legend);
  std::string sum = counted(count[0] + count[1], "operator") + ", results " + readable_bytes(bytes);
  if (count[2]) sum += fmt::format("  ·  {}, {}", counted(count[2], "parameter"), counted(parameters, "number"));
  if (std::any_of(p.arrows.begin(), p.arrows.end(), [](const Arrow& a) { return !a.differentiable; }))
    sum += "  ·  dashed: no derivative";
  if (heat.by == ColorBy::time) sum += "  ·  " + heat.in_units(heat.all) + " in all";
  auto row = [](const std::string& of) {
    if (of.empty()) return of;
    return fmt::format("<TR><TD><TABLE BORDER=\"0\" CELLSPACING=\"6\"><TR>{}</TR></TABLE></TD></TR>", of);
  };
  return fmt::format("<TABLE BORDER=\"0\">{}{}<TR><TD><FONT COLOR=\"#6b6b6b\">{}</FONT></TD></TR></TABLE>",
                     heat.on() ? row(heat.legend()) : "", row(cells), sum);
}

// Data run straight down, from the operand that an operator mainly works on: the newest result among its operands, else
// the first that is no parameter. Leaves whose first use this is stand beside the operator; the others stay above.
struct Row {
  int above = -1, left = -1, right = -1;
};

std::vector<Row> rows_of(const Picture& p) {
  std::vector<Row> rows(p.boxes.size());
  std::vector<bool> met(p.boxes.size());
  auto box = [&](int i) -> const Box& { return p.boxes[static_cast<std::size_t>(i)]; };
  for (std::size_t i = 0, end = 0; i < p.arrows.size(); i = end) {
    Row& row = rows[static_cast<std::size_t>(p.arrows[i].to)];
    for (end = i; end < p.arrows.size() && p.arrows[end].to == p.arrows[i].to; ++end) {
      const int from = p.arrows[end].from;
      if (is_operator(box(from)) ? row.above < from || !is_operator(box(row.above))
                                 : row.above < 0 && !in_model(box(from).role))
        row.above = from;
    }
    for (std::size_t k = end; k-- > i;) {
      const int leaf = p.arrows[k].from;
      if (is_operator(box(leaf)) || met[static_cast<std::size_t>(leaf)]) continue;
      met[static_cast<std::size_t>(leaf)] = true;
      int& place = row.right < 0 ? row.right : row.left;
      if (leaf != row.above && place < 0) place = leaf;
    }
  }
  return rows;
}

void write_arrow(std::string& to, const Arrow& a, const Box& from, const Row& row) {
  const bool right = row.right == a.from;  // dot draws an edge within a row from left to right
  std::string attributes = right ? ", dir=back" : row.above == a.from ? ", weight=8" : "";
  if (!a.differentiable) attributes += ", style=dashed, color=\"#9a9a9a\"";
  else if (from.values.size() > 1)
    attributes += fmt::format(", label=\" result {}: {}\"", a.output, from.values[a.output].shape);
  fmt::format_to(std::back_inserter(to), "  n{} -> n{}", right ? a.to : a.from, right ? a.from : a.to);
  if (!attributes.empty()) fmt::format_to(std::back_inserter(to), " [{}]", attributes.substr(2));
  to += ";\n";
}

}  // namespace

std::string picture::dot_text(const Picture& p) {
  const Heat heat(p);
  std::string s =
      "digraph wengert {\n"
      "  graph [rankdir=TB, ranksep=0.34, nodesep=0.3, bgcolor=white, newrank=true, "
      "fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, labelloc=b, "
      "pad=0.25, tooltip=\" \"];\n"
      "  node [fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, style=\"filled,rounded\", width=2.3, height=0.62, "
      "margin=\"0.16,0.07\", "
      "penwidth=1.2];\n"
      "  edge [color=\"#555555\", arrowsize=0.65, fontname=\"Helvetica,Arial,sans-serif\", fontsize=9, "
      "fontcolor=\"#6b6b6b\", tooltip=\" \"];\n";
  s += fmt::format("  label=<{}>;\n", legend_of(p, heat));

  write_boxes(s, p, heat);
  const std::vector<Row> rows = rows_of(p);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (const int leaf : {rows[i].left, rows[i].right})
      if (leaf >= 0) s += fmt::format("  {{ rank=same; n{}; n{}; }}\n", leaf, i);
  for (const Arrow& a : p.arrows)
    write_arrow(s, a, p.boxes[static_cast<std::size_t>(a.from)], rows[static_cast<std::size_t>(a.to)]);
  return s + "}\n";
}

}  // namespace wengert
