#include "wengert/onnx/onnx.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/file.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/onnx/record.h"

#include <cstring>
#include <limits>
#include <optional>
#include <set>

namespace wengert::detail {
namespace {

// Different values of the same kind: reversed, and floats halved, so that indices stay valid and logarithms finite.
Tensor other_numbers(const Tensor& x) {
  const Tensor backwards = reshape(flip(reshape(x, {-1}), {0}), x.shape());
  return is_float(x.dtype()) ? backwards * 0.5 : backwards;
}

bool same_numbers(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  const Tensor x = contiguous(a), y = contiguous(b);
  const auto bytes = static_cast<std::size_t>(x.numel()) * size_of(x.dtype());
  return bytes == 0 || std::memcmp(data<char>(x), data<char>(y), bytes) == 0;
}

}  // namespace

struct OnnxExport::State {
  // One run of the function.
  struct Run {
    std::vector<Tensor> inputs;
    std::vector<onnx::Call> calls;  // calls that depend on inputs
    onnx::Builder builder;
  };

  std::vector<NamedTensor> model;
  std::vector<Tensor> example;
  OnnxOptions options;
  Where where;
  std::vector<Run> runs{};
  std::optional<no_grad> plain{};
  std::optional<onnx::Recorder> recorder{};

  std::string input_name(std::size_t i) const {
    if (!options.inputs.empty()) return options.inputs[i];
    return example.size() == 1 ? "x" : fmt::format("x{}", i);
  }
  std::string output_name(std::size_t i, const NamedTensor& y, std::size_t count) const {
    if (!options.outputs.empty()) return options.outputs[i];
    if (y.name.empty()) return "y";
    return count > 0 && std::isdigit(static_cast<unsigned char>(y.name[0])) ? "y" + y.name : y.name;
  }
  void name_all(Run&, const std::vector<NamedTensor>& results) const;
  void compare() const;
};

OnnxExport::OnnxExport(std::vector<NamedTensor> model, std::vector<Tensor> example, OnnxOptions options, Where where)
    : state_(new State{std::move(model), std::move(example), std::move(options), where}) {
  if (const auto n = state_->options.inputs.size(); n != 0 && n != state_->example.size())
    fail<ValueError>(where, "save_onnx: {} names for {} inputs", n, state_->example.size());
}
OnnxExport::~OnnxExport() = default;

const std::vector<Tensor>& OnnxExport::begin() {
  State& s = *state_;
  s.plain.emplace();
  State::Run& run = s.runs.emplace_back();
  for (const Tensor& x : s.example) run.inputs.push_back(s.runs.size() == 1 ? clone(x.detach()) : other_numbers(x));
  s.recorder.emplace();
  return run.inputs;
}

void OnnxExport::end(std::vector<NamedTensor> results) {
  State& s = *state_;
  State::Run& run = s.runs.back();
  run.calls = std::move(s.recorder->calls);
  s.recorder.reset();
  s.plain.reset();
  s.name_all(run, results);
}

void OnnxExport::State::name_all(Run& run, const std::vector<NamedTensor>& results) const {
  onnx::Builder& b = run.builder;
  std::set<std::string> names;
  auto fresh = [&](std::string name) {  // an unused name
    while (!names.insert(name).second) name += '_';
    return name;
  };
  for (std::size_t i = 0; i < run.inputs.size(); ++i) b.add_input(fresh(input_name(i)), run.inputs[i]);
  for (auto& [name, t] : model) b.add_initializer(fresh(name), t);
  std::erase_if(run.calls, [&](const onnx::Call& call) {
    bool depends = false;
    std::string part;  // name in the model
    for (const Tensor& x : call.x) {
      if (!x.defined()) continue;
      depends |= b.depends_on_input(x);
      if (part.empty()) part = b.name_in_model(x);
    }
    if (depends) b.add(call);
    else if (!part.empty())  // computed from the model only: a constant
      for (const Tensor& y : call.y) b.add_initializer(fresh(part + "/" + call.name), y);
    return !depends;
  });
  if (const auto n = options.outputs.size(); n != 0 && n != results.size())
    fail<ValueError>(where, "save_onnx: {} names for {} results", n, results.size());
  if (results.empty()) fail<ValueError>(where, "save_onnx: the function returned no tensor");
  for (std::size_t i = 0; i < results.size(); ++i)
    b.add_output(fresh(output_name(i, results[i], results.size())), results[i].tensor);
  b.prune();
}

// Values that no operator computes must not depend on the input, and neither may the sequence of operators.
void OnnxExport::State::compare() const {
  const Run &a = runs[0], &b = runs[1];
  for (std::size_t i = 0; i < std::max(a.calls.size(), b.calls.size()); ++i)
    if (i >= a.calls.size() || i >= b.calls.size() || a.calls[i].name != b.calls[i].name ||
        a.calls[i].where.line() != b.calls[i].where.line())
      fail<GraphError>(i < a.calls.size() ? a.calls[i].where : where,
                       "save_onnx: which operators run depends on the numbers of the input, from operator {} on; a "
                       "graph cannot show that",
                       i);
  const auto changed = [&](const std::string& what) {
    fail<GraphError>(where,
                     "save_onnx: {} is no operator's result, and yet another one when the model runs again on other "
                     "numbers: it is random, or made from the input by other ways than operators; is the model in "
                     "training mode?",
                     what);
  };
  auto &x = a.builder.graph.initializers, &y = b.builder.graph.initializers;
  for (std::size_t i = 0; i < std::max(x.size(), y.size()); ++i)
    if (i >= x.size() || i >= y.size() || !same_numbers(x[i].tensor, y[i].tensor))
      changed(i < x.size() ? fmt::format("a tensor {} {}", x[i].tensor.dtype(), x[i].tensor.shape()) : "a tensor");
  auto &m = a.builder.graph.nodes, &n = b.builder.graph.nodes;
  for (std::size_t i = 0; i < std::min(m.size(), n.size()); ++i)
    if (m[i].attributes != n[i].attributes) changed(fmt::format("an attribute of {} ({})", m[i].op, m[i].doc));
}

void OnnxExport::save(const std::string& path) {
  State& s = *state_;
  s.compare();
  const FileTask task{"save_onnx", path, s.where};
  onnx::Graph& graph = s.runs[0].builder.graph;
  graph.name = "wengert";
  const std::string bytes = onnx::encoded(graph);
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    task.fail("the model takes {} bytes, but a file of protobuf ends at 2 GB", bytes.size());
  const std::span<const std::byte> pieces[] = {std::as_bytes(std::span(bytes))};
  write_atomically(task, pieces);
}

}  // namespace wengert::detail
