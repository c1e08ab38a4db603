#include "wengert/autodiff/draw.h"

#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/file.h"
#include "wengert/autodiff/gradient.h"
#include "wengert/autodiff/graphviz.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string_view>
#include <unordered_map>

namespace wengert {
namespace {

using detail::Access;
using detail::Edge;
using detail::Kind;
using detail::Member;
using detail::Node;

// ---------------------------------------------------------------- what is drawn

enum class Role { operation, result, parameter, buffer, variable, input, data };

struct Value {
  Shape shape;
  DType dtype = float32;
  std::int64_t bytes() const { return shape.numel() * static_cast<std::int64_t>(size_of(dtype)); }
};

struct Box {
  Role role = Role::operation;
  std::string title;          // of an operator its rule's name, else the name it was given
  std::string name;           // the name that a result on the way was given
  std::string layer;          // "" outside of all
  std::vector<Value> values;  // none where only an identity is known
  Where where{};
};

struct Arrow {
  int from = 0, to = 0;
  std::uint32_t output = 0;
  bool differentiable = true;
};

struct Picture {
  std::vector<Box> boxes;
  std::vector<Arrow> arrows;  // sorted by `to`
};

bool is_operator(const Box& b) { return b.role == Role::operation || b.role == Role::result; }

bool in_model(Role r) { return r == Role::parameter || r == Role::buffer; }

std::string layer_of(std::string_view parameter) {
  const auto dot = parameter.rfind('.');
  return std::string(dot == parameter.npos ? "" : parameter.substr(0, dot));
}

// Names by node and result for what is on the tape, by identity for what is not. Names from a model come first.
struct Names {
  struct Entry {
    std::string_view name;
    const Tensor* tensor;
    Role role;
  };
  std::map<std::pair<const Node*, std::uint32_t>, Entry> on_tape;
  std::unordered_map<const void*, Entry> off_tape;

  Names(const std::vector<Member>& members, const std::vector<Named>& others) {
    for (const Member& m : members) add({m.path, &m.tensor, m.trained ? Role::parameter : Role::buffer});
    for (const Named& n : others) add({n.name, &n.tensor, Role::input});
  }
  void add(const Entry& e) {
    if (!e.tensor->defined()) return;
    if (const Node* node = Access::node(*e.tensor)) on_tape.try_emplace({node, Access::output(*e.tensor)}, e);
    off_tape.try_emplace(Access::body(*e.tensor), e);
  }
  const Entry* find(const Node& n, std::uint32_t output) const {
    const auto at = on_tape.find({&n, output});
    return at == on_tape.end() ? nullptr : &at->second;
  }
  const Entry* find(const void* identity) const {
    const auto at = off_tape.find(identity);
    return at == off_tape.end() ? nullptr : &at->second;
  }
};

Box box_of(const Node& n, const Names& names, bool result) {
  Box b;
  const auto* entry = names.find(n, 0);
  for (std::uint32_t k = 0; k < n.result_count; ++k) {
    b.values.push_back({n.result_shape(k), n.result_dtype(k)});
    if (!entry) entry = names.find(n, k);
  }
  b.where = n.where;
  if (n.kind == Kind::leaf) {
    // A transform differentiates by variables of its own, on the numbers of the model.
    const auto* same = names.find(n.value);
    if (!entry && same && same->tensor->shape() == n.shape && same->tensor->dtype() == n.dtype) entry = same;
    b.role = entry && in_model(entry->role) ? entry->role : Role::variable;
    b.title = entry ? entry->name : "variable";
    if (in_model(b.role)) b.layer = layer_of(b.title);
  } else {
    b.role = result ? Role::result : Role::operation;
    b.title = n.name();
    if (entry) b.name = entry->name;
  }
  return b;
}

Box box_of_data(const void* identity, const Names& names) {
  Box b;
  b.role = Role::data;
  b.title = "data";
  if (const auto* entry = names.find(identity)) {
    b.title = entry->name;
    b.values.push_back({entry->tensor->shape(), entry->tensor->dtype()});
    b.role = entry->role;
    if (in_model(b.role)) b.layer = layer_of(b.title);
  }
  return b;
}

// A layer holds its parameters and the operators that take them, directly or through operators on nothing else (a
// transposed weight). What is made of parameters alone and leads to no such operator is a penalty, and no part of the
// layer.
void assign_layers(Picture& p) {
  std::vector<bool> of_parameters(p.boxes.size()), wanted(p.boxes.size());
  auto arrow = p.arrows.begin();
  for (std::size_t i = 0; i < p.boxes.size(); ++i) {
    Box& b = p.boxes[i];
    bool all = true, one_layer = true;
    std::string layer;
    for (; arrow != p.arrows.end() && arrow->to == static_cast<int>(i); ++arrow) {
      const auto from = static_cast<std::size_t>(arrow->from);
      all = all && of_parameters[from];
      if (!of_parameters[from] || p.boxes[from].layer.empty()) continue;
      one_layer = one_layer && (layer.empty() || layer == p.boxes[from].layer);
      layer = p.boxes[from].layer;
    }
    of_parameters[i] = is_operator(b) ? all && b.values[0].shape.rank() > 0 : in_model(b.role);
    if (is_operator(b) && one_layer && b.values[0].shape.rank() > 0) b.layer = layer;
  }
  for (auto a = p.arrows.rbegin(); a != p.arrows.rend(); ++a) {
    const auto from = static_cast<std::size_t>(a->from), to = static_cast<std::size_t>(a->to);
    if (p.boxes[from].layer == p.boxes[to].layer && (!of_parameters[to] || wanted[to])) wanted[from] = true;
  }
  for (std::size_t i = 0; i < p.boxes.size(); ++i)
    if (is_operator(p.boxes[i]) && of_parameters[i] && !wanted[i]) p.boxes[i].layer.clear();
}

Picture picture_of(const Tensor& y, const Names& names, detail::Sweep& sweep) {
  Picture p;
  std::unordered_map<const Node*, int> box_of_node;
  std::unordered_map<const void*, int> box_of_value;
  auto add = [&](Box b) {
    p.boxes.push_back(std::move(b));
    return static_cast<int>(p.boxes.size()) - 1;
  };
  sweep.reverse();  // oldest first: boxes come after what they are made of
  for (Node* n = sweep.newest(); n; n = n->next) {
    for (const Edge& e : n->operands())
      if (!e.node && e.value && !box_of_value.contains(e.value))
        box_of_value[e.value] = add(box_of_data(e.value, names));
    const int to = box_of_node[n] = add(box_of(*n, names, n == Access::node(y)));
    for (const Edge& e : n->operands())
      if (e.node || e.value)
        p.arrows.push_back({e.node ? box_of_node[e.node] : box_of_value[e.value], to, e.output, e.node != nullptr});
  }
  assign_layers(p);
  return p;
}

// ---------------------------------------------------------------- how it is written

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

std::string readable_bytes(std::int64_t n) {
  if (n < 1024) return fmt::format("{} B", n);
  double x = static_cast<double>(n);
  std::string_view unit;
  for (std::string_view next : {"KiB", "MiB", "GiB", "TiB"})
    if (x >= 1024) x /= 1024, unit = next;
  return fmt::format("{:.{}f} {}", x, x < 10 ? 1 : 0, unit);
}

std::string readable_count(std::int64_t n) {
  std::string s = std::to_string(n);
  for (int i = static_cast<int>(s.size()) - 3; i > 0; i -= 3) s.insert(static_cast<std::size_t>(i), 1, ',');
  return s;
}

std::string counted(std::int64_t n, std::string_view what) {
  return fmt::format("{} {}{}", readable_count(n), what, n == 1 ? "" : "s");
}

std::string label_of(const Box& b) {
  std::string s = fmt::format("<B>{}</B>", html(b.title));
  if (!b.name.empty()) s += fmt::format("  <I>{}</I>", html(b.name));
  std::int64_t bytes = 0;
  for (const Value& v : b.values) {
    s += fmt::format("<BR/>{} {}", v.dtype, v.shape);
    bytes += v.bytes();
  }
  if (b.values.empty()) return s;
  s += fmt::format("<BR/><FONT POINT-SIZE=\"9\" COLOR=\"#6b6b6b\">{}", readable_bytes(bytes));
  if (b.where.line() && !in_model(b.role)) s += fmt::format("  ·  {}", html(short_place(b.where)));
  return s + "</FONT>";
}

std::string tooltip_of(const Box& b) {
  if (!b.where.line()) return b.title;
  return fmt::format("{} at {}:{}, in {}", b.title, b.where.file_name(), b.where.line(), b.where.function_name());
}

void write_box(std::string& to, const Box& b, std::size_t i, std::string_view indent) {
  const Look& look = look_of(b.role);
  fmt::format_to(std::back_inserter(to),
                 "{}n{} [shape={}, fillcolor=\"{}\", color=\"{}\"{}, label=<{}>, tooltip={}];\n", indent, i, look.shape,
                 look.fill, look.line, b.role == Role::result ? ", penwidth=2.4" : "", label_of(b),
                 quoted(tooltip_of(b)));
}

void write_boxes(std::string& to, const Picture& p) {
  std::map<std::string, std::vector<std::size_t>> layers;
  for (std::size_t i = 0; i < p.boxes.size(); ++i) {
    if (p.boxes[i].layer.empty()) write_box(to, p.boxes[i], i, "  ");
    else layers[p.boxes[i].layer].push_back(i);
  }
  int cluster = 0;
  for (const auto& [layer, members] : layers) {
    to += fmt::format(
        "  subgraph cluster_{} {{\n    label=<<B>{}</B>>; labelloc=t; labeljust=l; style=\"rounded,filled\"; "
        "color=\"#c9ccd3\"; "
        "fillcolor=\"#f8f9fb\"; fontcolor=\"#555b66\"; margin=12; tooltip={};\n",
        cluster++, html(layer), quoted(layer));
    for (const std::size_t i : members) write_box(to, p.boxes[i], i, "    ");
    to += "  }\n";
  }
}

// One row of colours, and what the graph amounts to.
std::string legend_of(const Picture& p) {
  std::array<std::int64_t, looks.size()> count{};
  std::int64_t parameters = 0, bytes = 0;
  for (const Box& b : p.boxes) {
    ++count[static_cast<std::size_t>(b.role)];
    for (const Value& v : b.values) {
      if (b.role == Role::parameter) parameters += v.shape.numel();
      if (is_operator(b)) bytes += v.bytes();
    }
  }
  std::string cells;
  for (std::size_t r = 0; r < looks.size(); ++r)
    if (count[r])
      cells += fmt::format(
          "<TD STYLE=\"rounded\" BORDER=\"1\" BGCOLOR=\"{}\" COLOR=\"{}\" CELLPADDING=\"4\" WIDTH=\"74\">{}</TD>",
          looks[r].fill, looks[r].line, looks[r].legend);
  std::string sum = counted(count[0] + count[1], "operator") + ", results " + readable_bytes(bytes);
  if (count[2]) sum += fmt::format("  ·  {}, {}", counted(count[2], "parameter"), counted(parameters, "number"));
  if (std::any_of(p.arrows.begin(), p.arrows.end(), [](const Arrow& a) { return !a.differentiable; }))
    sum += "  ·  dashed: no derivative";
  return fmt::format(
      "<TABLE BORDER=\"0\"><TR><TD><TABLE BORDER=\"0\" CELLSPACING=\"6\"><TR>{}</TR></TABLE></TD></TR><TR><TD><FONT "
      "COLOR=\"#6b6b6b\">{}</FONT></TD></TR></TABLE>",
      cells, sum);
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

std::string dot_text(const Picture& p) {
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
  s += fmt::format("  label=<{}>;\n", legend_of(p));

  write_boxes(s, p);
  const std::vector<Row> rows = rows_of(p);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (const int leaf : {rows[i].left, rows[i].right})
      if (leaf >= 0) s += fmt::format("  {{ rank=same; n{}; n{}; }}\n", leaf, i);
  for (const Arrow& a : p.arrows)
    write_arrow(s, a, p.boxes[static_cast<std::size_t>(a.from)], rows[static_cast<std::size_t>(a.to)]);
  return s + "}\n";
}

// ---------------------------------------------------------------- who asks

void check_drawable(const Tensor& y, std::string_view who, Where where) {
  if (!y.tracked())
    fail<GraphError>(where,
                     "{}: this tensor is not on the tape, so there is no graph to draw; was it made under no_grad, "
                     "detached, or from "
                     "tensors that are neither Param nor track()ed?",
                     who);
}

void check_nodes(const detail::Sweep& sweep, std::string_view who, const DrawOptions& options, Where where) {
  std::size_t count = 0;
  for (const Node* n = sweep.newest(); n; n = n->next, ++count)
    if (n->is_released())
      fail<GraphError>(where,
                       "{}: the graph of {} (called at {}) was already released by the backward at {}; draw before "
                       "backward, or pass "
                       "{{.keep_graph = true}} there",
                       who, n->name(), short_place(n->where), short_place(n->released));
  if (count > options.max_nodes)
    fail<GraphError>(where,
                     "{}: the graph has {} nodes, and more than {} make no readable picture; draw a smaller model or "
                     "fewer steps of it, "
                     "or raise .max_nodes",
                     who, count, options.max_nodes);
}

std::string dot_text(const Tensor& y, const std::vector<Member>& members, const DrawOptions& options,
                     std::string_view who, Where where) {
  check_drawable(y, who, where);
  detail::Sweep sweep({&y, 1});
  check_nodes(sweep, who, options, where);
  return dot_text(picture_of(y, Names(members, options.names), sweep));
}

}  // namespace

void detail::draw(const Tensor& y, const std::string& path, const std::vector<Member>& members,
                  const DrawOptions& options, Drawing as, Where where) {
  const std::string_view who = as == Drawing::dot ? "write_dot" : "write_svg";
  std::string text = dot_text(y, members, options, who, where);
  if (as == Drawing::svg) text = svg_of(text, where);
  const std::span bytes = std::as_bytes(std::span(text));
  write_atomically({who, path, where}, {&bytes, 1});
}

void write_dot(const Tensor& y, const std::string& path, const DrawOptions& options, Where where) {
  detail::draw(y, path, {}, options, detail::Drawing::dot, where);
}

void write_svg(const Tensor& y, const std::string& path, const DrawOptions& options, Where where) {
  detail::draw(y, path, {}, options, detail::Drawing::svg, where);
}

}  // namespace wengert
