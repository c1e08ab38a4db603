#include "wengert/autodiff/tape/observer.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <shared_mutex>
#include <vector>

namespace wengert::detail {

constinit std::atomic<int> observers{0};

namespace {

// Those of one thread are called without a lock. Those of all threads may go while another thread is in an operator, so
// they are called under one; so are all of them when a node dies, which it may do anywhere.
struct Registry {
  std::shared_mutex mutex;
  std::vector<Observer*> all, everywhere;
};
Registry& registry() {
  static auto* r = new Registry;  // never destroyed: a node with static storage may die after any destructor
  return *r;
}

struct Mine {
  std::vector<Observer*> observers;
  const Frame* innermost = nullptr;
  bool muted = false;  // an observer is at work
};
Mine& mine() {
  static thread_local Mine m;
  return m;
}

struct Muted {
  bool before = std::exchange(mine().muted, true);
  ~Muted() { mine().muted = before; }
};

// All of them are told, even if one throws.
template <class F>
void tell(F&& f) {
  const Muted muted;
  std::exception_ptr thrown;
  auto call = [&](Observer& o) {
    try {
      f(o);
    } catch (...) {
      if (!thrown) thrown = std::current_exception();
    }
  };
  for (std::size_t i = 0; i < mine().observers.size(); ++i) call(*mine().observers[i]);
  {
    Registry& r = registry();
    const std::shared_lock lock(r.mutex);
    for (Observer* o : r.everywhere) call(*o);
  }
  if (thrown) std::rethrow_exception(thrown);
}

// Operators inside a rule are filed under its line, as they are on the tape.
Where filed(Act act, Where call, const Node* node, const Frame* outer) {
  if (node) return node->where;
  if (act == Act::accumulate) return outer ? outer->where : call;
  if (act != Act::forward) return call;
  return outer && outer->act == Act::forward ? outer->where : place_of(call).where;
}

void remove(std::vector<Observer*>& from, Observer* o) { std::erase(from, o); }

}  // namespace

void Attributes::add(std::string_view name, double value) { all_.push_back({name, value, {}, {}}); }
void Attributes::add(std::string_view name, const Shape& list) { all_.push_back({name, 0, list, {}}); }
void Attributes::add(std::string_view name, const Tensor& t) { all_.push_back({name, 0, {}, t.detach()}); }
double Attributes::number(std::string_view name) const { return at(name).number; }
const Shape& Attributes::list(std::string_view name) const { return at(name).list; }
const Tensor& Attributes::tensor(std::string_view name) const { return at(name).tensor; }

const Attributes::Attribute& Attributes::at(std::string_view name) const {
  for (auto& a : all_)
    if (a.name == name) return a;
  fail<GraphError>(Where::current(), "a rule does not tell of its '{}'", name);
}

Attributes Frame::attributes() const {
  Attributes all;
  if (describe_) describe_(rule_, all);
  return all;
}

Observer::Observer(Threads threads) : threads_(threads) {}
Observer::~Observer() { end(); }

void Observer::begin() {
  Registry& r = registry();
  const std::unique_lock lock(r.mutex);
  r.all.push_back(this);
  (threads_ == Threads::all ? r.everywhere : mine().observers).push_back(this);
  observers.fetch_add(1, std::memory_order_relaxed);
  watching_ = true;
}

void Observer::end() {
  if (!std::exchange(watching_, false)) return;
  Registry& r = registry();
  const std::unique_lock lock(r.mutex);
  remove(r.all, this);
  remove(threads_ == Threads::all ? r.everywhere : mine().observers, this);
  observers.fetch_sub(1, std::memory_order_relaxed);
}

Frame::Frame(Act a, std::string_view n, Where c, std::span<const Tensor* const> operands, Node* of)
    : act(a),
      name(n),
      call(c),
      where(filed(a, c, of, mine().innermost)),
      x(operands),
      node(of),
      outer(mine().innermost),
      open_(!mine().muted) {
  if (!open_) return;
  mine().innermost = this;
  try {
    tell([&](Observer& o) { o.enter(*this); });
  } catch (...) {
    mine().innermost = outer;
    tell([&](Observer& o) { o.abandon(*this); });
    throw;
  }
}

Frame::~Frame() {
  if (!open_) return;
  mine().innermost = outer;
  tell([&](Observer& o) { o.abandon(*this); });
}

void Frame::done(std::span<const Tensor> results, double count) {
  if (!std::exchange(open_, false)) return;
  mine().innermost = outer;
  y = results, flops = count;
  tell([&](Observer& o) { o.leave(*this); });
}

Pass Frame::pass() const {
  switch (act) {
    case Act::forward: return outer ? outer->pass() : Pass::forward;
    case Act::jvp:
    case Act::tangents: return Pass::tangents;
    default: return Pass::backward;
  }
}

const Frame* innermost_frame() { return mine().innermost; }

void tell_born(Node& n) {
  if (mine().muted) return;
  n.watched = true;
  tell([&](Observer& o) { o.born(n); });
}

void tell_died(const Node& n) noexcept {
  Registry& r = registry();
  const std::shared_lock lock(r.mutex);
  for (Observer* o : r.all) o->died(n);
}

void tell_sent(int operand, const Tensor& x_bar) {
  const Frame* f = mine().innermost;
  if (f && !mine().muted) tell([&](Observer& o) { o.sent(*f, operand, x_bar); });
}

void tell_read(const Node& n, const Tensor& saved) {
  const Frame* f = mine().innermost;
  if (f && f->node == &n && !mine().muted) tell([&](Observer& o) { o.read(*f, saved); });
}

}  // namespace wengert::detail

std::string_view wengert::name(Pass p) {
  switch (p) {
    case Pass::forward: return "forward";
    case Pass::backward: return "backward";
    case Pass::tangents: return "tangents";
  }
  return "";
}
