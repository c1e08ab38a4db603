#pragma once

// Notification of what runs: operators, their derivatives, whole sweeps. Profiles, the search for non-finite values,
// growth warnings and dry runs are observers. While there is none, an operator costs one test of a counter, and a node
// another.

#include "wengert/autodiff/tape/pass.h"
#include "wengert/autodiff/tape/tensor.h"

#include <string_view>

namespace wengert::detail {

class Observer;

/// What runs: a rule's forward, vjp or jvp; the sum of two cotangents; a sweep through a graph, back or forth.
enum class Act : std::uint8_t { forward, vjp, jvp, accumulate, backward, tangents };

/// Attributes of a rule apart from its operands, by name: describe(Attributes& a) const { a.add("axis", axis); }
class WENGERT_API Attributes {
 public:
  void add(std::string_view name, double value);
  void add(std::string_view name, const Shape& list);
  void add(std::string_view name, const Tensor& t);
  /// Of a name that the rule added.
  double number(std::string_view name) const;
  const Shape& list(std::string_view name) const;
  const Tensor& tensor(std::string_view name) const;

 private:
  struct Attribute {
    std::string_view name;
    double number;
    Shape list;
    Tensor tensor;
  };
  const Attribute& at(std::string_view name) const;
  std::vector<Attribute> all_;
};

/// One such activity, created only while an observer is registered; lives on its thread's stack for as long as the
/// activity runs. Activities inside it, such as the operators in a vjp, have it as `outer`.
class WENGERT_API Frame {
 public:
  Frame(Act, std::string_view name, Where call, std::span<const Tensor* const> x, Node* = nullptr);
  ~Frame();
  Frame(const Frame&) = delete;

  /// The activity ended, with these results (those of a vjp were sent one by one). Exceptions of observers leave here.
  void done(std::span<const Tensor> results = {}, double flops = unknown);

  /// A backward() or a push forward as a whole, and not one operator or rule of it.
  bool is_sweep() const { return act == Act::backward || act == Act::tangents; }
  /// What it runs for. An operator that runs inside another frame runs for that frame.
  Pass pass() const;

  static constexpr double unknown = -1;

  const Act act;
  const std::string_view name;
  const Where call;   // where it was called, be it inside the library
  const Where where;  // where the user called what called it; of a sweep, where backward() was called
  /// Operands. Of a vjp, cotangents of the results; of a jvp, tangents of the operands: an undefined one is zero.
  const std::span<const Tensor* const> x;
  Node* const node;  // of vjp and jvp
  const Frame* const outer;
  std::span<const Tensor> y{};  // results, once it has run
  double flops = unknown;

  /// Registers the rule, so that attributes() can call its describe().
  template <class Rule>
  void of(const Rule& rule) {
    if constexpr (requires(Attributes& a) { rule.describe(a); })
      rule_ = &rule, describe_ = [](const void* r, Attributes& a) { static_cast<const Rule*>(r)->describe(a); };
  }
  Attributes attributes() const;

 private:
  const void* rule_ = nullptr;
  void (*describe_)(const void*, Attributes&) = nullptr;
  bool open_;
};

/// The number of observers in the process.
WENGERT_API extern constinit std::atomic<int> observers;
inline bool watched() { return observers.load(std::memory_order_relaxed) != 0; }

/// What an observer does with operators is not observed. It sees what runs from its construction to its destruction;
/// frames that were open before are closed without having been opened.
class WENGERT_API Observer {
 public:
  enum class Threads { mine, all };
  explicit Observer(Threads);
  virtual ~Observer();
  Observer(const Observer&) = delete;

  virtual void enter(const Frame&) {}
  virtual void leave(const Frame&) {}
  /// It was left by an exception.
  virtual void abandon(const Frame&) noexcept {}
  /// A vjp's cotangent of one operand, before it is added to others.
  virtual void sent(const Frame&, int operand, const Tensor& x_bar) { (void)operand, (void)x_bar; }
  /// A saved value that a vjp or jvp reads.
  virtual void read(const Frame&, const Tensor& saved) { (void)saved; }
  /// A node, while it is being made: only its address and its line are there yet.
  virtual void born(Node&) {}
  /// On any thread.
  virtual void died(const Node&) noexcept {}

 protected:
  /// Once the most derived object is there, and before it goes.
  void begin();
  void end();

 private:
  const Threads threads_;
  bool watching_ = false;
};

/// The innermost frame of this thread.
WENGERT_API const Frame* innermost_frame();
WENGERT_API void tell_born(Node&);
void tell_died(const Node&) noexcept;
void tell_sent(int operand, const Tensor& x_bar);
void tell_read(const Node&, const Tensor& saved);

}  // namespace wengert::detail
