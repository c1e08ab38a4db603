#pragma once

// Layers with the state of PyTorch's: what modules.cpp and train.cpp share.

#include "golden.h"
#include "wengert/autodiff/files/safetensors.h"
#include "wengert/nn/nn.h"

#include <fmt/format.h>

namespace golden {

/// A tensor of the data file, read by the library's own loader.
const Tensor& loaded(const Data&, const Json& name);

/// Fills every tensor of a model, whose names become PyTorch's by name_of(path), from `state`. Throws unless both have
/// the same names, shapes and dtypes. `convert` is applied to what is read.
template <class M, class NameOf, class Convert>
void load_state(M& model, const Json& state, const Data& data, NameOf&& name_of, Convert&& convert) {
  std::set<std::string> left;
  for (const auto& [name, tensor] : state.items()) left.insert(name);
  for_each_tensor(model, [&](std::string_view path, auto& t) {
    const std::string name = name_of(path);
    if (!left.erase(name)) throw std::runtime_error("the state has no tensor " + name);
    const Tensor value = convert(loaded(data, state[name]));
    if (!(value.shape() == t.shape()))
      throw std::runtime_error(fmt::format("the state has {} of shape {}, the model {}", name, to_string(value.shape()),
                                           to_string(t.shape())));
    t.assign(value);
  });
  if (!left.empty()) throw std::runtime_error("the model has no tensor " + *left.begin());
}

/// A case of modules.json: what its row in modules.cpp builds a layer from, and the steps that are run with it.
class ModuleCase {
 public:
  ModuleCase(const Json& one, const Data& data);

  DType dtype;
  Args attrs;  ///< arguments of PyTorch's constructor
  bool has_state(const std::string& name) const { return one_.at("state").contains(name); }

  /// Loads the state into the layer and runs the steps: call(layer, inputs, mode) gives the results.
  template <class Layer, class Call>
  void run(Layer layer, Call&& call) {
    load_state(
        layer, one_.at("state"), data_, [](std::string_view path) { return std::string(path); },
        [](const Tensor& t) { return t; });
    for (const Json& step : one_.at("steps")) {
      zero_grad(layer);
      Rng rng{1};
      const Args in = inputs(step);
      compare_results(step, call(std::as_const(layer), in, step.at("training") ? nn::training(rng) : nn::eval));
      Json missing = step.at("param_grads");
      const Json& buffers = step.at("buffers_after");
      for_each_tensor(layer, [&](std::string_view path, const auto& t) {
        const std::string name(path);
        if (step.at("param_grads").contains(name)) compare_gradient(name, t, step["param_grads"][name]);
        if (buffers.contains(name)) compare("buffer " + name, t, buffers[name]);
        missing.erase(name);
      });
      for (const auto& [name, tensor] : missing.items()) wrong.push_back("the layer has no parameter " + name);
      ++step_;
    }
  }
  /// For layers of one operand, with or without a mode.
  template <class Layer>
  void run(Layer layer) {
    run(std::move(layer), [](const Layer& f, const Args& in, [[maybe_unused]] nn::Mode mode) -> Results {
      if constexpr (requires { f(in.input(), mode); }) return f(in.input(), mode);
      else return f(in.input());
    });
  }

  std::vector<std::string> wrong;

 private:
  Args inputs(const Json& step);
  void compare_results(const Json& step, const Results&);
  void compare_gradient(const std::string& what, const Tensor& x, const Json& want);
  void compare(const std::string& what, const Tensor& got, const Json& want);

  const Json& one_;
  const Data& data_;
  Json none_ = Json::object();
  std::vector<std::pair<std::string, std::pair<Tensor, Json>>> tracked_;
  int step_ = 0;
};

/// Builds a layer of ours from the attributes of a case and runs the case with it.
using ModuleRow = void (*)(ModuleCase&);
/// Those of layers of sequences, beside the ones in modules.cpp.
const std::map<std::string, ModuleRow>& sequence_rows();

}  // namespace golden
