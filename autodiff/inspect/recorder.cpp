#include "wengert/autodiff/inspect/recorder.h"

#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>

namespace wengert::detail {
namespace {

const void* holder_of(const Tensor& t) { return &Access::body(t)->holder(); }

Pass pass_of(const Frame& f, const auto& open) {
  if (f.act == Act::vjp || f.act == Act::accumulate || f.act == Act::backward) return Pass::backward;
  if (f.act == Act::jvp || f.act == Act::tangents) return Pass::tangents;
  return open.empty() ? Pass::forward : open.back().pass;
}

}  // namespace

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
  Open o{&f, pass_of(f, t.open), entered, 0, 0, 0, Frame::unknown, Frame::unknown, {}};
  for (const Tensor* x : f.x)
    if (x->defined()) o.holders.push_back(holder_of(*x));
  t.open.push_back(std::move(o));
  t.open.back().begin = now();
}

void Recorder::sent(const Frame& f, int, const Tensor& x_bar) {
  const std::lock_guard lock(mutex_);
  Thread& t = thread();
  if (t.open.empty() || t.open.back().frame != &f) return;
  Open& o = t.open.back();
  const bool fresh = std::find(o.holders.begin(), o.holders.end(), holder_of(x_bar)) == o.holders.end();
  if (fresh) o.bytes += x_bar.numel() * static_cast<std::int64_t>(size_of(x_bar.dtype()));
}

void Recorder::leave(const Frame& f) { close(f, false); }
void Recorder::abandon(const Frame& f) noexcept { close(f, true); }

void Recorder::close(const Frame& f, bool failed) {
  const Nanoseconds end = now();
  const std::lock_guard lock(mutex_);
  Thread& t = thread();
  if (t.open.empty() || t.open.back().frame != &f) return;
  Open o = std::move(t.open.back());
  t.open.pop_back();
  for (const Tensor& y : f.y)
    if (y.defined() && std::find(o.holders.begin(), o.holders.end(), holder_of(y)) == o.holders.end())
      o.bytes += y.numel() * static_cast<std::int64_t>(size_of(y.dtype()));
  o.flops = f.flops >= 0 ? f.flops : o.flops_inside;
  add(o, end, t);
  if (f.act == Act::forward) t.last_forward = end - o.begin;
  if (f.act == Act::vjp)
    if (const auto at = costs_.find(f.node); at != costs_.end()) at->second.backward_ns += double(end - o.begin);
  if (events_.size() < options_.max_events)
    events_.push_back({kept(f.name), f.act, o.pass, failed, t.number, static_cast<int>(t.open.size()), f.where, o.begin,
                       end, o.bytes, memory_stats().in_use, o.flops});
  else ++left_out_;
  if (t.open.empty()) return;
  Open& outer = t.open.back();
  if (o.flops >= 0) outer.flops_inside = std::max(0.0, outer.flops_inside) + o.flops;
  outer.inside += now() - o.entered;
}

void Recorder::add(const Open& o, Nanoseconds end, const Thread& t) {
  const Frame& f = *o.frame;
  ProfileRow& row = rows_[Key(kept(f.name), o.pass, f.where.file_name(), f.where.line())];
  row.name = f.name, row.pass = o.pass, row.where = f.where;
  ++row.calls;
  const bool again = std::any_of(t.open.begin(), t.open.end(),
                                 [&](const Open& p) { return p.frame->name == f.name && p.pass == o.pass; });
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
