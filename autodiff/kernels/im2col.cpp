#include "wengert/autodiff/kernels/im2col.h"

#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/gemm.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/typed.h"
#include "wengert/autodiff/kernels/window_loops.h"

#include <cstring>
#include <type_traits>

namespace wengert::kernels {
namespace {

// c = a b (+ c, when it is kept), row-major, on this thread alone.
template <class T>
void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, const T* b,
          std::int64_t ldb, bool keep, T* c, std::int64_t ldc, const T* bias_of_rows = nullptr) {
  Gemm g;
  g.dtype = dtype_of<T>, g.m = m, g.n = n, g.k = k, g.c = c, g.row = ldc, g.accumulate = keep;
  g.bias = bias_of_rows, g.bias_of_rows = true;
  g.a = {a, ta ? 1 : lda, ta ? lda : 1}, g.b = {b, tb ? 1 : ldb, tb ? ldb : 1};
  gemm_here(g);
}

// Entry k of a kernel, as how far it stands from a window's place on each axis.
struct Offset {
  std::int64_t d[3];

  Offset(const Windows& g, std::int64_t k)
      : d{k / g.kernel[2] / g.kernel[1] * g.dilation[0] - g.padding[0],
          k / g.kernel[2] % g.kernel[1] * g.dilation[1] - g.padding[1],
          k % g.kernel[2] * g.dilation[2] - g.padding[2]} {}
};

// Walks the rows [row_begin, row_end) of the matrix of columns [channels * kernel, out] at positions [p0, p1), one line
// of the output after the other: piece(at, length, low, high, from) is `length` entries from `at` on, of which those in
// [low, high) lie inside the image, the first at x[from] and the next a stride further.
template <class F>
void for_pieces(const Windows& g, std::int64_t row_begin, std::int64_t row_end, std::int64_t p0, std::int64_t p1,
                F&& piece) {
  const std::int64_t kernel = g.kernel_size(), width = g.out[2];
  for (std::int64_t row = row_begin; row < row_end; ++row) {
    const Offset offset(g, row % kernel);
    const Inside inside(offset.d[2], g.stride[2], g.in[2], width);
    std::int64_t at = (row - row_begin) * (p1 - p0), o1 = p0 / width % g.out[1], o0 = p0 / width / g.out[1];
    for (std::int64_t begin = p0 % width, left = p1 - p0; left > 0; begin = 0) {
      const std::int64_t end = std::min(width, begin + left);
      const std::int64_t i0 = o0 * g.stride[0] + offset.d[0], i1 = o1 * g.stride[1] + offset.d[1];
      const bool there = i0 >= 0 && i0 < g.in[0] && i1 >= 0 && i1 < g.in[1];
      const std::int64_t low = there ? std::clamp(inside.begin, begin, end) : end;
      const std::int64_t high = there ? std::clamp(inside.end, low, end) : end;
      const std::int64_t line = ((row / kernel * g.in[0] + i0) * g.in[1] + i1) * g.in[2];
      piece(at, end - begin, low - begin, high - begin, line + low * g.stride[2] + offset.d[2]);
      at += end - begin, left -= end - begin;
      if (++o1 == g.out[1]) o1 = 0, ++o0;
    }
  }
}

// Lines of x and of the output are equally long and each follows the last: a row of columns is a piece of the plane,
// moved, but for the ends of its lines.
bool keeps_lines(const Windows& g) { return g.stride[1] == 1 && g.stride[2] == 1 && g.in[2] == g.out[2]; }

// For such a row: plane(at, length, low, high, from, zero_edges) as above, with pieces as long as a plane. zero_edges()
// clears the entries of `columns` beside the lines of x, where the plane as a piece has the next or the last line.
template <class T, class F>
void for_planes(const Windows& g, T* columns, std::int64_t row_begin, std::int64_t row_end, std::int64_t p0,
                std::int64_t p1, F&& plane) {
  const std::int64_t kernel = g.kernel_size(), width = g.in[2], in = g.in[1] * width, out = g.out[1] * width;
  for (std::int64_t row = row_begin; row < row_end; ++row) {
    const Offset offset(g, row % kernel);
    const std::int64_t moved = offset.d[1] * width + offset.d[2];
    const bool at_left = offset.d[2] < 0;
    const std::int64_t edge = std::min(std::abs(offset.d[2]), width);
    const std::int64_t start = (row - row_begin) * (p1 - p0) - p0;  // of position 0
    for (std::int64_t p = p0; p < p1;) {
      const std::int64_t o0 = p / out, i0 = o0 * g.stride[0] + offset.d[0], zero = o0 * out;
      const std::int64_t end = std::min(p1, zero + out);
      const bool there = i0 >= 0 && i0 < g.in[0];
      const std::int64_t low = there ? std::clamp(zero - moved, p, end) : end;
      const std::int64_t high = there ? std::clamp(zero + in - moved, low, end) : end;
      const auto zero_edges = [&] {
        if (edge == 0) return;
        for (std::int64_t line = p - (p - zero) % width; line < end; line += width) {
          const std::int64_t from = std::max(p, at_left ? line : line + width - edge);
          const std::int64_t to = std::min(end, at_left ? line + edge : line + width);
          for (std::int64_t i = from; i < to; ++i) columns[start + i] = 0;
        }
      };
      plane(start + p, end - p, low - p, high - p, (row / kernel * g.in[0] + i0) * in + low - zero + moved, zero_edges);
      p = end;
    }
  }
}

// memcpy, without the call for short lines.
template <class T>
void copy(const T* from, std::int64_t n, T* to) {
  constexpr std::int64_t some = 32 / sizeof(T);
  if (n > 4 * some) {
    std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    return;
  }
  for (; n >= some; n -= some, from += some, to += some) std::memcpy(to, from, 32);
  for (; n > 0; --n) *to++ = *from++;
}

template <class T>
void im2col(const Windows& g, const T* x, std::int64_t row_begin, std::int64_t row_end, std::int64_t p0,
            std::int64_t p1, T* columns) {
  const std::int64_t stride = g.stride[2];
  const auto piece = [&](std::int64_t at, std::int64_t length, std::int64_t low, std::int64_t high, std::int64_t from) {
    T* y = columns + at;
    for (std::int64_t i = 0; i < low; ++i) y[i] = 0;
    if (stride == 1) copy(x + from, high - low, y + low);
    else
      for (std::int64_t i = 0; i < high - low; ++i) y[low + i] = x[from + i * stride];
    for (std::int64_t i = high; i < length; ++i) y[i] = 0;
  };
  if (!keeps_lines(g)) return for_pieces(g, row_begin, row_end, p0, p1, piece);
  for_planes(g, columns, row_begin, row_end, p0, p1,
             [&](std::int64_t at, std::int64_t length, std::int64_t low, std::int64_t high, std::int64_t from,
                 const auto& zero_edges) {
               piece(at, length, low, high, from);
               zero_edges();
             });
}

// T const: columns are somebody's. Otherwise they are ours, and their edges may be overwritten.
template <class C, class T = std::remove_const_t<C>>
void col2im(const Windows& g, C* columns, std::int64_t row_begin, std::int64_t row_end, std::int64_t p0,
            std::int64_t p1, T* x) {
  const auto& loops = window_loops<T>();
  const std::int64_t stride = g.stride[2];
  const auto piece = [&](std::int64_t at, std::int64_t, std::int64_t low, std::int64_t high, std::int64_t from) {
    if (low >= high) return;
    if (stride == 1) loops.collect(columns + at + low, 1, high - low, x + from);
    else loops.spread(columns + at + low, stride, high - low, x + from);
  };
  if constexpr (!std::is_const_v<C>) {
    if (keeps_lines(g))
      return for_planes(g, columns, row_begin, row_end, p0, p1,
                        [&](std::int64_t at, std::int64_t length, std::int64_t low, std::int64_t high,
                            std::int64_t from, const auto& zero_edges) {
                          zero_edges();
                          piece(at, length, low, high, from);
                        });
  }
  for_pieces(g, row_begin, row_end, p0, p1, piece);
}

// Positions taken together: a tile of columns fills about half of a usual L2 cache, but is wide enough for a fast
// product.
template <class T>
std::int64_t tile_of(const Windows& g, std::int64_t rows) {
  const std::int64_t fits = 512 * 1024 / (static_cast<std::int64_t>(sizeof(T)) * std::max<std::int64_t>(rows, 1));
  return std::min(g.out_size(), std::max<std::int64_t>(96, fits / 16 * 16));
}

// Items that make a chunk worth a thread.
std::int64_t grain_of(double flops_per_item) {
  return static_cast<std::int64_t>(std::max(1.0, 2e5 / std::max(1.0, flops_per_item)));
}

// Where n and groups alone give too few items, channels are split as well.
std::int64_t slices_of(std::int64_t items, std::int64_t channels) {
  constexpr std::int64_t enough = 8;
  return items >= enough ? 1 : std::min(channels, (enough + items - 1) / items);
}

template <class T>
void fill(T* y, std::int64_t n, const T* bias, std::int64_t channel) {
  std::fill_n(y, n, bias ? bias[channel] : T(0));
}

}  // namespace

// The image is its own matrix of columns.
bool is_pointwise(const Windows& g) {
  for (int d = 0; d < 3; ++d)
    if (g.kernel[d] != 1 || g.stride[d] != 1 || g.padding[d] != 0 || g.in[d] != g.out[d]) return false;
  return true;
}

template <class T>
void matrix(const Convolution& g, const T* x, const T* w, const T* bias, T* y) {
  const std::int64_t rows = g.c * g.kernel_size(), in = g.in_size(), out = g.out_size();
  const bool pointwise = is_pointwise(g);
  const std::int64_t tile = tile_of<T>(g, rows), tiles = (out + tile - 1) / tile;
  parallel_for(g.n * g.groups * tiles, grain_of(2.0 * double(rows) * double(g.o) * double(tile)),
               [&](std::int64_t begin, std::int64_t end) {
                 Scratch<T> columns(pointwise ? 0 : rows * tile);
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t image = i / tiles, group = image % g.groups;  // image counts groups as well
                   const std::int64_t p0 = i % tiles * tile, p1 = std::min(out, p0 + tile);
                   const T* xi = x + image * g.c * in;
                   T* yi = y + image * g.o * out + p0;
                   if (!pointwise) im2col(g, xi, 0, rows, p0, p1, static_cast<T*>(columns));
                   gemm(false, false, g.o, p1 - p0, rows, w + group * g.o * rows, rows, pointwise ? xi + p0 : columns,
                        pointwise ? in : p1 - p0, false, yi, out, bias ? bias + group * g.o : nullptr);
                 }
               });
}

template <class T>
void matrix_input_grad(const Convolution& g, const T* y_bar, const T* w, const T* bias, T* x_bar) {
  const std::int64_t kernel = g.kernel_size(), rows = g.c * kernel, in = g.in_size(), out = g.out_size();
  const bool pointwise = is_pointwise(g);
  const std::int64_t slices = slices_of(g.n * g.groups, g.c), per_slice = (g.c + slices - 1) / slices;
  const std::int64_t tile = tile_of<T>(g, per_slice * kernel);
  const double flops = 2.0 * double(per_slice * kernel) * double(g.o) * double(out);
  parallel_for(g.n * g.groups * slices, grain_of(flops), [&](std::int64_t begin, std::int64_t end) {
    Scratch<T> columns(pointwise ? 0 : per_slice * kernel * tile);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t image = i / slices, group = image % g.groups;
      const std::int64_t c0 = std::min(g.c, i % slices * per_slice), c1 = std::min(g.c, c0 + per_slice),
                         some = (c1 - c0) * kernel;
      if (!some) continue;
      T* xi = x_bar + image * g.c * in;
      if (!pointwise)
        for (std::int64_t c = c0; c < c1; ++c) fill(xi + c * in, in, bias, group * g.c + c);
      const T* wi = w + group * g.o * rows + c0 * kernel;
      for (std::int64_t p0 = 0; p0 < out; p0 += tile) {
        const std::int64_t p1 = std::min(out, p0 + tile);
        const T* yi = y_bar + image * g.o * out + p0;
        if (pointwise) {
          gemm(true, false, some, p1 - p0, g.o, wi, rows, yi, out, false, xi + c0 * in + p0, in,
               bias ? bias + group * g.c + c0 : nullptr);
        } else {
          gemm(true, false, some, p1 - p0, g.o, wi, rows, yi, out, false, static_cast<T*>(columns), p1 - p0);
          col2im(g, static_cast<T*>(columns), c0 * kernel, c1 * kernel, p0, p1, xi);
        }
      }
    }
  });
}

// Images are dealt to a few parts, each with a sum of its own, as long as the weights are small; the parts are added in
// order.
template <class T>
void matrix_weight_grad(const Convolution& g, const T* x, const T* y_bar, T* w_bar) {
  const std::int64_t kernel = g.kernel_size(), rows = g.c * kernel, in = g.in_size(), out = g.out_size(),
                     size = g.w_size();
  const bool pointwise = is_pointwise(g);
  const std::int64_t most = std::clamp<std::int64_t>((1 << 20) / size, 1, 8);
  const std::int64_t per_part = (g.n + most - 1) / most, parts = (g.n + per_part - 1) / per_part;
  const std::int64_t slices = slices_of(parts * g.groups, g.c), per_slice = (g.c + slices - 1) / slices;
  const std::int64_t tile = tile_of<T>(g, per_slice * kernel);
  const double flops = 2.0 * double(per_slice * kernel) * double(g.o) * double(out) * double(per_part);
  Scratch<T> others((parts - 1) * size);
  const auto sum_of = [&](std::int64_t part) { return part ? others + (part - 1) * size : w_bar; };
  parallel_for(parts * g.groups * slices, grain_of(flops), [&](std::int64_t begin, std::int64_t end) {
    Scratch<T> columns(pointwise ? 0 : per_slice * kernel * tile);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t part = i / slices / g.groups, group = i / slices % g.groups;
      const std::int64_t c0 = std::min(g.c, i % slices * per_slice), c1 = std::min(g.c, c0 + per_slice),
                         some = (c1 - c0) * kernel;
      if (!some) continue;
      T* wi = sum_of(part) + group * g.o * rows + c0 * kernel;
      const std::int64_t first = part * per_part, last = std::min(g.n, first + per_part);
      for (std::int64_t image = first; image < last; ++image) {
        const T* xi = x + (image * g.groups + group) * g.c * in;
        for (std::int64_t p0 = 0; p0 < out; p0 += tile) {
          const std::int64_t p1 = std::min(out, p0 + tile);
          const T* yi = y_bar + (image * g.groups + group) * g.o * out + p0;
          if (!pointwise) im2col(g, xi, c0 * kernel, c1 * kernel, p0, p1, static_cast<T*>(columns));
          gemm(false, true, g.o, some, p1 - p0, yi, out, pointwise ? xi + c0 * in + p0 : columns,
               pointwise ? in : p1 - p0, image > first || p0 > 0, wi, rows);
        }
      }
    }
  });
  if (parts == 1) return;
  parallel_for(size, grain_elements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = 1; part < parts; ++part) {
      const T* s = others + (part - 1) * size;
      for (std::int64_t i = begin; i < end; ++i) w_bar[i] += s[i];
    }
  });
}

#define INSTANTIATE(T)                                                                   \
  template void matrix(const Convolution&, const T*, const T*, const T*, T*);            \
  template void matrix_input_grad(const Convolution&, const T*, const T*, const T*, T*); \
  template void matrix_weight_grad(const Convolution&, const T*, const T*, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

void unfold(DType d, const Windows& g, std::int64_t n, std::int64_t channels, const void* x, void* columns) {
  const std::int64_t kernel = g.kernel_size(), in = g.in_size(), out = g.out_size();
  with_type(d, [&]<class T>(T) {
    parallel_for(n * channels, 1 + grain_elements / (kernel * out + 1), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        im2col(g, in_as<T>(x) + i * in, 0, kernel, 0, out, static_cast<T*>(columns) + i * kernel * out);
    });
  });
}

void fold(DType d, const Windows& g, std::int64_t n, std::int64_t channels, const void* columns, void* x) {
  const std::int64_t kernel = g.kernel_size(), in = g.in_size(), out = g.out_size();
  with_type(d, [&]<class T>(T) {
    parallel_for(n * channels, 1 + grain_elements / (kernel * out + 1), [&](std::int64_t begin, std::int64_t end) {
      std::fill_n(static_cast<T*>(x) + begin * in, (end - begin) * in, T(0));
      for (std::int64_t i = begin; i < end; ++i)
        col2im(g, in_as<T>(columns) + i * kernel * out, 0, kernel, 0, out, static_cast<T*>(x) + i * in);
    });
  });
}

}  // namespace wengert::kernels
