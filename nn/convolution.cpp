#include "wengert/nn/convolution.h"

#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/checked.h"
#include "wengert/nn/init.h"

namespace wengert {

void detail::wrong_extent(const Shape& s, int rank) {
  fail<ShapeError>(Where::current(), "Extent: needs one number, or one for each of {} spatial axes, got {}", rank, s);
}

namespace nn {
namespace {

template <int rank, class Options>
void check(const char* layer, std::int64_t in, std::int64_t out, Extent<rank> kernel, const Options& o, Where where) {
  at_least_one(layer, "in", in, where), at_least_one(layer, "out", out, where);
  each_at_least(layer, "kernel", 1, kernel, where), each_at_least(layer, "stride", 1, o.stride, where);
  each_at_least(layer, "dilation", 1, o.dilation, where), each_at_least(layer, "padding", 0, o.padding, where);
  divides_both(layer, o.groups, in, out, where);
}

template <int rank>
Shape weight_shape(std::int64_t first, std::int64_t second, Extent<rank> kernel) {
  Shape s{first, second};
  for (int i = 0; i < rank; ++i) s.push_back(kernel[i]);
  return s;
}

}  // namespace

template <int rank>
Conv<rank>::Conv(std::int64_t in, std::int64_t out, Extent<rank> kernel, Rng& rng, Options o, Where where)
    : options{o.stride, o.padding, o.dilation, o.groups}, padding_mode(o.padding_mode) {
  check(name_of<rank>("Conv1d", "Conv2d", "Conv3d"), in, out, kernel, o, where);
  const std::int64_t fan_in = in / o.groups * kernel.product();
  weight = Param(init::uniform_fan_in(weight_shape(out, in / o.groups, kernel), fan_in, rng, o.dtype), where);
  if (o.bias) bias = Param(init::uniform_fan_in({out}, fan_in, rng, o.dtype), where);
}

template <int rank>
Tensor Conv<rank>::operator()(Operand x) const {
  const At at(x.where());
  needs_images(name_of<rank>("Conv1d", "Conv2d", "Conv3d"), x, weight.shape()[1] * options.groups, rank, true);
  if (padding_mode == PadMode::constant) return conv(x, weight, bias, options);
  std::vector<Padding> widths;
  for (std::int64_t p : options.padding) widths.push_back({p, p});
  ConvOptions inside = options;
  inside.padding = {0};
  return conv(pad(x, widths, padding_mode), weight, bias, inside);
}

template <int rank>
ConvTranspose<rank>::ConvTranspose(std::int64_t in, std::int64_t out, Extent<rank> kernel, Rng& rng, Options o,
                                   Where where)
    : options{o.stride, o.padding, o.output_padding, o.dilation, o.groups} {
  const char* layer = name_of<rank>("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d");
  check(layer, in, out, kernel, o, where);
  each_at_least(layer, "output_padding", 0, o.output_padding, where);
  for (int i = 0; i < rank; ++i)
    if (o.output_padding[i] >= o.stride[i] && o.output_padding[i] >= o.dilation[i])
      fail<ValueError>(where, "{}: output_padding {} must be < stride {} or < dilation {}", layer,
                       Shape(o.output_padding), Shape(o.stride), Shape(o.dilation));
  const std::int64_t fan_in = out / o.groups * kernel.product();
  weight = Param(init::uniform_fan_in(weight_shape(in, out / o.groups, kernel), fan_in, rng, o.dtype), where);
  if (o.bias) bias = Param(init::uniform_fan_in({out}, fan_in, rng, o.dtype), where);
}

template <int rank>
Tensor ConvTranspose<rank>::operator()(Operand x) const {
  const At at(x.where());
  needs_images(name_of<rank>("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"), x, weight.shape()[0], rank,
               true);
  return conv_transpose(x, weight, bias, options);
}

template struct Conv<1>;
template struct Conv<2>;
template struct Conv<3>;
template struct ConvTranspose<1>;
template struct ConvTranspose<2>;
template struct ConvTranspose<3>;

}  // namespace nn
}  // namespace wengert
