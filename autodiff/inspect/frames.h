#pragma once

// Internal: what observers note about the activities that run.

#include "wengert/autodiff/tape/observer.h"
#include "wengert/autodiff/tape/tape.h"

#include <optional>
#include <utility>
#include <vector>

namespace wengert::detail {

/// The frames that are open, innermost last, with an Entry for each. A frame that was opened before the observer began
/// has none: entry() and leave() then give nothing.
template <class Entry>
class FrameStack {
 public:
  struct Open {
    const Frame* frame;
    Entry entry;
  };

  Entry& enter(const Frame& f, Entry entry = {}) { return open_.emplace_back(Open{&f, std::move(entry)}).entry; }
  /// The entry of f, if f is the innermost.
  Entry* entry(const Frame& f) { return !empty() && open_.back().frame == &f ? &open_.back().entry : nullptr; }
  std::optional<Entry> leave(const Frame& f) {
    Entry* last = entry(f);
    if (!last) return {};
    std::optional<Entry> closed(std::move(*last));
    open_.pop_back();
    return closed;
  }
  bool empty() const { return open_.empty(); }
  std::size_t size() const { return open_.size(); }
  /// No operator is open, at most a sweep: what runs now was called by the user, or is the rule of a node.
  bool outermost() const { return empty() || open_.back().frame->is_sweep(); }

  Entry& innermost() { return open_.back().entry; }
  auto begin() { return open_.begin(); }
  auto end() { return open_.end(); }
  auto begin() const { return open_.begin(); }
  auto end() const { return open_.end(); }

 private:
  std::vector<Open> open_;
};

/// Identifies the storage that owns the data: the same for a tensor and its views.
inline const void* storage_of(const Tensor& t) { return &Access::body(t)->holder(); }

}  // namespace wengert::detail
