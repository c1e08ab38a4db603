#pragma once

// Internal: checks and reads the window options of convolution, pooling and unfold.

#include "wengert/autodiff/kernels/windows.h"
#include "wengert/autodiff/tape/observer.h"
#include "wengert/autodiff/tape/tensor.h"

#include <string_view>

namespace wengert::detail {

/// Sets one value for each spatial axis from a list that has one for each, a single one for all, or none (then
/// `otherwise` for all). ShapeError for other lengths, ValueError below `least`.
void set_axes(std::int64_t (&to)[3], std::string_view op, std::string_view what, const Operand& x, const Shape& given,
              int spatial, std::int64_t least, std::int64_t otherwise);

/// Sets everything except `out` from the last axes of x and the attributes. ValueError for a stride, dilation or kernel
/// below 1, a padding below 0.
void set_windows(kernels::Windows&, std::string_view op, const Operand& x, int spatial, const Shape& kernel,
                 const Shape& stride, const Shape& padding, const Shape& dilation);

/// Sets `out`. ShapeError when a window is larger than the padded input. With `ceil` the last window may begin inside
/// and end beyond the padded input.
void set_out(kernels::Windows&, std::string_view op, const Operand& x, int spatial, bool ceil = false);

/// Reports kernel, stride, padding and dilation to observers, one value for each spatial axis.
void describe(const kernels::Windows&, int spatial, Attributes&);

/// For operators on the last `spatial` axes: TypeError unless x is float, ShapeError unless it has those axes and none
/// is empty.
void check_planes(std::string_view op, const Operand& x, int spatial);
/// ValueError unless padding is at most half of the kernel: no window lies in the padding alone.
void check_padding(const kernels::Windows&, std::string_view op, const Operand& x);
/// ValueError when a size that the user asked for is below 1.
void check_size(std::string_view op, const Operand& x, const Shape& size);

}  // namespace wengert::detail
