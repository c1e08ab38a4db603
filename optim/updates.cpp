// The loops of all update rules, whose formulas are in their headers. This file is compiled once for each instruction
// set, so no name may be common to two objects: L is part of every name.

#include "wengert/autodiff/base/simd.h"
#include "wengert/autodiff/kernels/arch.h"
#include "wengert/optim/optim.h"

namespace wengert::optim::detail {

using wengert::detail::Lanes;

// For each register: load w, g and the state, run the formula, store w and the state. The last one may be partial.
template <class Step, class L, std::size_t... K>
void run_loop(const void* constants, const Common& all, std::int64_t begin, std::int64_t end, void* const* at,
              std::index_sequence<K...>) {
  using T = typename L::Scalar;
  const Step step = *static_cast<const Step*>(constants);
  T* const w = static_cast<T*>(at[0]);
  const T* const g = static_cast<const T*>(at[1]);
  T* const memory[] = {static_cast<T*>(at[2 + K])..., nullptr};
  const bool maximize = all.maximize, decays = all.weight_decay != 0, shrinks = all.shrink != 1;
  const L decay = all.weight_decay, shrink = all.shrink;
  auto registers = [&](auto load, auto store) {
    L x = load(w), d = load(g), kept[] = {load(memory[K])..., L()};
    if (maximize) d = -d;
    if (decays) d = d + decay * x;
    if (shrinks) x = x * shrink;
    step(x, d, kept[K]...);
    store(x, w), (store(kept[K], memory[K]), ...);
  };
  std::int64_t i = begin;
  for (; i + L::width <= end; i += L::width)
    registers([i](const T* p) { return L::load(p + i); }, [i](L y, T* p) { y.store(p + i); });
  if (const std::int64_t n = end - i; n > 0)
    registers([i, n](const T* p) { return L::load_some(p + i, n); }, [i, n](L y, T* p) { y.store_some(p + i, n); });
}

template <class Step, class L, int k>
void loop(const void* step, const Common& all, std::int64_t begin, std::int64_t end, void* const* at) {
  run_loop<Step, L>(step, all, begin, end, at, std::make_index_sequence<k>());
}

// The loops of a rule with k... state tensors, for float32 and float64.
struct Entry {
  int memory;
  UpdateLoop loop[2];
};
template <class Step, class Arch, int... k>
struct Loops {
  static const Entry table[sizeof...(k)];
};
template <class Step, class Arch, int... k>
constinit const Entry Loops<Step, Arch, k...>::table[sizeof...(k)] = {
    {k, {loop<Step, Lanes<float>, k>, loop<Step, Lanes<double>, k>}}...};

// RULE(Step, k...): the loops of this object's instruction set, and in one of the objects the function that finds them.
#if !defined(__x86_64__)
#define RULE(Step, ...)                                        \
  template struct Loops<Step, kernels::Baseline, __VA_ARGS__>; \
  FIND(Step, __VA_ARGS__)
#elif defined(WENGERT_SIMD_AVX2) || defined(WENGERT_SIMD_AVX512)
#define RULE(Step, ...) template struct Loops<Step, kernels::Current, __VA_ARGS__>;
#else
#define RULE(Step, ...)                                             \
  extern template struct Loops<Step, kernels::Avx2, __VA_ARGS__>;   \
  extern template struct Loops<Step, kernels::Avx512, __VA_ARGS__>; \
  template struct Loops<Step, kernels::Baseline, __VA_ARGS__>;      \
  FIND(Step, __VA_ARGS__)
#endif
#define FIND(Step, ...)                                                                                         \
  UpdateLoop update_loop(const Step&, DType dtype, int memory) {                                                \
    const Entry* e = kernels::dispatch([]<class Arch>() { return Loops<Step, Arch, __VA_ARGS__>::table + 0; }); \
    while (e->memory != memory) ++e;                                                                            \
    return e->loop[dtype == float64];                                                                           \
  }

RULE(SgdStep, 0, 1)
RULE(NesterovStep, 1)
RULE(LookAhead, 0)
RULE(AdagradStep, 1)
RULE(RmsPropStep, 1, 2, 3)
RULE(AdadeltaStep, 2)
RULE(AdamStep, 2, 3)
RULE(AdamaxStep, 2)
RULE(NadamStep, 2)
RULE(RadamStep, 2)
RULE(RpropStep, 2)
RULE(LionStep, 1)
RULE(AverageStep, 0)

}  // namespace wengert::optim::detail
