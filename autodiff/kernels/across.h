#pragma once

#include "wengert/autodiff/base/simd.h"

#include <utility>

namespace wengert::kernels {

template <int step, class L, class Join, std::size_t... I>
L across_from(L x, Join&& join, std::index_sequence<I...> all) {
  if constexpr (step == 0) {
    return x;
  } else {
    const typename L::Batch::register_type v = x.v;
    const L turned = typename L::Batch(__builtin_shufflevector(v, v, ((I + step) % sizeof...(I))...));
    return across_from<step / 2>(join(x, turned), join, all);
  }
}
/// Every number of a register joined with every other, by halves; the result in all of it.
template <class L, class Join>
L across(L x, Join&& join) {
  return across_from<L::width / 2>(x, join, std::make_index_sequence<L::width>());
}

/// The first number of a register.
template <class L>
typename L::Scalar first_of(L x) {
  const typename L::Batch::register_type all = x.v;
  return all[0];
}

}  // namespace wengert::kernels
