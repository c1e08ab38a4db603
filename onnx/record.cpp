#include "wengert/onnx/record.h"

#include "wengert/autodiff/base/fail.h"

#include <set>

namespace wengert::onnx {

using detail::Access;

void Recorder::leave(const detail::Frame& frame) {
  if (frame.act != detail::Act::forward) return;
  for (const auto* outer = frame.outer; outer; outer = outer->outer)
    if (outer->act == detail::Act::forward) return;
  Call call{std::string(frame.name), frame.where, frame.attributes(), {}, {}};
  for (const Tensor* x : frame.x) call.x.push_back(x->detach());
  for (const Tensor& y : frame.y) call.y.push_back(y.detach());
  calls.push_back(std::move(call));
}

void Builder::add_input(const std::string& name, const Tensor& t) {
  names_.emplace(Access::body(t), name);
  kept_.push_back(t);
  depends_.insert(Access::body(t));
  graph.inputs.push_back({name, t.dtype(), t.shape()});
}

void Builder::add_initializer(const std::string& name, const Tensor& t) {
  if (!names_.emplace(Access::body(t), name).second) return;
  in_model_.emplace(Access::body(t), name);
  kept_.push_back(t);
  graph.initializers.push_back({name, t});
}

std::string Builder::name_in_model(const Tensor& t) const {
  const auto found = in_model_.find(Access::body(t));
  return found == in_model_.end() ? "" : found->second;
}

void Builder::prune() {
  std::set<std::string_view> used;
  for (auto& node : graph.nodes) used.insert(node.inputs.begin(), node.inputs.end());
  std::erase_if(graph.initializers, [&](auto& t) { return !used.contains(t.name); });
}

std::string Builder::name_of(const Tensor& t) {
  if (!t.defined()) return "";
  if (const auto known = names_.find(Access::body(t)); known != names_.end()) return known->second;
  const std::string name = constant(t);
  names_.emplace(Access::body(t), name);
  return name;
}

std::string Builder::constant(const Tensor& t) {
  kept_.push_back(t);
  return graph.initializers.emplace_back(fmt::format("constant_{}", graph.initializers.size()), t).name;
}

std::string Builder::ints(const Ints& values) {
  return constant(from(values, {static_cast<std::int64_t>(values.size())}));
}
std::string Builder::number(double value, DType dtype) { return constant(full({}, value, dtype)); }

std::string Builder::node(std::string op, std::vector<std::string> inputs, std::vector<Attribute> attributes) {
  return nodes(std::move(op), std::move(inputs), std::move(attributes), 1)[0];
}

std::vector<std::string> Builder::nodes(std::string op, std::vector<std::string> inputs,
                                        std::vector<Attribute> attributes, int outputs) {
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  onnx::Node& node = graph.nodes.emplace_back();
  node = {std::move(op), std::move(inputs), {}, std::move(attributes), doc_};
  for (int i = 0; i < outputs; ++i) node.outputs.push_back(fmt::format("{}.{}", label_, parts_++));
  return node.outputs;
}

void Builder::add(const Call& call) {
  label_ = fmt::format("{}_{}", call.name, calls_++), parts_ = 0;
  doc_ = short_place(call.where);
  const std::vector<std::string> values = translated(*this, call);
  if (values.size() != call.y.size())
    fail<GraphError>(call.where,
                     "save_onnx: the operator '{}' has no ONNX form here, with operands {}; leave it out of what is "
                     "exported, or write it with other operators",
                     call.name, call.x.empty() || !call.x[0].defined() ? Shape() : call.x[0].shape());
  for (std::size_t i = 0; i < values.size(); ++i) {
    names_.emplace(Access::body(call.y[i]), values[i]);
    depends_.insert(Access::body(call.y[i]));
    kept_.push_back(call.y[i]);
    graph.inner.push_back({values[i], call.y[i].dtype(), call.y[i].shape()});
  }
}

// An output is the result of an Identity node with the name of the output.
void Builder::add_output(const std::string& name, const Tensor& t) {
  label_ = name, parts_ = 0, doc_.clear();
  const std::string value = name_of(t);
  graph.nodes.push_back({"Identity", {value}, {name}, {}, ""});
  graph.outputs.push_back({name, t.dtype(), t.shape()});
}

}  // namespace wengert::onnx
