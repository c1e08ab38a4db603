// What oneDNN's versions 2 and 3 call differently, and nothing else.
#pragma once

#include <dnnl.hpp>

#include <tuple>

namespace wengert::kernels {

/// The description that a primitive is made from. `what` holds the algorithm, the operands and the windows, in oneDNN's
/// order; `forward` is nothing or, for a gradient, the description of the forward pass. Where no code suits the machine
/// it is empty if it may be, and else throws dnnl::error. Version 2 describes the operation first and then chooses its
/// code; version 3 does both at once.
template <class Primitive, class... What, class... Forward>
typename Primitive::primitive_desc describe(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                            bool may_be_empty, const std::tuple<What...>& what,
                                            const Forward&... forward) {
  return std::apply(
      [&](const What&... part) -> typename Primitive::primitive_desc {
#if DNNL_VERSION_MAJOR >= 3
        return {engine, part..., forward..., attributes, may_be_empty};
#else
        return {typename Primitive::desc(part...), attributes, engine, forward..., may_be_empty};
#endif
      },
      what);
}

}  // namespace wengert::kernels
