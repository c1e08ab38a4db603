#pragma once

// Internal: the operators that ran, and what they say in ONNX.

#include "wengert/autodiff/tape/observer.h"
#include "wengert/onnx/graph.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace wengert::onnx {

/// An operator that ran. Its tensors stay alive, so that their addresses tell them apart.
struct Call {
  std::string name;
  Where where;
  detail::Attributes attributes;
  std::vector<Tensor> x, y;  // of x, an operand that was left out is undefined
};

/// Writes down operators, but not those that others run inside.
class Recorder final : public detail::Observer {
 public:
  Recorder() : Observer(Threads::mine) { begin(); }
  ~Recorder() override { end(); }
  void leave(const detail::Frame&) override;
  std::vector<Call> calls{};
};

/// Puts ONNX operators in place of ours, one after the other.
class Builder {
 public:
  /// Gives a value a name; constants get theirs when they are used.
  void add_input(const std::string& name, const Tensor&);
  void add_initialiser(const std::string& name, const Tensor&);
  /// Is it an input or the result of a call that was added?
  bool depends_on_input(const Tensor& t) const { return depends_.contains(detail::Access::body(t)); }
  /// The name of a tensor of the model, or of what was made of such only; "" for others.
  std::string name_in_model(const Tensor&) const;
  /// Leaves out initialisers that no node takes.
  void prune();
  /// GraphError when there is no ONNX form.
  void add(const Call&);
  void add_output(const std::string& name, const Tensor&);

  Graph graph{};

  // For translations.
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

/// The values of the call, made of ONNX operators; none when there are none that do this.
std::vector<std::string> translated(Builder&, const Call&);

}  // namespace wengert::onnx
