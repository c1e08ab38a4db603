#include "wengert/autodiff/inspect/growth.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/base/text.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <unordered_map>

namespace wengert {

using detail::Act;
using detail::Frame;
using detail::Node;

namespace {

constexpr std::size_t places = 5;

struct Birth {
  std::int64_t number, step;
};

bool counts(const Node& n) { return n.kind == detail::Kind::operation && !n.is_released(); }

}  // namespace

struct GrowthWatch::Watch final : detail::Observer {
  detail::Function<void(const GrowthReport&)> warn;
  GrowthOptions options;
  std::int64_t bytes_before = memory_stats().in_use, step = 0, born_ever = 0;
  std::int64_t look_again_at = 0;  // so many nodes, of all kinds, are worth counting exactly
  mutable std::mutex mutex;        // a node may die on another thread
  std::unordered_map<Node*, Birth> alive;

  Watch(detail::Function<void(const GrowthReport&)> w, GrowthOptions o)
      : Observer(Threads::mine), warn(std::move(w)), options(o), look_again_at(o.max_nodes) {
    begin();
  }
  ~Watch() override { end(); }

  void born(Node& n) override {
    const std::lock_guard lock(mutex);
    alive[&n] = {born_ever++, step};
  }
  void died(const Node& n) noexcept override {
    const std::lock_guard lock(mutex);
    alive.erase(const_cast<Node*>(&n));
  }

  void enter(const Frame& frame) override {
    if (!frame.outer && frame.act == Act::forward) look();
  }
  void leave(const Frame& frame) override {
    if (!frame.outer && frame.act == Act::backward) end_step();
  }

  void look() {
    if (options.max_bytes && memory_stats().in_use - bytes_before > options.max_bytes)
      tell(GrowthReport::Reason::bytes, options.max_bytes);
    if (!options.max_nodes || size() <= look_again_at) return;
    const std::int64_t nodes = report().nodes;
    if (nodes > options.max_nodes) tell(GrowthReport::Reason::nodes, options.max_nodes);
    look_again_at = size() + std::max<std::int64_t>(0, options.max_nodes - nodes);
  }

  void end_step() {
    ++step;
    if (options.max_steps && report().steps > options.max_steps) tell(GrowthReport::Reason::steps, options.max_steps);
  }

  template <class Bound>
  void tell(GrowthReport::Reason reason, Bound& bound) {
    GrowthReport r = report();
    r.reason = reason, r.bound = bound;
    bound *= 2;
    warn(r);
  }

  std::int64_t size() const {
    const std::lock_guard lock(mutex);
    return static_cast<std::int64_t>(alive.size());
  }

  GrowthReport report() const {
    GrowthReport r;
    r.bytes = memory_stats().in_use - bytes_before;
    const std::lock_guard lock(mutex);
    std::vector<std::pair<Birth, Node*>> nodes;
    std::set<std::int64_t> steps;
    for (const auto& [node, birth] : alive) {
      if (!counts(*node)) continue;
      nodes.emplace_back(birth, node);
      if (birth.step < step) steps.insert(birth.step);
    }
    r.nodes = static_cast<std::int64_t>(nodes.size());
    r.steps = static_cast<std::int64_t>(steps.size());
    std::sort(nodes.begin(), nodes.end(), [](auto& a, auto& b) { return a.first.number < b.first.number; });
    for (const auto& [birth, node] : nodes) {
      auto at = std::find_if(r.oldest.begin(), r.oldest.end(), [&](const GrowthReport::Place& p) {
        return p.where.line() == node->where.line() && p.where.file_name() == node->where.file_name() &&
               p.name == node->name();
      });
      if (at != r.oldest.end()) ++at->nodes;
      else if (r.oldest.size() < places) r.oldest.push_back({std::string(node->name()), node->where, 1, birth.step});
    }
    return r;
  }
};

GrowthWatch::GrowthWatch(detail::Function<void(const GrowthReport&)> warn, GrowthOptions options)
    : watch_(new Watch(std::move(warn), options)) {}
GrowthWatch::~GrowthWatch() = default;
void GrowthWatch::step() { watch_->end_step(); }
GrowthReport GrowthWatch::report() const { return watch_->report(); }

std::string to_string(const GrowthReport& r) {
  std::string text;
  switch (r.reason) {
    case GrowthReport::Reason::nodes:
      text = fmt::format("the tape has {} operators, more than {}", readable_count(r.nodes), readable_count(r.bound));
      break;
    case GrowthReport::Reason::bytes:
      text = fmt::format("{} are in use, more than {}", readable_bytes(r.bytes), readable_bytes(r.bound));
      break;
    case GrowthReport::Reason::steps:
      text = fmt::format(
          "graphs of {} earlier steps are still there, {} operators; is a loss or a state kept with its graph? keep "
          "loss.detach() or loss.item()",
          r.steps, readable_count(r.nodes));
      break;
  }
  if (!r.oldest.empty()) text += "; the oldest:";
  for (const auto& p : r.oldest)
    text += fmt::format("\n  {} at {}:{}, since step {}: {}", p.name, p.where.file_name(), p.where.line(), p.step,
                        counted(p.nodes, "node"));
  return text;
}

}  // namespace wengert
