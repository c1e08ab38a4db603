#pragma once

// The vocabulary for sequences, each operator one node for all of their steps. In the manner of ops.h.

#include "wengert/autodiff/ops.h"

namespace wengert {

/// @name Recurrent layers, over a whole sequence as one node
/// @{
struct RecurrentOptions {
  bool reverse = false;  ///< from the last step to the first
  /// [n] int64: sequence i has the steps 0 .. lengths[i] - 1 (reverse begins at its own end). Beyond them the output is
  /// zero and the state stays. Undefined: all have all steps.
  Tensor lengths = {};
  bool relu = false;  ///< rnn: in the place of tanh
};
/// States h of all steps [steps, n, hidden], and those after the last one [n, hidden]; c is lstm's.
struct Recurrent {
  Tensor output, h, c;
};
/// h = tanh(W x + b + U h + u), from step to step.  x [steps, n, in], h [n, hidden] or undefined (zeros), weight_ih = W
/// [gates hidden, in], weight_hh = U [gates hidden, hidden], bias_ih = b and bias_hh = u [gates hidden] or undefined;
/// one gate here. ShapeError and TypeError when they do not fit; ValueError for a length outside of 0..steps. Elman
/// 1990.
WENGERT_API Recurrent rnn(Operand x, Operand h, Operand weight_ih, Operand weight_hh, Operand bias_ih, Operand bias_hh,
                          const RecurrentOptions& = {});
/// Three gates: r, z = sigmoid of their rows of W x + b + U h + u, n = tanh((W x + b)_n + r (U h + u)_n),
/// h = (1 - z) n + z h.  Shapes and errors as for rnn.  Cho et al. 2014.
WENGERT_API Recurrent gru(Operand x, Operand h, Operand weight_ih, Operand weight_hh, Operand bias_ih, Operand bias_hh,
                          const RecurrentOptions& = {});
/// Four gates of W x + b + U h + u: i, f, o = sigmoid, g = tanh, in the order i, f, g, o; c = f c + i g, h = o tanh(c).
/// c [n, hidden] or undefined; other shapes and errors as for rnn.  Hochreiter & Schmidhuber 1997; Gers et al. 2000.
WENGERT_API Recurrent lstm(Operand x, Operand h, Operand c, Operand weight_ih, Operand weight_hh, Operand bias_ih,
                           Operand bias_hh, const RecurrentOptions& = {});
/// @}

/// @name Attention as one node
/// @{
/// attention(...).output as one node, which stores the weights and no other matrix of that size. A mask is read in its
/// own layout, without a broadcast copy.
WENGERT_API Tensor attend(Operand query, Operand key, Operand value, const AttentionOptions& = {});
/// attend() for heads whose queries, keys and values are adjacent, as one projection makes them: projected
/// [.., m, 3 size] is q, k and v [.., m, size], of which each head takes size / heads entries; mask [.., heads, m, m]
/// -> [.., m, size].  ShapeError unless heads divides size.
WENGERT_API Tensor self_attend(Operand projected, std::int64_t heads, const AttentionOptions& = {});
/// @}

}  // namespace wengert
