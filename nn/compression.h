#pragma once

// Compression of trained models: pruning of small weights, and layers of lower rank.
//
//   nn::Pruning pruning(model, {.pattern = "*.weight"});
//   for (...) {
//     if (step % 100 == 0) pruning.prune(model, nn::pruning_schedule(step, {.end = 2000, .last = 0.9}));
//     adam.step(model, grads);
//     pruning.apply(model);                                        // pruned weights stay zero
//   }
//   const nn::LowRankLinear small = nn::low_rank(model.hidden, {.energy = 0.99});

#include "wengert/nn/layers.h"
#include "wengert/nn/tools.h"

namespace wengert::nn {

/// @name Pruning by magnitude.  Han et al. 2015
/// @{

struct PruningOptions {
  std::string pattern = "*weight";  ///< selects the parameters that may be pruned, as for freeze()
  bool global = true;               ///< one share of all parameters together; false: the same share of each parameter
};

struct PruningSchedule {
  std::int64_t begin = 0, end = 1;
  double first = 0, last = 0.9;
};
/// The share to prune at a step: last + (first - last) (1 - t)^3, where t rises from 0 at `begin` to 1 at `end`. It is
/// constant before and after.  Zhu & Gupta 2017, eq. 1.  ValueError unless begin < end and shares are in [0, 1].
WENGERT_API double pruning_schedule(std::int64_t step, PruningSchedule, Where = Where::current());

namespace tools {
WENGERT_API void prune_smallest(std::vector<Tensor> weights, std::vector<Tensor> masks, double share, bool global,
                                Where);
WENGERT_API void mask_in_place(Tensor& weight, const Tensor& mask, Where);
WENGERT_API std::int64_t count_ones(const std::vector<Tensor>& masks);
}  // namespace tools

/// The mask of pruned weights, a value of the model's type, which save() and load() see.
template <class M>
class Pruning {
 public:
  /// Prunes nothing yet. ValueError when no parameter matches the pattern.
  explicit Pruning(const M& model, PruningOptions options = {}, Where where = Where::current())
      : mask(zeros_like(model)), options_(std::move(options)) {
    std::vector<std::string> names;
    for_each_param(mask, [&](std::string_view path, auto& m) {
      m.assign(ones(m.shape(), m.dtype()));
      names.emplace_back(path);
    });
    if (parts(mask).empty()) wengert::detail::none_fits("pruning", options_.pattern, names, where);
  }

  /// Sets this share of the weights to zero: those with the smallest absolute values, the first of equal ones. Weights
  /// that are already pruned stay pruned and count.  ValueError unless 0 <= share <= 1 and all weights are finite.
  void prune(M& model, double share, Where where = Where::current()) {
    tools::prune_smallest(parts(model), parts(mask), share, options_.global, where);
    apply(model, where);
  }
  /// Sets the pruned weights to zero again. To be called after each step of an optimizer, whose moments move them.
  void apply(M& model, Where where = Where::current()) const {
    for_each_param(model, mask, [&](std::string_view path, auto& w, auto& m) {
      if (wengert::detail::fits(path, options_.pattern)) tools::mask_in_place(w, m, where);
    });
  }

  /// The number of weights that may be pruned, and of weights that are pruned.
  std::int64_t size() const {
    std::int64_t n = 0;
    for (auto& m : parts(mask)) n += m.numel();
    return n;
  }
  std::int64_t pruned() const { return size() - tools::count_ones(parts(mask)); }

  M mask;  ///< 1 for weights that stay, 0 for pruned weights

  static auto members(auto& self) { return fields(field("mask", self.mask)); }

 private:
  std::vector<Tensor> parts(const M& model) const {
    std::vector<Tensor> all;
    for_each_param(model, [&](std::string_view path, const Tensor& w) {
      if (wengert::detail::fits(path, options_.pattern)) all.push_back(w.detach());
    });
    return all;
  }

  PruningOptions options_;
};

/// @}
/// @name Layers of lower rank
/// @{

/// Two layers through a narrow space in place of one wide layer.
struct WENGERT_API LowRankLinear {
  Linear first, second;
  Tensor operator()(Operand x) const;
};
struct LowRankOptions {
  std::int64_t rank = 0;  ///< 0: the smallest rank that keeps the energy
  double energy = 0.99;   ///< share of the sum of squared singular values
};
/// The best approximation of this rank: W = U S V^T, truncated after `rank` singular values (Eckart & Young 1936). The
/// first layer has S^1/2 V^T, the second U S^1/2 and the bias.  ValueError unless rank <= min(in, out) and energy is in
/// (0, 1].
WENGERT_API LowRankLinear low_rank(const Linear&, LowRankOptions = {}, Where = Where::current());

struct CpOptions {
  std::int64_t rank = 1;
  std::int64_t max_sweeps = 200;  ///< upper bound on sweeps of alternating least squares
  std::uint64_t seed = 0;         ///< of the initial factors
};
/// A convolution whose kernel is a sum of `rank` outer products over outputs, inputs, rows and columns: four
/// convolutions, from channels to rank, down the columns, along the rows, and from rank to channels.
struct WENGERT_API CpConv2d {
  Tensor operator()(Operand x) const;
  /// The kernel of the four convolutions together, [out, in, height, width].
  Tensor kernel() const;

  Param in;          ///< [rank, in, 1, 1]
  Param vertical;    ///< [rank, 1, height, 1]
  Param horizontal;  ///< [rank, 1, 1, width]
  Param out;         ///< [out, rank, 1, 1]
  Param bias;        ///< [out] or undefined
  ConvOptions options;
  double error = 0;  ///< |kernel - weight| / |weight| for the decomposed weight
};
/// The canonical polyadic decomposition of the weight [out, in, height, width] of a convolution with one group, by
/// alternating least squares in float64, until the error no longer changes.  Lebedev et al. 2015.  ShapeError;
/// ValueError unless rank and max_sweeps are >= 1.
WENGERT_API CpConv2d cp_decompose(const Tensor& weight, const Tensor& bias, const ConvOptions&, CpOptions,
                                  Where = Where::current());
/// @}

}  // namespace wengert::nn
