#pragma once

// Models for other programs, in the ONNX format (https://onnx.ai): save_onnx("mlp.onnx", model, x).
//
// The model runs on an example, and the operators that run are recorded. The graph is that of this input: sizes are
// those of the example, the batch size included, and loops are unrolled.

#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/tensor.h"

#include <array>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace wengert {

struct OnnxOptions {
  std::vector<std::string> inputs = {};   ///< names; default "x", or "x0", "x1", ... for several inputs
  std::vector<std::string> outputs = {};  ///< names; default "y", or the names of members of a struct of results
};

namespace detail {

/// Observes two runs of a model, on the example and on other values, to find values that no operator computes.
class WENGERT_API OnnxExport {
 public:
  OnnxExport(std::vector<NamedTensor> model, std::vector<Tensor> example, OnnxOptions, Where);
  ~OnnxExport();
  OnnxExport(const OnnxExport&) = delete;

  /// Begins a run and returns its inputs. The operators that follow belong to this run.
  const std::vector<Tensor>& begin();
  void end(std::vector<NamedTensor> results);
  void save(const std::string& path);

 private:
  struct State;
  Hidden<State> state_;
};

template <class X>
auto as_inputs(const X& x) {
  if constexpr (std::convertible_to<const X&, Tensor>) return std::array<Tensor, 1>{x};
  else return std::apply([](const auto&... t) { return std::array<Tensor, sizeof...(t)>{t...}; }, x);
}

}  // namespace detail

/// Writes f as an ONNX graph (opset 17). f takes the tensors of the example, which is a Tensor or a std::tuple or
/// std::array of Tensors, and returns a Tensor or a struct, vector or tuple of Tensors. The tensors of the model are
/// initializers under the paths of their fields; f must use this model:
///
///   save_onnx("lstm.onnx", model, [&](const Tensor& x) { return model.lstm(x).output; }, x);
///
/// f is called twice, with gradients off. Two calls reveal random numbers, and values such as a mask or a length that
/// depend on the input without operators.  GraphError, with the source location of the call, for such values and for an
/// operator without an ONNX form.  FileError when the file cannot be written.
template <class M, class F, class X>
void save_onnx(const std::string& path, const M& model, F&& f, const X& example, const OnnxOptions& options = {},
               Where where = Where::current()) requires(!std::convertible_to<F, OnnxOptions>) {
  const auto inputs = detail::as_inputs(example);
  detail::OnnxExport graph(detail::named_tensors(model), {inputs.begin(), inputs.end()}, options, where);
  for (int run = 0; run < 2; ++run) {
    const std::vector<Tensor>& x = graph.begin();
    const auto y = [&]<std::size_t... I>(std::index_sequence<I...>) {
      return f(x[I]...);
    }(std::make_index_sequence<inputs.size()>());
    graph.end(detail::named_tensors(y));
  }
  graph.save(path);
}

/// Exports the model itself, called as model(x...).
template <class M, class X>
void save_onnx(const std::string& path, const M& model, const X& example, const OnnxOptions& options = {},
               Where where = Where::current()) {
  save_onnx(path, model, [&](const auto&... x) { return model(x...); }, example, options, where);
}

}  // namespace wengert
