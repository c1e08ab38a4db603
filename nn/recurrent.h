#pragma once

// Recurrent layers: a state goes from step to step.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/nn/mode.h"

#include <span>
#include <vector>

namespace wengert::nn {

struct RecurrentLayerOptions {
  std::int64_t num_layers = 1;  ///< layer k + 1 takes the output of layer k
  bool bias = true;             ///< two bias vectors as in PyTorch, for W x and for U h
  bool batch_first = false;     ///< x and output are [n, steps, ...] instead of [steps, n, ...]
  double dropout = 0;           ///< probability in training, on the output of every layer but the last
  bool bidirectional = false;   ///< each layer also runs from the last step to the first
  bool relu = false;            ///< Rnn: relu instead of tanh
  DType dtype = float32;
};

/// Optional inputs of a recurrent layer.
struct RecurrentInput {
  Tensor h = {}, c = {};  ///< initial states [num_layers directions, n, hidden]; undefined: zeros. Only Lstm has c
  /// [n] int64: sequence i consists of the first lengths[i] steps, and its result is that of the sequence alone. The
  /// output is zero beyond its end, the final states are those at its end, and the reverse direction begins there.
  Tensor lengths = {};
  Mode mode = eval;
};

/// The base of Rnn, Gru and Lstm.  x [steps, n, in] -> output [steps, n, directions hidden] and the states after the
/// last step, h (and c) [num_layers directions, n, hidden], forward before reverse.  Initial weights and biases:
/// U(-1/sqrt(hidden), 1/sqrt(hidden)).  Names are PyTorch's: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, then
/// weight_ih_l0_reverse and so on, with shapes [gates hidden, in], [gates hidden, hidden] and [gates hidden].  Each
/// layer and direction is one node on the tape.  ValueError unless in, hidden and num_layers are >= 1 and dropout is in
/// [0, 1]. ShapeError and TypeError for x, states or lengths of another shape or dtype.
struct WENGERT_API RecurrentLayer {
  using Options = RecurrentLayerOptions;
  Recurrent operator()(Operand x, const RecurrentInput& = {}) const;
  Recurrent operator()(Operand x, Mode mode) const { return (*this)(x, RecurrentInput{.mode = mode}); }

  static auto& listed(auto& self) { return self.weights; }
  std::string_view name_of(std::size_t i, std::span<char, 64> room) const;

  std::vector<Param, wengert::detail::FromPool<Param>>
      weights;  ///< four for each direction of each layer; biases are undefined if options.bias is false
  std::int64_t in, hidden;
  Options options;

 protected:
  enum class Kind { rnn, gru, lstm };
  RecurrentLayer(Kind, std::int64_t in, std::int64_t hidden, Rng&, const Options&, Where);

 private:
  Recurrent one(Operand x, const Tensor& h, const Tensor& c, std::size_t at, const RecurrentOptions&) const;
  const char* name() const { return kind_ == Kind::lstm ? "Lstm" : kind_ == Kind::gru ? "Gru" : "Rnn"; }
  Kind kind_;
};

/// h = tanh(W x + b + U h + u), or relu instead of tanh.  Elman 1990.
struct WENGERT_API Rnn : RecurrentLayer {
  Rnn(std::int64_t in, std::int64_t hidden, Rng& rng, const Options& options = {}, Where where = Where::current())
      : RecurrentLayer(Kind::rnn, in, hidden, rng, options, where) {}
  Rnn(std::int64_t in, std::int64_t hidden, const Options& options = {}, Where where = Where::current())
      : Rnn(in, hidden, default_rng(), options, where) {}
};
/// Has the gates r, z, n of the operator gru.  Cho et al. 2014.
struct WENGERT_API Gru : RecurrentLayer {
  Gru(std::int64_t in, std::int64_t hidden, Rng& rng, const Options& options = {}, Where where = Where::current())
      : RecurrentLayer(Kind::gru, in, hidden, rng, options, where) {}
  Gru(std::int64_t in, std::int64_t hidden, const Options& options = {}, Where where = Where::current())
      : Gru(in, hidden, default_rng(), options, where) {}
};
/// Has the gates i, f, g, o of the operator lstm.  Hochreiter & Schmidhuber 1997.
///
///   const auto [output, h, c] = lstm(x);                              // x [steps, n, in]
///   const auto more = lstm(y, {.h = h, .c = c, .lengths = lengths});  // continues from the states
struct WENGERT_API Lstm : RecurrentLayer {
  Lstm(std::int64_t in, std::int64_t hidden, Rng& rng, const Options& options = {}, Where where = Where::current())
      : RecurrentLayer(Kind::lstm, in, hidden, rng, options, where) {}
  Lstm(std::int64_t in, std::int64_t hidden, const Options& options = {}, Where where = Where::current())
      : Lstm(in, hidden, default_rng(), options, where) {}
};

struct RecurrentCellOptions {
  bool bias = true;
  bool relu = false;  ///< RnnCell: relu instead of tanh
  DType dtype = float32;
};

/// One step of a recurrent layer.  x [n, in], h [n, hidden] or undefined (zeros) -> [n, hidden].
struct WENGERT_API RecurrentCell {
  using Options = RecurrentCellOptions;
  static auto members(auto& self) {
    return fields(field("weight_ih", self.weight_ih), field("weight_hh", self.weight_hh),
                  field("bias_ih", self.bias_ih), field("bias_hh", self.bias_hh));
  }

  Param weight_ih, weight_hh, bias_ih, bias_hh;
  Options options;

 protected:
  RecurrentCell(const char* name, std::int64_t gates, std::int64_t in, std::int64_t hidden, Rng&, Options, Where);
};

struct WENGERT_API RnnCell : RecurrentCell {
  RnnCell(std::int64_t in, std::int64_t hidden, Rng& rng, Options options = {}, Where where = Where::current())
      : RecurrentCell("RnnCell", 1, in, hidden, rng, options, where) {}
  RnnCell(std::int64_t in, std::int64_t hidden, Options options = {}, Where where = Where::current())
      : RnnCell(in, hidden, default_rng(), options, where) {}
  Tensor operator()(Operand x, Operand h = Tensor()) const;
};
struct WENGERT_API GruCell : RecurrentCell {
  GruCell(std::int64_t in, std::int64_t hidden, Rng& rng, Options options = {}, Where where = Where::current())
      : RecurrentCell("GruCell", 3, in, hidden, rng, options, where) {}
  GruCell(std::int64_t in, std::int64_t hidden, Options options = {}, Where where = Where::current())
      : GruCell(in, hidden, default_rng(), options, where) {}
  Tensor operator()(Operand x, Operand h = Tensor()) const;
};
struct LstmState {
  Tensor h, c;
};
struct WENGERT_API LstmCell : RecurrentCell {
  LstmCell(std::int64_t in, std::int64_t hidden, Rng& rng, Options options = {}, Where where = Where::current())
      : RecurrentCell("LstmCell", 4, in, hidden, rng, options, where) {}
  LstmCell(std::int64_t in, std::int64_t hidden, Options options = {}, Where where = Where::current())
      : LstmCell(in, hidden, default_rng(), options, where) {}
  LstmState operator()(Operand x, const LstmState& = {}) const;
};

}  // namespace wengert::nn
