#pragma once

#include "wengert/autodiff/tape/tape.h"

#include <optional>
#include <span>
#include <vector>

namespace wengert {

// Threads. A graph is differentiated by one thread at a time: a derivative owns the nodes and leaves that it passes
// through until it is done. A derivative on another thread that needs one of them meanwhile throws a GraphError that
// names the node, and has changed nothing; leaves that it does not differentiate by are no obstacle. Graphs without a
// common node, on any number of threads, do not disturb each other. value_and_grad and the other transforms
// (transforms.h) differentiate by leaves of their own, so that threads may share a model; a pullback that vjp returned is
// called by one thread at a time, or throws as well.

struct BackwardOptions {
  /// Record the derivative itself, so that it can be differentiated again. Left out: on inside the f of a transform
  /// (transforms.h) while recording is on, off elsewhere.
  std::optional<bool> create_graph = {};
  /// Keep saved values for another backward through the same graph. Default: as create_graph.
  std::optional<bool> keep_graph = {};
};

/// Reverse mode from a single-element y: adds dy/dx to x.grad() of every leaf x that y reaches (a Param, or a tensor
/// from track()). Gradients accumulate over several calls until an optimizer has stepped with them; the next call then
/// starts afresh. Saved values are dropped on the way, edges too, so that graphs die as the loop goes on. GraphError
/// when y is not on the tape, is a leaf, or was released by an earlier backward; ShapeError when y has not one element.
WENGERT_API void backward(const Tensor& y, BackwardOptions = {}, Where = Where::current());
/// The same from any y, with its cotangent: adds J^T y_bar. ShapeError unless y_bar has the shape of y.
WENGERT_API void backward(const Tensor& y, const Tensor& y_bar, BackwardOptions = {}, Where = Where::current());

/// x_bar = J^T y_bar for each x: gradients of sum_k <y_bar_k, y_k> as values, leaving grad() alone. Only what leads to
/// an x is computed. y_bars may be left out when every y has one element. An x that no y depends on receives zeros.
/// GraphError when an x is not on the tape, or no y is: a derivative that was taken without create_graph, or under
/// no_grad.
WENGERT_API std::vector<Tensor> grad(std::span<const Tensor> ys, std::span<const Tensor> xs,
                                     std::span<const Tensor> y_bars = {}, BackwardOptions = {},
                                     Where = Where::current());
/// dy/dx for a single-element y.
WENGERT_API Tensor grad(const Tensor& y, const Tensor& x, BackwardOptions = {}, Where = Where::current());

/// y_dot = J x_dot for each y, forwards along the tape that made ys from xs. The graph is kept.
/// With create_graph the tangents are on the tape themselves; left out, it is what it is for BackwardOptions. GraphError
/// when no y is on the tape.
WENGERT_API std::vector<Tensor> push_forward(std::span<const Tensor> ys, std::span<const Tensor> xs,
                                             std::span<const Tensor> x_dots, std::optional<bool> create_graph = {},
                                             Where = Where::current());

namespace detail {

/// Should a derivative that is taken now be recorded, if nobody says so?
WENGERT_API bool creates_graph();
/// grad() without a vector: writes the cotangents of `count` leaves or results to x_bars. Does any y depend on any x?
WENGERT_API bool pull_back(std::span<const Tensor> ys, std::span<const Tensor> y_bars,
                           std::span<const Tensor* const> xs, std::span<Tensor> x_bars, BackwardOptions, Where);

}  // namespace detail
}  // namespace wengert
