#include "wengert/autodiff/inspect/dry_run.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/base/text.h"
#include "wengert/autodiff/inspect/frames.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/sweep.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>
#include <set>
#include <unordered_map>

namespace wengert {

using detail::Access;
using detail::Act;
using detail::Frame;
using detail::Kind;
using detail::Node;

struct detail::DryRunner::Look final : detail::Observer {
  struct Costs {
    std::int64_t peak;
    double flops = Frame::unknown;
  };
  DryRun run;
  detail::FrameStack<Costs> open;
  std::set<const Node*> leaves;
  std::unordered_map<const Node*, std::size_t> row_of;
  std::size_t last = 0;  // the row of the operator that has just run; its node is born next
  bool fresh = false;
  const std::int64_t before = memory_stats().in_use;
  std::int64_t peak_before = exchange_peak(0), peak = 0;  // the user's, and ours

  Look() : Observer(Threads::mine) { begin(); }
  ~Look() override {
    end();
    exchange_peak(std::max(peak_before, std::max(peak, exchange_peak(0))));
  }

  // The pool's peak since the last call goes to all that is open.
  void note_peak() {
    const std::int64_t most = exchange_peak(0);
    peak = std::max(peak, most);
    for (auto& o : open) o.entry.peak = std::max(o.entry.peak, most);
  }

  void enter(const Frame& f) override {
    note_peak();
    open.enter(f, {memory_stats().in_use});
  }
  void abandon(const Frame& f) noexcept override { open.leave(f); }
  void leave(const Frame& f) override {
    note_peak();
    const auto costs = open.leave(f);
    if (!costs) return;
    const double flops = f.flops >= 0 ? f.flops : costs->flops;
    if (!open.empty() && flops >= 0) open.innermost().flops = std::max(0.0, open.innermost().flops) + flops;
    if (!open.outermost()) return;
    if (f.act == Act::forward) add(f, flops, costs->peak - before);
    if (f.act == Act::vjp) add_backward(f, flops, costs->peak - before);
  }

  void add(const Frame& f, double flops, std::int64_t most) {
    DryRunRow row{std::string(f.name), f.where};
    for (const Tensor* x : f.x) {
      if (!x->defined()) continue;
      row.operands.push_back(x->shape());
      const Node* n = Access::node(*x);
      if (n && n->kind == Kind::leaf && leaves.insert(n).second) row.parameters += x->numel();
    }
    for (const Tensor& y : f.y) {
      row.results.push_back(y.shape());
      const bool view = std::any_of(f.x.begin(), f.x.end(), [&](const Tensor* x) {
        return x->defined() && detail::storage_of(*x) == detail::storage_of(y);
      });
      if (!view) row.bytes += y.numel() * static_cast<std::int64_t>(size_of(y.dtype()));
    }
    if (!f.y.empty()) row.dtype = f.y[0].dtype();
    const bool again = !open.empty();  // within the sweep: what a checkpoint computes once more
    (again ? row.backward_flops : row.flops) = flops;
    (again ? row.backward_peak_bytes : row.peak_bytes) = most;
    run.parameters += row.parameters;
    (again ? run.backward_flops : run.flops) += std::max(0.0, flops);
    last = run.rows.size(), fresh = true;
    run.rows.push_back(std::move(row));
  }

  void add_backward(const Frame& f, double flops, std::int64_t most) {
    run.backward_flops += std::max(0.0, flops);
    const auto at = row_of.find(f.node);
    if (at == row_of.end()) return;
    DryRunRow& row = run.rows[at->second];
    if (flops >= 0) row.backward_flops = std::max(0.0, row.backward_flops) + flops;
    row.backward_peak_bytes = std::max(row.backward_peak_bytes, most);
  }

  void born(Node& n) override {
    if (std::exchange(fresh, false) && open.empty()) row_of[&n] = last;
    else row_of.erase(&n);
  }
};

detail::DryRunner::DryRunner() : look_(new Look) {}
detail::DryRunner::~DryRunner() = default;

void detail::DryRunner::differentiate(const Tensor& y) {
  if (!y.defined() || !y.tracked() || !is_float(y.dtype()) || Access::node(y)->kind == Kind::leaf) return;
  std::vector<Tensor> leaves;
  {
    const Sweep sweep({&y, 1});
    for (Node* n : sweep.nodes()) {
      if (n->is_released()) return;
      if (n->kind != Kind::leaf) continue;
      n->retain();
      leaves.push_back(Access::make(new_body({}, n->first.dtype), n));  // stands for the leaf; its numbers are not read
    }
  }
  const Tensor y_bar = full(y.shape(), 1, y.dtype());
  (void)grad({&y, 1}, leaves, {&y_bar, 1});
}

DryRun detail::DryRunner::result() const {
  look_->note_peak();
  look_->run.peak_bytes = std::max<std::int64_t>(0, look_->peak - look_->before);
  return look_->run;
}

namespace {

std::string amount(double flops) { return flops > 0 ? readable_amount(flops) : flops < 0 ? "" : "0"; }

std::string shapes_of(const std::vector<Shape>& all) {
  std::string text;
  for (const Shape& s : all) text += fmt::format("{}{}", text.empty() ? "" : " ", s);
  return text;
}

}  // namespace

std::string to_string(const DryRun& run) {
  std::vector<std::vector<std::string>> cells{
      {"operator", "line", "operands", "result", "dtype", "parameters", "FLOP", "back", "bytes", "peak", "back"}};
  for (const DryRunRow& r : run.rows)
    cells.push_back({r.name, r.where.line() ? short_place(r.where) : "", shapes_of(r.operands), shapes_of(r.results),
                     std::string(name(r.dtype)), r.parameters ? readable_count(r.parameters) : "", amount(r.flops),
                     amount(r.backward_flops), r.bytes ? readable_bytes(r.bytes) : "",
                     readable_bytes(std::max<std::int64_t>(0, r.peak_bytes)),
                     r.backward_peak_bytes > 0 ? readable_bytes(r.backward_peak_bytes) : ""});
  cells.push_back({"all", "", "", "", "", readable_count(run.parameters), amount(run.flops), amount(run.backward_flops),
                   "", readable_bytes(run.peak_bytes), ""});
  return in_columns(cells, 5);
}

}  // namespace wengert
