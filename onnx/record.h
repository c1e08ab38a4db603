#pragma once

// Internal: records operators and translates them to ONNX.

#include "wengert/autodiff/tape/observer.h"
#include "wengert/onnx/graph.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace wengert::onnx {

/// An operator that ran. Its tensors stay alive, so that their addresses identify them.
struct Call {
  std::string name;
  Where where;
  detail::Attributes attributes;
  std::vector<Tensor> x, y;  // in x, an omitted operand is undefined
};

/// Records operators, except those that run inside another operator.
class Recorder final : public detail::Observer {
 public:
  Recorder() : Observer(Threads::mine) { begin(); }
  ~Recorder() override { end(); }
  void leave(const detail::Frame&) override;
  std::vector<Call> calls{};
};

/// Builds an ONNX graph from recorded operators.
class Builder {
 public:
  /// Name a value. Constants are named when they are used.
  void add_input(const std::string& name, const Tensor&);
  void add_initializer(const std::string& name, const Tensor&);
  /// True for an input and for the result of a call that was added.
  bool depends_on_input(const Tensor& t) const { return depends_.contains(detail::Access::body(t)); }
  /// The name of a tensor of the model, or of a value computed from such tensors only; "" for other tensors.
  std::string name_in_model(const Tensor&) const;
  /// Removes initializers that no node takes.
  void prune();
  /// Adds a call. GraphError for an operator without an ONNX form.
  void add(const Call&);
  void add_output(const std::string& name, const Tensor&);

  Graph graph{};

  // Used by translations.
  std::string name_of(const Tensor&);
  std::string node(std::string op, std::vector<std::string> inputs, std::vector<Attribute> = {});
  std::vector<std::string> nodes(std::string op, std::vector<std::string> inputs, std::vector<Attribute>, int outputs);
  std::string ints(const Ints&);
  std::string number(double, DType);
  std::string constant(const Tensor&);

 private:
  std::unordered_map<const void*, std::string> names_, in_model_;
  std::unordered_set<const void*> depends_;
  std::vector<Tensor> kept_;
  std::string label_, doc_;
  int calls_ = 0, parts_ = 0;
};

/// The names of the results of the call, computed by ONNX operators; empty if there is no ONNX form.
std::vector<std::string> translated(Builder&, const Call&);

}  // namespace wengert::onnx
