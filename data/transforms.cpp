#include "wengert/data/transforms.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/tape.h"

#include <algorithm>
#include <cstring>

namespace wengert::data {

Normalize::Normalize(const Shape& shape) : mean(zeros(shape)), std(ones(shape)) {}

Normalize::Normalize(const Tensor& x, const Shape& axes, Where where) {
  if (!is_float(x.dtype())) fail<TypeError>(where, "normalize: x must be float32 or float64, got {}", x.dtype());
  if (x.numel() == 0) fail<ShapeError>(where, "normalize: there is nothing to average in {}", x.shape());
  const no_grad values;
  const Operand numbers(x, where);
  mean = wengert::mean(numbers, {.axes = axes, .keep_dims = true});
  const Tensor spread = stddev(numbers, {.axes = axes, .correction = 0, .keep_dims = true});
  // Rounding of the mean gives constant values a small spread.
  const Tensor rounding = abs(mean) * (x.dtype() == float32 ? 1e-6 : 1e-14);
  std = wengert::where(spread > rounding, spread, ones(spread.shape(), spread.dtype()));
}

Tensor Normalize::operator()(Operand x) const { return (x - Operand(mean, x.where())) / Operand(std, x.where()); }
Tensor Normalize::inverse(Operand y) const { return y * Operand(std, y.where()) + Operand(mean, y.where()); }

namespace {

// Images as the bytes of their rows.
struct Images {
  Images(const char* who, const Tensor& t, Where where) : x(contiguous(t.detach())) {
    if (x.rank() < 3) fail<ShapeError>(where, "{}: images must be [n, ..., height, width], got {}", who, x.shape());
    n = x.size(0), height = x.size(-2), width = x.size(-1);
    planes = n && height && width ? x.numel() / (n * height * width) : 0;
    bytes = static_cast<std::int64_t>(size_of(x.dtype()));
  }
  // Zeros with another height and width.
  Tensor result(std::int64_t h, std::int64_t w) const {
    Shape shape = x.shape();
    shape[x.rank() - 2] = h, shape[x.rank() - 1] = w;
    return zeros(shape, x.dtype());
  }
  template <class F>
  void for_each_image(F&& f) const {
    const auto grain = std::max<std::int64_t>(1, kernels::grain_elements * 4 / (planes * height * width * bytes + 1));
    kernels::parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = begin; i < end; ++i) f(i);
    });
  }

  Tensor x;
  std::int64_t n, height, width, planes, bytes;
};

// The part [h, w] of each image from (top[i], left[i]), which may be outside of the image.
Tensor crop(const Images& of, std::int64_t h, std::int64_t w, const std::int64_t* top, const std::int64_t* left) {
  Tensor result = of.result(h, w);
  const auto* from = wengert::detail::data<std::byte>(of.x);
  auto* to = wengert::detail::fresh<std::byte>(result);
  of.for_each_image([&](std::int64_t i) {
    const std::int64_t first = std::max<std::int64_t>(0, -top[i]), last = std::min(h, of.height - top[i]);
    const std::int64_t begin = std::max<std::int64_t>(0, -left[i]), end = std::min(w, of.width - left[i]);
    if (begin >= end) return;
    for (std::int64_t p = i * of.planes; p < (i + 1) * of.planes; ++p)
      for (std::int64_t r = first; r < last; ++r)
        std::memcpy(to + ((p * h + r) * w + begin) * of.bytes,
                    from + ((p * of.height + top[i] + r) * of.width + left[i] + begin) * of.bytes,
                    static_cast<std::size_t>((end - begin) * of.bytes));
  });
  return result;
}

Tensor crop_anywhere(const Images& of, std::int64_t h, std::int64_t w, std::int64_t padding, Rng& rng) {
  const Tensor top = rng.integers({of.n}, -padding, of.height + padding - h + 1),
               left = rng.integers({of.n}, -padding, of.width + padding - w + 1);
  return crop(of, h, w, top.read<std::int64_t>().data(), left.read<std::int64_t>().data());
}

template <class T>
void mirror(const Images& of, const bool* chosen, Tensor& result) {
  const T* from = wengert::detail::data<T>(of.x);
  T* to = wengert::detail::fresh<T>(result);
  const std::int64_t size = of.planes * of.height * of.width;
  of.for_each_image([&](std::int64_t i) {
    for (std::int64_t at = i * size; at < (i + 1) * size; at += of.width)
      if (chosen[i]) std::reverse_copy(from + at, from + at + of.width, to + at);
      else std::copy_n(from + at, of.width, to + at);
  });
}

}  // namespace

Tensor random_flip(const Tensor& x, Rng& rng, double p, Where where) {
  const Images images("random_flip", x, where);
  const Tensor chosen = rng.bernoulli({images.n}, p, boolean, where);
  Tensor result = empty(images.x.shape(), x.dtype());
  if (!result.numel()) return result;
  const bool* c = chosen.read<bool>().data();
  switch (images.bytes) {
    case 1: mirror<std::uint8_t>(images, c, result); break;
    case 4: mirror<std::uint32_t>(images, c, result); break;
    default: mirror<std::uint64_t>(images, c, result);
  }
  return result;
}

Tensor random_shift(const Tensor& x, Rng& rng, std::int64_t max_shift, Where where) {
  const Images images("random_shift", x, where);
  if (max_shift < 0) fail<ValueError>(where, "random_shift: max_shift must be >= 0, got {}", max_shift);
  return crop_anywhere(images, images.height, images.width, max_shift, rng);
}

Tensor random_crop(const Tensor& x, std::int64_t height, std::int64_t width, Rng& rng, std::int64_t padding,
                   Where where) {
  const Images images("random_crop", x, where);
  if (padding < 0) fail<ValueError>(where, "random_crop: padding must be >= 0, got {}", padding);
  if (height < 0 || width < 0 || height > images.height + 2 * padding || width > images.width + 2 * padding)
    fail<ValueError>(where, "random_crop: a part of {} x {} does not fit into {} with {} zeros around", height, width,
                     x.shape(), padding);
  return crop_anywhere(images, height, width, padding, rng);
}

Tensor center_crop(const Tensor& x, std::int64_t height, std::int64_t width, Where where) {
  const Images images("center_crop", x, where);
  if (height < 0 || width < 0 || height > images.height || width > images.width)
    fail<ValueError>(where, "center_crop: a part of {} x {} does not fit into {}", height, width, x.shape());
  return narrow(narrow(images.x, -2, (images.height - height) / 2, height), -1, (images.width - width) / 2, width);
}

}  // namespace wengert::data
