#pragma once

// Layers that carry a state from step to step.

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/nn/mode.h"

#include <span>
#include <vector>

namespace wengert::nn {

struct RecurrentLayerOptions {
  std::int64_t layers = 1;     ///< each takes the states of the one below
  bool bias = true;            ///< two of them, as in PyTorch: of W x and of U h
  bool batch_first = false;    ///< x and the output are [n, steps, ...]
  double dropout = 0;          ///< in training, on what goes from one layer to the next
  bool bidirectional = false;  ///< a second layer beside each, from the last step to the first
  bool relu = false;           ///< Rnn: in the place of tanh
  DType dtype = float32;
};

/// What a recurrent layer may be given beside its sequence.
struct RecurrentInput {
  Tensor h = {}, c = {};  ///< first states [layers directions, n, hidden]; undefined: zeros. c is Lstm's
  /// [n] int64: sequence i is the first lengths[i] steps. It comes out as if it ran alone: its output is zero beyond
  /// them, its last states are those at its own end, and the other direction begins there.
  Tensor lengths = {};
  Mode mode = eval;
};

/// What Rnn, Gru and Lstm share.  x [steps, n, in] -> output [steps, n, directions hidden], states after the last step
/// h (and c) [layers directions, n, hidden], forward before reverse.  All weights start from U(-1/sqrt(hidden),
/// 1/sqrt(hidden)).  Their names are PyTorch's: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0,
/// weight_ih_l0_reverse,
/// ..., of shapes [gates hidden, in], [gates hidden, hidden], [gates hidden].  Each layer and direction is one node on
/// the tape.  ValueError unless in, hidden and layers are at least 1 and dropout is in [0, 1]; ShapeError and
/// TypeError when x, the states or the lengths do not fit.
struct WENGERT_API RecurrentLayer {
  using Options = RecurrentLayerOptions;
  Recurrent operator()(Operand x, const RecurrentInput& = {}) const;
  Recurrent operator()(Operand x, Mode mode) const { return (*this)(x, RecurrentInput{.mode = mode}); }

  static auto& listed(auto& self) { return self.weights; }
  std::string_view name_of(std::size_t i, std::span<char, 64> room) const;

  std::vector<Param, wengert::detail::FromPool<Param>>
      weights;  ///< four for each direction of each layer; undefined where there is no bias
  std::int64_t in, hidden;
  Options options;

 protected:
  enum class Kind { rnn, gru, lstm };
  RecurrentLayer(Kind, std::int64_t in, std::int64_t hidden, const Options&, Rng&, Where);

 private:
  Recurrent one(Operand x, const Tensor& h, const Tensor& c, std::size_t at, const RecurrentOptions&) const;
  const char* name() const { return kind_ == Kind::lstm ? "Lstm" : kind_ == Kind::gru ? "Gru" : "Rnn"; }
  Kind kind_;
};

/// h = tanh(W x + b + U h + u), or relu.  Elman 1990.
struct WENGERT_API Rnn : RecurrentLayer {
  Rnn(std::int64_t in, std::int64_t hidden, const Options& options = {}, Rng& rng = default_rng(),
      Where where = Where::current())
      : RecurrentLayer(Kind::rnn, in, hidden, options, rng, where) {}
};
/// The gates r, z, n of the operator gru.  Cho et al. 2014.
struct WENGERT_API Gru : RecurrentLayer {
  Gru(std::int64_t in, std::int64_t hidden, const Options& options = {}, Rng& rng = default_rng(),
      Where where = Where::current())
      : RecurrentLayer(Kind::gru, in, hidden, options, rng, where) {}
};
/// The gates i, f, g, o of the operator lstm.  Hochreiter & Schmidhuber 1997.
///
///   const auto [output, h, c] = lstm(x);                              // x [steps, n, in]
///   const auto more = lstm(y, {.h = h, .c = c, .lengths = lengths});  // goes on from there
struct WENGERT_API Lstm : RecurrentLayer {
  Lstm(std::int64_t in, std::int64_t hidden, const Options& options = {}, Rng& rng = default_rng(),
       Where where = Where::current())
      : RecurrentLayer(Kind::lstm, in, hidden, options, rng, where) {}
};

struct RecurrentCellOptions {
  bool bias = true;
  bool relu = false;  ///< RnnCell: in the place of tanh
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
  RecurrentCell(const char* name, std::int64_t gates, std::int64_t in, std::int64_t hidden, Options, Rng&, Where);
};

struct WENGERT_API RnnCell : RecurrentCell {
  RnnCell(std::int64_t in, std::int64_t hidden, Options options = {}, Rng& rng = default_rng(),
          Where where = Where::current())
      : RecurrentCell("RnnCell", 1, in, hidden, options, rng, where) {}
  Tensor operator()(Operand x, Operand h = Tensor()) const;
};
struct WENGERT_API GruCell : RecurrentCell {
  GruCell(std::int64_t in, std::int64_t hidden, Options options = {}, Rng& rng = default_rng(),
          Where where = Where::current())
      : RecurrentCell("GruCell", 3, in, hidden, options, rng, where) {}
  Tensor operator()(Operand x, Operand h = Tensor()) const;
};
struct LstmState {
  Tensor h, c;
};
struct WENGERT_API LstmCell : RecurrentCell {
  LstmCell(std::int64_t in, std::int64_t hidden, Options options = {}, Rng& rng = default_rng(),
           Where where = Where::current())
      : RecurrentCell("LstmCell", 4, in, hidden, options, rng, where) {}
  LstmState operator()(Operand x, const LstmState& = {}) const;
};

}  // namespace wengert::nn
