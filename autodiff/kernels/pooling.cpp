#include "wengert/autodiff/kernels/pooling.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/ask.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/typed.h"
#include "wengert/autodiff/kernels/window_loops.h"

#include <limits>

namespace wengert::kernels {
namespace {

bool is_2x2(const Windows& g) {
  const auto twos = [&](int d) {
    return g.kernel[d] == 2 && g.stride[d] == 2 && g.padding[d] == 0 && g.dilation[d] == 1 && 2 * g.out[d] <= g.in[d];
  };
  return g.kernel[0] == 1 && g.stride[0] == 1 && g.padding[0] == 0 && twos(1) && twos(2);
}

// Calls some(line, at, i, count) for a few lines of 2 x 2 windows of one plane, from its line on: the first begins at
// x[at], the next two lines of x further; their windows count from i on.
template <class F>
void for_lines_2x2(const Windows& g, std::int64_t planes, F&& some) {
  const std::int64_t n = g.out[2], total = planes * g.in[0] * g.out[1];
  const std::int64_t all = g.in[1] % 2 ? g.out[1] : total;  // where no line is left over, planes go on into each other
  parallel_for(total, 1 + grain_elements / (4 * n), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t most = std::max<std::int64_t>(1, 1024 / n);  // windows whose places stay in the first cache
    for (std::int64_t l = begin, count; l < end; l += count) {
      count = std::min({most, end - l, all - l % all});
      some(l % all, (l / all * g.in[1] + l % all * 2) * g.in[2], l * n, count);
    }
  });
}

// Zeroes what no window sees: the last line and column of odd sizes.
template <class T>
void zero_rest_2x2(const Windows& g, std::int64_t line, T* a) {
  const std::int64_t width = g.in[2];
  if (width % 2) a[width - 1] = a[2 * width - 1] = 0;
  if (g.in[1] % 2 && line == g.out[1] - 1) std::fill_n(a + 2 * width, width, T(0));
}

template <class T>
void max_pool(const Windows& g, std::int64_t planes, const T* x, T* y, void* index) {
  const WindowLoops<T>& f = window_loops<T>();
  if (is_2x2(g)) {
    const std::int64_t n = g.out[2], w = g.in[2];
    auto* kept = static_cast<std::uint8_t*>(index);
    const bool far = is_far(planes * g.in_size() * std::int64_t(sizeof(T)));
    return for_lines_2x2(g, planes, [&](std::int64_t, std::int64_t at, std::int64_t i, std::int64_t count) {
      Scratch<std::uint8_t> which(count * n + WindowLoops<T>::which_slack);
      if (far) ask_for(x + at + 2 * count * w, 2 * count * w);
      f.max_2x2(x + at, w, count, n, y + i, kept ? static_cast<std::uint8_t*>(which) : nullptr);
      if (kept) std::copy_n(static_cast<const std::uint8_t*>(which), count * n, kept + i);
    });
  }
  const std::int64_t n = g.out[2], lines = g.out[0] * g.out[1];
  parallel_for(planes * lines, 1 + grain_elements / (n * g.kernel_size()), [&](std::int64_t begin, std::int64_t end) {
    Scratch<std::int32_t> unwanted(index ? 0 : n);
    for (std::int64_t l = begin; l < end; ++l) {
      const std::int64_t o0 = l % lines / g.out[1], o1 = l % g.out[1];
      const T* plane = x + l / lines * g.in_size();
      T* yl = y + l * n;
      std::int32_t* il = index ? static_cast<std::int32_t*>(index) + l * n : unwanted;
      std::fill_n(yl, n, -std::numeric_limits<T>::infinity());
      std::fill_n(il, n, -1);
      for (std::int64_t k0 = 0; k0 < g.kernel[0]; ++k0) {
        const std::int64_t i0 = o0 * g.stride[0] - g.padding[0] + k0 * g.dilation[0];
        if (i0 < 0 || i0 >= g.in[0]) continue;
        for (std::int64_t k1 = 0; k1 < g.kernel[1]; ++k1) {
          const std::int64_t i1 = o1 * g.stride[1] - g.padding[1] + k1 * g.dilation[1];
          if (i1 < 0 || i1 >= g.in[1]) continue;
          for (std::int64_t k2 = 0; k2 < g.kernel[2]; ++k2) {
            const std::int64_t offset = k2 * g.dilation[2] - g.padding[2];
            const Inside r(offset, g.stride[2], g.in[2], n);
            if (r.begin == r.end) continue;
            const std::int64_t at = (i0 * g.in[1] + i1) * g.in[2] + r.begin * g.stride[2] + offset;
            f.take_larger(plane + at, g.stride[2], static_cast<std::int32_t>(at), r.end - r.begin, yl + r.begin,
                          il + r.begin);
          }
        }
      }
    }
  });
}

template <class T>
void adaptive_max_pool(const Windows& g, std::int64_t planes, const T* x, T* y, std::int32_t* index) {
  const std::int64_t in = g.in_size(), out = g.out_size();
  parallel_for(planes, 1 + grain_elements / (in + out), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin * out; i < end * out; ++i) {
      const std::int64_t o = i % out, at[3] = {o / g.out[2] / g.out[1], o / g.out[2] % g.out[1], o % g.out[2]};
      std::int64_t low[3], high[3];
      for (int d = 0; d < 3; ++d) {
        low[d] = at[d] * g.in[d] / g.out[d];
        high[d] = ((at[d] + 1) * g.in[d] + g.out[d] - 1) / g.out[d];
      }
      const T* plane = x + i / out * in;
      std::int64_t best = (low[0] * g.in[1] + low[1]) * g.in[2] + low[2];
      for (std::int64_t a = low[0]; a < high[0]; ++a)
        for (std::int64_t b = low[1]; b < high[1]; ++b)
          for (std::int64_t c = low[2]; c < high[2]; ++c) {
            const std::int64_t k = (a * g.in[1] + b) * g.in[2] + c;
            if (plane[k] > plane[best] || plane[k] != plane[k]) best = k;
          }
      y[i] = plane[best];
      if (index) index[i] = static_cast<std::int32_t>(best);
    }
  });
}

template <class T>
void gather(const Windows& g, std::int64_t planes, const void* index, const T* x, T* y) {
  if (is_2x2(g)) {
    const WindowLoops<T>& f = window_loops<T>();
    const std::int64_t n = g.out[2], w = g.in[2];
    const auto* kept = static_cast<const std::uint8_t*>(index);
    return for_lines_2x2(g, planes, [&](std::int64_t, std::int64_t at, std::int64_t i, std::int64_t count) {
      Scratch<std::uint8_t> which(count * n + WindowLoops<T>::which_slack);
      std::copy_n(kept + i, count * n, static_cast<std::uint8_t*>(which));
      f.gather_2x2(x + at, w, count, n, which, y + i);
    });
  }
  const std::int64_t in = g.in_size(), out = g.out_size();
  parallel_for(planes, 1 + grain_elements / out, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      const auto* at = static_cast<const std::int32_t*>(index) + p * out;
      for (std::int64_t i = 0; i < out; ++i) y[p * out + i] = at[i] < 0 ? T(0) : x[p * in + at[i]];
    }
  });
}

template <class T>
void scatter(const Windows& g, std::int64_t planes, const void* index, const T* y, T* x) {
  if (is_2x2(g)) {
    const WindowLoops<T>& f = window_loops<T>();
    const std::int64_t n = g.out[2], w = g.in[2];
    const auto* kept = static_cast<const std::uint8_t*>(index);
    return for_lines_2x2(g, planes, [&](std::int64_t line, std::int64_t at, std::int64_t i, std::int64_t count) {
      Scratch<std::uint8_t> which(count * n + WindowLoops<T>::which_slack);
      std::copy_n(kept + i, count * n, static_cast<std::uint8_t*>(which));
      f.scatter_2x2(y + i, which, n, count, x + at, w);
      for (std::int64_t k = 0; k < count; ++k) zero_rest_2x2(g, line + k, x + at + 2 * k * w);
    });
  }
  const std::int64_t in = g.in_size(), out = g.out_size();
  parallel_for(planes, 1 + grain_elements / (in + out), [&](std::int64_t begin, std::int64_t end) {
    std::fill_n(x + begin * in, (end - begin) * in, T(0));
    for (std::int64_t p = begin; p < end; ++p) {
      const auto* at = static_cast<const std::int32_t*>(index) + p * out;
      for (std::int64_t i = 0; i < out; ++i)
        if (at[i] >= 0) x[p * in + at[i]] += y[p * out + i];
    }
  });
}

}  // namespace

std::size_t index_bytes(const Windows& g) { return is_2x2(g) ? 1 : 4; }

void max_pool(DType d, const Windows& g, std::int64_t planes, const void* x, void* y, void* index) {
  if (planes * g.out_size() == 0) return;
  with_type(d, [&]<class T>(T) { max_pool(g, planes, static_cast<const T*>(x), static_cast<T*>(y), index); });
}
void adaptive_max_pool(DType d, const Windows& g, std::int64_t planes, const void* x, void* y, std::int32_t* index) {
  if (planes * g.out_size() == 0) return;
  with_type(d, [&]<class T>(T) { adaptive_max_pool(g, planes, static_cast<const T*>(x), static_cast<T*>(y), index); });
}
void pool_gather(DType d, const Windows& g, std::int64_t planes, const void* index, const void* x, void* y) {
  if (planes * g.out_size() == 0) return;
  with_type(d, [&]<class T>(T) { gather(g, planes, index, static_cast<const T*>(x), static_cast<T*>(y)); });
}
void pool_scatter(DType d, const Windows& g, std::int64_t planes, const void* index, const void* y, void* x) {
  if (planes * g.in_size() == 0) return;
  with_type(d, [&]<class T>(T) { scatter(g, planes, index, static_cast<const T*>(y), static_cast<T*>(x)); });
}

}  // namespace wengert::kernels
