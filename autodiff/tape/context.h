#pragma once

// What a scope may change on its thread: one object, saved and restored as a whole.

#include "wengert/autodiff/base/error.h"

#include <cstdint>

namespace wengert {

class Saved;

/// Recording is on by default; where it is off, operators compute values only.
WENGERT_API bool recording();

namespace detail {

struct Node;
struct Replay;
class RunningRule;

struct Context {
  bool recording = true;
  int transforms = 0;           ///< nesting depth: transforms whose function is executing
  Where place{};                ///< source location given by the outermost At; line 0: none
  Replay* replay = nullptr;     ///< the innermost checkpoint whose function is executing
  RunningRule* rule = nullptr;  ///< the innermost rule whose vjp or jvp is executing

  bool operator==(const Context& o) const {
    return recording == o.recording && transforms == o.transforms && place.file_name() == o.place.file_name() &&
           place.line() == o.place.line() && replay == o.replay && rule == o.rule;
  }
};

/// Per-thread state of recording and differentiation (memory pools are in pool.cpp).
struct ThreadState {
  Context context;
  Node* graveyard = nullptr;  // nodes that wait for their destruction
  bool burying = false;
  std::uint64_t last_sweep = 0;  // see Sweep
  std::uint64_t sweeps = 0;      // derivatives taken so far
};
WENGERT_API ThreadState& thread_state();

/// Restores the thread's context when it goes.
class [[nodiscard]] ContextScope {
 public:
  ContextScope() : before_(thread_state().context) {}
  ~ContextScope() { thread_state().context = before_; }
  ContextScope(const ContextScope&) = delete;

 private:
  const Context before_;
};

/// The rules that a sweep runs, one after the other. Lives on the sweep's stack.
class WENGERT_API RunningRule {
 public:
  /// With history, saved values come back with their graph, so that the derivative can be differentiated.
  explicit RunningRule(bool with_history) : with_history(with_history), outer_(thread_state().context.rule) {}
  ~RunningRule() { end(); }
  RunningRule(const RunningRule&) = delete;

  void begin(Node& n, bool is_observed) {
    node = &n, observed = is_observed;
    thread_state().context.rule = this;
  }
  void end() {
    if (attached_) [[unlikely]]
      detach_all();
    thread_state().context.rule = outer_;
  }
  /// Are saved values read as they are?
  bool plain() const { return !with_history && !observed; }

  Node* node = nullptr;
  const bool with_history;
  bool observed = false;  // observers are notified of the saved values that the rule reads

 private:
  friend class wengert::Saved;
  void detach_all();
  const Saved* attached_ = nullptr;  // saved values that are detached again when the rule ends
  RunningRule* const outer_;
};

}  // namespace detail

/// While this object lives, this thread records nothing.
class [[nodiscard]] WENGERT_API no_grad {
 public:
  no_grad();

 private:
  detail::ContextScope scope_;
};

/// While this object lives, errors and profiles attribute operators called on this thread to this source location. A
/// layer's operator() passes on the location of the user's call, so that an error names the user's line and not the
/// layer's. Of several such objects the outermost decides.
class [[nodiscard]] WENGERT_API At {
 public:
  explicit At(Where);

 private:
  detail::ContextScope scope_;
};

}  // namespace wengert
