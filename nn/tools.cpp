#include "wengert/nn/tools.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/text.h"
#include "wengert/autodiff/inspect/frames.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/sweep.h"
#include "wengert/autodiff/tape/tape.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <variant>

namespace wengert::nn {

using detail::Access;
using detail::Act;
using detail::Frame;
using detail::Kind;
using detail::Node;
using detail::Observer;

namespace tools {
namespace {

bool same(const Where& a, const Where& b) {
  return a.line() == b.line() && a.column() == b.column() && std::string_view(a.file_name()) == b.file_name();
}

// "blocks.0" of "blocks.0.weight"; empty for a parameter of the model itself.
std::string_view parent(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == path.npos ? std::string_view() : path.substr(0, dot);
}
// The longest common prefix of two paths.
std::string_view common(std::string_view a, std::string_view b) {
  while (!(b == a || b.starts_with(std::string(a) + "."))) {
    if (a.empty()) return a;
    a = parent(a);
  }
  return a;
}

}  // namespace

// Records which parameters were operands, for each row of the dry run.
struct Summarizer::Look final : Observer {
  struct Row {
    std::vector<std::size_t> parameters{};
    bool again;  // recomputation by a checkpoint
  };
  struct Parameter {
    std::string path;
    std::int64_t numbers;
    bool trained;
  };
  std::vector<Parameter> parameters{};
  std::unordered_map<const void*, std::size_t> of{};  // by address of the data
  detail::FrameStack<std::monostate> open{};
  std::vector<Row> rows{};

  Look() : Observer(Threads::mine) { begin(); }
  ~Look() override { end(); }

  void enter(const Frame& f) override { open.enter(f); }
  void abandon(const Frame& f) noexcept override { open.leave(f); }
  void leave(const Frame& f) override {
    if (!open.leave(f) || f.act != Act::forward || !open.outermost()) return;
    Row row{.again = !open.empty()};
    for (const Tensor* x : f.x)
      if (x->defined())
        if (const auto found = of.find(detail::storage_of(*x)); found != of.end())
          row.parameters.push_back(found->second);
    rows.push_back(std::move(row));
  }
};

Summarizer::Summarizer() : look_(new Look) {}
Summarizer::~Summarizer() = default;

void Summarizer::parameter(std::string_view path, const Tensor& w) {
  look_->of.emplace(detail::storage_of(w), look_->parameters.size());
  look_->parameters.push_back({std::string(path), w.numel(), w.tracked()});
}

namespace {

void add_known(double& sum, double flops) {
  if (flops >= 0) sum = std::max(0., sum) + flops;
}

// A row under construction.
struct Call {
  Where where{};
  std::optional<std::string> layer{};
  std::vector<std::string> operators{};
  SummaryRow row{};

  SummaryRow finished() {
    if (layer) row.layer = layer->empty() ? "(model)" : *layer;
    else row.layer = fmt::format("{}", fmt::join(operators, ", "));
    return std::move(row);
  }
};

}  // namespace

Summary Summarizer::result(const DryRun& run) const {
  const auto& parameters = look_->parameters;
  Summary s{.flops = run.flops, .backward_flops = run.backward_flops, .peak_bytes = run.peak_bytes};
  for (const auto& p : parameters) s.parameters += p.numbers, s.frozen += p.trained ? 0 : p.numbers;

  std::vector<bool> met(parameters.size());
  std::optional<Call> call;
  for (std::size_t i = 0; i < run.rows.size() && i < look_->rows.size(); ++i) {
    const DryRunRow& r = run.rows[i];
    const Look::Row& seen = look_->rows[i];
    if (seen.again) continue;
    std::optional<std::string> layer;
    for (const auto p : seen.parameters) {
      const auto at = parent(parameters[p].path);
      layer = layer ? std::string(common(*layer, at)) : std::string(at);
    }
    if (!call || !same(call->where, r.where) || (layer && call->layer && *layer != *call->layer)) {
      if (call) s.rows.push_back(call->finished());
      call.emplace().where = r.where;
    }
    if (layer) call->layer = layer;
    for (const auto p : seen.parameters)
      if (!met[p]) met[p] = true, call->row.parameters += parameters[p].numbers;
    if (std::find(call->operators.begin(), call->operators.end(), r.name) == call->operators.end())
      call->operators.push_back(r.name);
    if (!r.results.empty()) call->row.output = r.results[0];
    add_known(call->row.flops, r.flops), add_known(call->row.backward_flops, r.backward_flops);
    call->row.bytes += r.bytes;
  }
  if (call) s.rows.push_back(call->finished());
  return s;
}

// Observes operators while the loss is computed, and examines gradients afterwards.
struct Linter::Look final : Observer {
  detail::FrameStack<std::monostate> open{};
  std::vector<Finding> found{};
  Tensor loss{};
  std::vector<std::pair<std::string, Tensor>> parameters{};
  bool watching = true;

  Look() : Observer(Threads::mine) { begin(); }
  ~Look() override { stop(); }
  void stop() {
    if (std::exchange(watching, false)) end();
  }

  void enter(const Frame& f) override { open.enter(f); }
  void abandon(const Frame& f) noexcept override { open.leave(f); }
  void leave(const Frame& f) override {
    if (!open.leave(f) || f.act != Act::forward || f.y.empty() || !f.y[0].defined()) return;
    const no_grad values;
    if (f.name == "relu") look_for_dead(f);
    if (open.empty() && f.x.size() == 2 && f.x[0]->defined() && f.x[1]->defined())
      look_at_broadcast(f, f.x[0]->shape(), f.x[1]->shape());
  }

  void look_for_dead(const Frame& f) {
    const Tensor& y = f.y[0];
    if (y.rank() < 2 || y.numel() == 0) return;
    const int unit = y.rank() >= 4 ? 1 : y.rank() - 1;
    Shape others;
    for (int i = 0; i < y.rank(); ++i)
      if (i != unit) others.push_back(i);
    const Tensor most = to(amax(y.detach(), others), float64);
    std::vector<std::int64_t> dead;
    const auto values = most.to_vector<double>();
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i] == 0) dead.push_back(static_cast<std::int64_t>(i));
    if (dead.empty()) return;
    const auto n = dead.size();
    if (n > 5) dead.resize(5);
    found.push_back({Finding::Kind::dead_units, "",
                     fmt::format("relu at {}: {} of {} units are zero for the whole batch of {} ({}{}), and learn "
                                 "nothing from it; a smaller learning rate, or leaky_relu, may keep them alive",
                                 short_place(f.where), n, values.size(), y.size(0), fmt::join(dead, ", "),
                                 n > dead.size() ? ", ..." : ""),
                     f.where});
  }

  static Shape without_ones(const Shape& s) {
    Shape rest;
    for (const auto n : s)
      if (n != 1) rest.push_back(n);
    return rest;
  }
  void look_at_broadcast(const Frame& f, const Shape& a, const Shape& b) {
    const Shape& y = f.y[0].shape();
    const bool suspicious =
        a.rank() != b.rank() && without_ones(a) == without_ones(b) && y.numel() > std::max(a.numel(), b.numel());
    if (!suspicious) return;
    found.push_back({Finding::Kind::broadcast, "",
                     fmt::format("{} at {}: {} and {} hold as many numbers and were blown up to {}; was one of them "
                                 "meant to be reshaped to the other?",
                                 f.name, short_place(f.where), a, b, y),
                     f.where});
  }

  void look_at_gradients(Where where) {
    const auto reached = leaves();
    std::vector<std::string> names;
    std::vector<Tensor> xs;
    for (auto& [path, w] : parameters) {
      if (!w.tracked()) continue;
      const Node& leaf = *Access::node(w);
      if (std::any_of(reached.begin(), reached.end(), [&](const Node* n) { return detail::is_copy_of(*n, leaf); })) {
        found.push_back(
            {Finding::Kind::copied, path,
             fmt::format("{}: the loss depends on a copy of it, which is another leaf, and whose gradient is "
                         "lost; write const auto& where it is given a name",
                         path)});
        if (!reached.contains(&leaf)) continue;
      }
      if (reached.contains(&leaf)) names.push_back(path), xs.push_back(w);
      else
        found.push_back({Finding::Kind::unreached, path,
                         fmt::format("{}: the loss does not depend on it; is it used, or was something detached on the "
                                     "way from it to the loss?",
                                     path)});
    }
    if (xs.empty()) return;
    const auto x_bars = grad({&loss, 1}, xs, {}, {}, where);
    for (std::size_t i = 0; i < xs.size(); ++i) look_at_gradient(names[i], x_bars[i]);
  }
  void look_at_gradient(const std::string& path, const Tensor& x_bar) {
    if (x_bar.numel() == 0) return;
    const double most = to(amax(abs(x_bar.detach())), float64).item();
    const double sum = to(wengert::sum(abs(x_bar.detach())), float64).item();  // finds a NaN, which a maximum may miss
    if (!(most <= std::numeric_limits<double>::max()) || sum != sum)
      found.push_back({Finding::Kind::nonfinite_gradient, path,
                       fmt::format("{}: its gradient is not finite; NonFinite tells where that begins", path)});
    else if (most == 0)
      found.push_back(
          {Finding::Kind::zero_gradient, path,
           fmt::format("{}: its gradient is exactly zero; is what it feeds dead, or multiplied by zero?", path)});
  }
  std::unordered_set<const Node*> leaves() const {
    std::unordered_set<const Node*> all;
    if (!loss.defined() || !loss.tracked()) return all;
    const detail::Sweep sweep({&loss, 1});
    for (const Node* n : sweep.nodes())
      if (n->kind == Kind::leaf) all.insert(n);
    return all;
  }
};

Linter::Linter() : look_(new Look) {}
Linter::~Linter() = default;
void Linter::done(const Tensor& loss) {
  look_->stop();
  look_->loss = loss;
}
void Linter::parameter(std::string_view path, const Tensor& w) { look_->parameters.emplace_back(path, w); }
std::vector<Finding> Linter::findings(Where where) {
  const no_grad values;
  look_->look_at_gradients(where);
  return std::move(look_->found);
}

void Digest::add(const void* bytes, std::size_t n) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  for (std::size_t i = 0; i < n; ++i) hash_ = (hash_ ^ at[i]) * 0x100000001b3;
}
void Digest::add(std::string_view path, const Tensor& t) {
  const Tensor x = contiguous(t.detach());
  const std::string_view dtype = name(x.dtype());
  add(path.data(), path.size()), add("", 1);
  add(dtype.data(), dtype.size()), add("", 1);
  const std::int64_t rank = x.rank();
  add(&rank, sizeof rank);
  for (const std::int64_t n : x.shape()) add(&n, sizeof n);
  add(detail::data<unsigned char>(x), static_cast<std::size_t>(x.numel()) * size_of(x.dtype()));
}

}  // namespace tools

std::string to_string(const Summary& s) {
  const auto flops = [](double f) { return f < 0 ? std::string() : readable_amount(f); };
  std::vector<std::vector<std::string>> cells{{"layer", "output", "parameters", "FLOP", "back", "memory"}};
  for (const SummaryRow& r : s.rows)
    cells.push_back({r.layer, fmt::format("{}", r.output), r.parameters ? readable_count(r.parameters) : "",
                     flops(r.flops), flops(r.backward_flops), r.bytes ? readable_bytes(r.bytes) : ""});
  cells.push_back({"total", s.frozen ? fmt::format("{} frozen", readable_count(s.frozen)) : "",
                   readable_count(s.parameters), flops(s.flops), flops(s.backward_flops),
                   fmt::format("peak {}", readable_bytes(s.peak_bytes))});
  return in_columns(cells, 2);
}

}  // namespace wengert::nn
