#include "wengert/autodiff/inspect/draw.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/file.h"
#include "wengert/autodiff/inspect/graphviz.h"
#include "wengert/autodiff/inspect/picture.h"
#include "wengert/autodiff/inspect/recorder.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/sweep.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <span>
#include <string_view>
#include <unordered_map>

namespace wengert {

using namespace picture;

namespace {

using detail::Access;
using detail::Edge;
using detail::Kind;
using detail::Member;
using detail::Node;

// ---------------------------------------------------------------- what is drawn

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
    b.values.push_back({n.result(k).shape, n.result(k).dtype});
    if (!entry) entry = names.find(n, k);
  }
  b.where = n.where;
  if (n.kind == Kind::leaf) {
    // A transform differentiates by variables of its own, on the numbers of the model.
    const auto* same = names.find(n.first.value);
    if (!entry && same && same->tensor->shape() == n.first.shape && same->tensor->dtype() == n.first.dtype)
      entry = same;
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

Picture picture_of(const Tensor& y, const Names& names, const DrawOptions& options, const detail::Sweep& sweep) {
  Picture p;
  p.color_by = options.color_by;
  std::unordered_map<const Node*, int> box_of_node;
  std::unordered_map<const void*, int> box_of_value;
  auto add = [&](Box b) {
    p.boxes.push_back(std::move(b));
    return static_cast<int>(p.boxes.size()) - 1;
  };
  for (Node* n : sweep.nodes() | std::views::reverse) {  // boxes come after what they are made of
    for (const Edge& e : n->operands())
      if (!e.node && e.value && !box_of_value.contains(e.value))
        box_of_value[e.value] = add(box_of_data(e.value, names));
    const int to = box_of_node[n] = add(box_of(*n, names, n == Access::node(y)));
    if (const auto* cost = options.profile ? cost_of(*options.profile, n) : nullptr)
      p.boxes.back().forward_ns = cost->forward_ns, p.boxes.back().backward_ns = cost->backward_ns;
    for (const Edge& e : n->operands())
      if (e.node || e.value)
        p.arrows.push_back({e.node ? box_of_node[e.node] : box_of_value[e.value], to, e.output, e.node != nullptr});
  }
  assign_layers(p);
  return p;
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
  const std::size_t count = sweep.nodes().size();
  for (const Node* n : sweep.nodes())
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
  if (options.color_by == ColorBy::time && !options.profile)
    fail<ValueError>(where,
                     "{}: to color by time, a Profile must have watched while the graph was recorded; pass it: "
                     "{{.color_by = ColorBy::time, .profile = &profile}}",
                     who);
  const detail::Sweep sweep({&y, 1});
  check_nodes(sweep, who, options, where);
  return picture::dot_text(picture_of(y, Names(members, options.names), options, sweep));
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
