#include "wengert/autodiff/inspect/recorder.h"

#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>

namespace wengert::detail {

Recorder::Recorder(ProfileOptions options) : Observer(Threads::all), options_(options) { begin(); }

Recorder::Nanoseconds Recorder::now() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_).count();
}

Recorder::Thread& Recorder::thread() {
  const auto id = std::this_thread::get_id();
  return threads_.try_emplace(id, Thread{static_cast<int>(threads_.size()) + 1}).first->second;
}

std::string_view Recorder::kept(std::string_view name) {
  const auto at = names_.find(name);
  return at != names_.end() ? *at : *names_.emplace(name).first;
}

void Recorder::enter(const Frame& f) {
  const Nanoseconds entered = now();
  const std::lock_guard lock(mutex_);
  Thread& t = thread();
  Costs& c = t.open.enter(f, {.entered = entered});
  for (const Tensor* x : f.x)
    if (x->defined()) c.operands.push_back(storage_of(*x));
  c.begin = now();
}

void Recorder::sent(const Frame& f, int, const Tensor& x_bar) {
  const std::lock_guard lock(mutex_);
  if (Costs* c = thread().open.entry(f)) c->add_result(x_bar);
}

void Recorder::leave(const Frame& f) { close(f, false); }
void Recorder::abandon(const Frame& f) noexcept { close(f, true); }

void Recorder::close(const Frame& f, bool failed) {
  const Nanoseconds end = now();
  const std::lock_guard lock(mutex_);
  Thread& t = thread();
  std::optional<Costs> c = t.open.leave(f);
  if (!c) return;
  for (const Tensor& y : f.y)
    if (y.defined()) c->add_result(y);
  c->flops = f.flops >= 0 ? f.flops : c->flops_inside;
  add(f, *c, end, t);
  if (f.act == Act::forward) t.last_forward = end - c->begin;
  if (f.act == Act::vjp)
    if (const auto at = costs_.find(f.node); at != costs_.end()) at->second.backward_ns += double(end - c->begin);
  if (events_.size() < options_.max_events)
    events_.push_back({kept(f.name), f.act, f.pass(), failed, t.number, static_cast<int>(t.open.size()), f.where,
                       c->begin, end, c->bytes, memory_stats().in_use, c->flops});
  else ++left_out_;
  if (t.open.empty()) return;
  Costs& outer = t.open.innermost();
  if (c->flops >= 0) outer.flops_inside = std::max(0.0, outer.flops_inside) + c->flops;
  outer.inside += now() - c->entered;
}

void Recorder::Costs::add_result(const Tensor& y) {
  const bool view = std::find(operands.begin(), operands.end(), storage_of(y)) != operands.end();
  if (!view) bytes += y.numel() * static_cast<std::int64_t>(size_of(y.dtype()));
}

void Recorder::add(const Frame& f, const Costs& o, Nanoseconds end, const Thread& t) {
  const Pass pass = f.pass();
  ProfileRow& row = rows_[Key(kept(f.name), pass, f.where.file_name(), f.where.line())];
  row.name = f.name, row.pass = pass, row.where = f.where;
  ++row.calls;
  const bool again = std::any_of(t.open.begin(), t.open.end(),
                                 [&](const auto& p) { return p.frame->name == f.name && p.frame->pass() == pass; });
  if (!again) row.total_ns += double(end - o.begin);
  row.own_ns += double(std::max<Nanoseconds>(0, end - o.begin - o.inside));
  row.bytes += o.bytes;
  if (o.flops >= 0 && !again) row.flops += o.flops, row.flops_ns += double(end - o.begin);
}

// A node is born just after its operator has run.
void Recorder::born(Node& n) {
  const std::lock_guard lock(mutex_);
  costs_[&n] = {double(std::exchange(thread().last_forward, 0)), 0};
}

void Recorder::died(const Node& n) noexcept {
  const std::lock_guard lock(mutex_);
  costs_.erase(&n);
}

std::vector<ProfileRow> Recorder::rows() const {
  const std::lock_guard lock(mutex_);
  std::vector<ProfileRow> all;
  for (const auto& [key, row] : rows_) all.push_back(row);
  return all;
}

std::vector<Recorder::Event> Recorder::events() const {
  const std::lock_guard lock(mutex_);
  std::vector<Event> all = events_;
  std::sort(all.begin(), all.end(), [](const Event& a, const Event& b) {
    return std::tuple(a.thread, a.begin, a.depth) < std::tuple(b.thread, b.begin, b.depth);
  });
  return all;
}

std::size_t Recorder::events_left_out() const {
  const std::lock_guard lock(mutex_);
  return left_out_;
}

const NodeCost* Recorder::cost(const Node* n) const {
  const std::lock_guard lock(mutex_);
  const auto at = costs_.find(n);
  return at == costs_.end() ? nullptr : &at->second;
}

}  // namespace wengert::detail
