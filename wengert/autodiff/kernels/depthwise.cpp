#include "wengert/autodiff/kernels/depthwise.h"

#include "wengert/autodiff/kernels/ask.h"
#include "wengert/autodiff/kernels/cut.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/window_loops.h"
#include "wengert/autodiff/parallel.h"

#include <optional>

namespace wengert::kernels {
namespace {

// A plane with its padding, laid out so that neighbouring windows see neighbouring numbers: with a stride of s along
// the last axis, each line is s lines, of the entries 0, s, 2 s, ..., of 1, s + 1, ..., and so on.
template <class T>
class Padded {
 public:
  // Entry (i, j, k) of the plane [size] stands at (i, j, k) + before; `before` may be negative, and what falls outside
  // of [extent] is left out.
  Padded(const std::int64_t* size, const std::int64_t* before, const std::int64_t* extent, std::int64_t stride)
      : stride_(stride),
        pitch_((extent[2] + stride - 1) / stride),
        line_(pitch_ * stride),
        plane_(line_ * extent[1]),
        numbers_(plane_ * extent[0] + slack),
        all_(plane_ * extent[0] + slack) {
    for (int d = 0; d < 3; ++d)
      size_[d] = size[d], before_[d] = before[d], first_[d] = std::max<std::int64_t>(0, -before[d]),
      last_[d] = std::min(size[d], extent[d] - before[d]);
    clear();
  }
  void clear() { std::fill_n(static_cast<T*>(numbers_), all_, T(0)); }
  void fill(const T* x) {
    each_line([&](std::int64_t from, std::int64_t to) {
      if (stride_ == 1) std::copy_n(x + from + first_[2], last_[2] - first_[2], numbers_ + to + first_[2] + before_[2]);
      else
        for (std::int64_t i = first_[2]; i < last_[2]; ++i) numbers_[to + column(i + before_[2])] = x[from + i];
    });
  }
  void add_to(T* x) const {
    each_line([&](std::int64_t to, std::int64_t from) {
      for (std::int64_t i = first_[2]; i < last_[2]; ++i) x[to + i] += numbers_[from + column(i + before_[2])];
    });
  }
  T* data() const { return numbers_; }
  std::int64_t line() const { return line_; }
  std::int64_t at(std::int64_t i, std::int64_t j, std::int64_t k) const { return i * plane_ + j * line_ + column(k); }

 private:
  static constexpr std::int64_t slack = 64;  // registers reach beyond the last line

  std::int64_t column(std::int64_t i) const { return stride_ == 1 ? i : i % stride_ * pitch_ + i / stride_; }
  template <class F>
  void each_line(F&& f) const {
    for (std::int64_t i = first_[0]; i < last_[0]; ++i)
      for (std::int64_t j = first_[1]; j < last_[1]; ++j)
        f((i * size_[1] + j) * size_[2], (i + before_[0]) * plane_ + (j + before_[1]) * line_);
  }

  std::int64_t stride_, pitch_, line_, plane_, size_[3], before_[3], first_[3], last_[3];
  Scratch<T> numbers_;
  std::int64_t all_;
};

// What the windows see of a plane of x.
template <class T>
Padded<T> padded_x(const Windows& g) {
  std::int64_t extent[3];
  for (int d = 0; d < 3; ++d) extent[d] = (g.out[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1;
  return {g.in, g.padding, extent, g.stride[2]};
}

// Where entry k of the kernel is, from the window's place on; flipped: counted from its last entry.
template <class T>
void set_offsets(const Windows& g, const Padded<T>& p, bool flipped, std::int64_t* at) {
  const std::int64_t kernel = g.kernel_size();
  for (std::int64_t k = 0; k < kernel; ++k) {
    const std::int64_t i = flipped ? kernel - 1 - k : k;
    at[k] = p.at(i / g.kernel[2] / g.kernel[1] * g.dilation[0], i / g.kernel[2] % g.kernel[1] * g.dilation[1],
                 i % g.kernel[2] * g.dilation[2]);
  }
}

std::int64_t grain_of(const Convolution& g) {
  return 1 + 4 * grain_elements / (g.o * (g.kernel_size() * g.out_size() + g.in_size()));
}

bool is_dense(const Windows& g) { return g.stride[0] == 1 && g.stride[1] == 1 && g.stride[2] == 1; }

}  // namespace

bool is_depthwise(const Convolution& g) { return g.c == 1 && g.o <= 4 && g.kernel_size() > 1; }

template <class T>
void depthwise(const Convolution& g, const T* x, const T* w, const T* bias, T* y) {
  const auto& loops = window_loops<T>();
  const std::int64_t kernel = g.kernel_size(), in = g.in_size(), out = g.out_size(), lines = g.out[1], n = g.out[2];
  parallel_for(g.n * g.groups, grain_of(g), [&](std::int64_t begin, std::int64_t end) {
    Padded<T> p = padded_x<T>(g);
    Scratch<std::int64_t> at(kernel);
    set_offsets(g, p, false, at);
    for (std::int64_t i = begin; i < end; ++i) {
      p.fill(x + i * in);
      ask_for<false>(x + (i + 1) * in, in);
      for (std::int64_t o = 0; o < g.o; ++o) {
        const std::int64_t channel = i % g.groups * g.o + o;
        T* yi = y + (i * g.o + o) * out;
        const T start = bias ? bias[channel] : T(0);
        ask_for<true>(yi + out, out);
        for (std::int64_t o0 = 0; o0 < g.out[0]; ++o0)
          loops.correlate(p.data() + p.at(o0 * g.stride[0], 0, 0), g.stride[1] * p.line(), at, w + channel * kernel,
                          kernel, lines, n, &start, yi + o0 * lines * n, n);
      }
    }
  });
}

namespace {

// x_bar of one plane after the other. With a stride of one this is a correlation with the kernel flipped; otherwise
// entries are added up where they came from.
template <class T>
class InputGrad {
 public:
  explicit InputGrad(const Convolution& g) : g_(g), dense_(is_dense(g)), p_(plane(g)), at_(g.kernel_size()) {
    set_offsets(g, p_, dense_, at_);
  }

  /// The i-th plane of all images.
  void operator()(std::int64_t i, const T* y_bar, const T* w, const T* bias, T* x_bar) {
    const auto& loops = window_loops<T>();
    const std::int64_t kernel = g_.kernel_size(), in = g_.in_size(), out = g_.out_size();
    T* xi = x_bar + i * in;
    const T start = bias ? bias[i % g_.groups] : T(0);
    ask_for<true>(xi + in, in);
    if (!dense_) std::fill_n(xi, in, start), p_.clear();
    for (std::int64_t o = 0; o < g_.o; ++o) {
      const T* wi = w + (i % g_.groups * g_.o + o) * kernel;
      const T* yi = y_bar + (i * g_.o + o) * out;
      ask_for<false>(yi + out, out);
      if (dense_) {
        p_.fill(yi);
        for (std::int64_t i0 = 0; i0 < g_.in[0]; ++i0)
          loops.correlate(p_.data() + p_.at(i0, 0, 0), p_.line(), at_, wi, kernel, g_.in[1], g_.in[2],
                          o == 0 ? &start : nullptr, xi + i0 * g_.in[1] * g_.in[2], g_.in[2]);
      } else {
        for (std::int64_t o0 = 0; o0 < g_.out[0]; ++o0)
          loops.scatter(yi + o0 * g_.out[1] * g_.out[2], g_.out[2], at_, wi, kernel, g_.out[1], g_.out[2],
                        p_.data() + p_.at(o0 * g_.stride[0], 0, 0), g_.stride[1] * p_.line());
      }
    }
    if (!dense_) p_.add_to(xi);
  }

 private:
  static Padded<T> plane(const Convolution& g) {
    if (!is_dense(g)) return padded_x<T>(g);
    std::int64_t before[3], extent[3];
    for (int d = 0; d < 3; ++d) {
      const std::int64_t reach = g.dilation[d] * (g.kernel[d] - 1);
      before[d] = reach - g.padding[d], extent[d] = g.in[d] + reach;
    }
    return {g.out, before, extent, 1};
  }

  const Convolution& g_;
  bool dense_;
  Padded<T> p_;
  Scratch<std::int64_t> at_;
};

}  // namespace

template <class T>
void depthwise_input_grad(const Convolution& g, const T* y_bar, const T* w, const T* bias, T* x_bar) {
  parallel_for(g.n * g.groups, grain_of(g), [&](std::int64_t begin, std::int64_t end) {
    InputGrad<T> plane(g);
    for (std::int64_t i = begin; i < end; ++i) plane(i, y_bar, w, bias, x_bar);
  });
}

// Images are dealt to a few parts with a sum of their own each, added in order. Groups are shared by threads, some at a
// time, so that planes follow each other as they lie; one that is near serves both sums.
template <class T>
void depthwise_grads(const Convolution& g, const T* x, const T* w, const T* y_bar, T* x_bar, T* w_bar) {
  const auto& loops = window_loops<T>();
  const std::int64_t kernel = g.kernel_size(), in = g.in_size(), out = g.out_size(), size = g.w_size();
  const std::int64_t most = g.groups >= 8 ? 1 : std::clamp<std::int64_t>((1 << 20) / size, 1, 8);
  const Cut images(g.n, parts(g.n, most)), groups(g.groups, std::max(parts(g.groups, 8), 1 + grain_of(g) / g.n));
  const bool whole_lines = g.out[2] * sizeof(T) % 64 == 0;  // no register reaches beyond one
  Scratch<T> others((images.count - 1) * size);
  parallel_for(images.count * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    Padded<T> p = padded_x<T>(g);
    const std::int64_t none[3] = {0, 0, 0};
    Padded<T> q(g.out, none, g.out, 1);  // with room behind the last line
    Scratch<std::int64_t> at(kernel);
    set_offsets(g, p, false, at);
    std::optional<InputGrad<T>> input_grad;
    if (x_bar) input_grad.emplace(g);
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t part = k / groups.count, first = groups.begin(k % groups.count),
                         last = first + groups.size(k % groups.count);
      T* const sums = part ? others + (part - 1) * size : w_bar;
      std::fill(sums + first * g.o * kernel, sums + last * g.o * kernel, T(0));
      for (std::int64_t image = images.begin(part); image < images.begin(part) + images.size(part); ++image)
        for (std::int64_t group = first; group < last; ++group) {
          const std::int64_t i = image * g.groups + group;
          p.fill(x + i * in);
          ask_for<false>(x + (i + 1) * in, in);
          for (std::int64_t o = 0; o < g.o; ++o) {
            const T* plane = y_bar + (i * g.o + o) * out;
            ask_for<false>(plane + out, out);
            if (!whole_lines) q.fill(plane), plane = q.data();
            for (std::int64_t o0 = 0; o0 < g.out[0]; ++o0)
              loops.correlate_weights(p.data() + p.at(o0 * g.stride[0], 0, 0), g.stride[1] * p.line(), at, kernel,
                                      plane + o0 * g.out[1] * g.out[2], g.out[2], g.out[1], g.out[2],
                                      sums + (group * g.o + o) * kernel);
          }
          if (x_bar) (*input_grad)(i, y_bar, w, nullptr, x_bar);
        }
    }
  });
  for (std::int64_t part = 1; part < images.count; ++part)
    for (std::int64_t i = 0; i < size; ++i) w_bar[i] += others[(part - 1) * size + i];
}

template void depthwise(const Convolution&, const float*, const float*, const float*, float*);
template void depthwise(const Convolution&, const double*, const double*, const double*, double*);
template void depthwise_input_grad(const Convolution&, const float*, const float*, const float*, float*);
template void depthwise_input_grad(const Convolution&, const double*, const double*, const double*, double*);
template void depthwise_grads(const Convolution&, const float*, const float*, const float*, float*, float*);
template void depthwise_grads(const Convolution&, const double*, const double*, const double*, double*, double*);

}  // namespace wengert::kernels
