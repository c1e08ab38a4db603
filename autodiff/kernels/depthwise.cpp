#include "wengert/autodiff/kernels/depthwise.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/ask.h"
#include "wengert/autodiff/kernels/correlation_loops.h"
#include "wengert/autodiff/kernels/scratch.h"

#include <array>
#include <optional>
#include <utility>

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
  // With room for what the windows see.
  explicit Padded(const Windows& g) : Padded(g.in, g.padding, seen_by(g).data(), g.stride[2]) {}

  void clear() { std::fill_n(static_cast<T*>(numbers_), all_, T(0)); }
  void fill(const T* x) {
    each_line([&](std::int64_t from, std::int64_t to) {
      if (stride_ == 1) std::copy_n(x + from + first_[2], last_[2] - first_[2], numbers_ + to + first_[2] + before_[2]);
      else each_column([&](std::int64_t i, std::int64_t column) { numbers_[to + column] = x[from + i]; });
    });
  }
  void add_to(T* x) const {
    each_line([&](std::int64_t to, std::int64_t from) {
      each_column([&](std::int64_t i, std::int64_t column) { x[to + i] += numbers_[from + column]; });
    });
  }
  T* data() const { return numbers_; }
  std::int64_t line() const { return line_; }
  std::int64_t at(std::int64_t i, std::int64_t j, std::int64_t k) const { return i * plane_ + j * line_ + column(k); }

 private:
  static constexpr std::int64_t slack = 64;  // registers reach beyond the last line

  static std::array<std::int64_t, 3> seen_by(const Windows& g) {
    std::array<std::int64_t, 3> extent;
    for (int d = 0; d < 3; ++d) extent[d] = (g.out[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1;
    return extent;
  }

  std::int64_t column(std::int64_t i) const { return stride_ == 1 ? i : i % stride_ * pitch_ + i / stride_; }
  template <class F>
  void each_column(F&& f) const {
    const std::int64_t start = first_[2] + before_[2];
    for (std::int64_t i = first_[2], rest = start % stride_, whole = start / stride_; i < last_[2]; ++i) {
      f(i, rest * pitch_ + whole);
      if (++rest == stride_) rest = 0, ++whole;
    }
  }
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

// Where each entry of the kernel is, from the window's place on.
template <class T>
void set_offsets(const Windows& g, const Padded<T>& p, std::int64_t* at) {
  for (std::int64_t k = 0; k < g.kernel_size(); ++k)
    at[k] = p.at(k / g.kernel[2] / g.kernel[1] * g.dilation[0], k / g.kernel[2] % g.kernel[1] * g.dilation[1],
                 k % g.kernel[2] * g.dilation[2]);
}

// Three lines and columns with a border of one, as most models have them: neighbours are found without a padded copy.
bool is_3x3(const Windows& g) {
  const Windows usual{
      .in = {1, g.in[1], g.in[2]}, .kernel = {1, 3, 3}, .out = {1, g.in[1], g.in[2]}, .padding = {0, 1, 1}};
  return g == usual;
}

// Windows over one plane of x after the other; with `adds` for sums that begin with what is there.
template <class T>
class Seen {
 public:
  explicit Seen(const Windows& g, bool adds = false)
      : g_(g), is_3x3_(!adds && kernels::is_3x3(g)), at_(g.kernel_size()) {
    if (!is_3x3_) padded_.emplace(g), set_offsets(g, *padded_, at_);
  }

  void look_at(const T* x) {
    if (is_3x3_) x_ = x;
    else padded_->fill(x);
  }
  /// y = start + w * x; with `adds` and without a start, y += w * x.
  void correlate(const T* w, const T* start, T* y) const {
    if (is_3x3_) return loops_.correlate_3x3(x_, g_.in[1], g_.in[2], w, *start, y);
    for (std::int64_t i = 0; i < g_.out[0]; ++i)
      loops_.correlate(place(i), step(), at_, w, g_.kernel_size(), g_.out[1], g_.out[2], start,
                       y + i * g_.out[1] * g_.out[2], g_.out[2]);
  }
  /// w += y * x.
  void correlate_weights(const T* y, T* w) {
    if (is_3x3_) return loops_.correlate_weights_3x3(x_, y, g_.in[1], g_.in[2], w);
    if (g_.out[2] * sizeof(T) % 64 != 0) y = with_room_behind(y);
    for (std::int64_t i = 0; i < g_.out[0]; ++i)
      loops_.correlate_weights(place(i), step(), at_, g_.kernel_size(), y + i * g_.out[1] * g_.out[2], g_.out[2],
                               g_.out[1], g_.out[2], w);
  }

 private:
  const CorrelationLoops<T>& loops_ = correlation_loops<T>();
  const Windows g_;
  const bool is_3x3_;
  const T* x_ = nullptr;
  std::optional<Padded<T>> padded_, copy_;
  Scratch<std::int64_t> at_;

  const T* place(std::int64_t i) const { return padded_->data() + padded_->at(i * g_.stride[0], 0, 0); }
  std::int64_t step() const { return g_.stride[1] * padded_->line(); }
  const T* with_room_behind(const T* y) {
    const std::int64_t none[3] = {0, 0, 0};
    if (!copy_) copy_.emplace(g_.out, none, g_.out, 1);
    copy_->fill(y);
    return copy_->data();
  }
};

std::int64_t grain_of(const Convolution& g) {
  return 1 + 4 * grain_elements / (g.o * (g.kernel_size() * g.out_size() + g.in_size()));
}

bool is_dense(const Windows& g) { return g.stride[0] == 1 && g.stride[1] == 1 && g.stride[2] == 1; }

}  // namespace

bool is_depthwise(const Convolution& g) { return g.c == 1 && g.o <= 4 && g.kernel_size() > 1; }

template <class T>
void depthwise(const Convolution& g, const T* x, const T* w, const T* bias, T* y) {
  const std::int64_t in = g.in_size(), out = g.out_size();
  parallel_for(g.n * g.groups, grain_of(g), [&](std::int64_t begin, std::int64_t end) {
    Seen<T> windows(g);
    for (std::int64_t i = begin; i < end; ++i) {
      windows.look_at(x + i * in);
      ask_for<false>(x + (i + 1) * in, in);
      for (std::int64_t o = 0; o < g.o; ++o) {
        const std::int64_t channel = i % g.groups * g.o + o;
        T* yi = y + (i * g.o + o) * out;
        const T start = bias ? bias[channel] : T(0);
        ask_for<true>(yi + out, out);
        windows.correlate(w + channel * g.kernel_size(), &start, yi);
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
  explicit InputGrad(const Convolution& g) : g_(g), at_(g.kernel_size()), flipped_(g.kernel_size()) {
    if (is_dense(g)) windows_.emplace(turned(g), g.o > 1);
    else sums_.emplace(g), set_offsets(g, *sums_, at_);
  }

  /// The i-th plane of all images.
  void operator()(std::int64_t i, const T* y_bar, const T* w, const T* bias, T* x_bar) {
    const std::int64_t kernel = g_.kernel_size(), in = g_.in_size(), out = g_.out_size();
    T* xi = x_bar + i * in;
    const T start = bias ? bias[i % g_.groups] : T(0);
    ask_for<true>(xi + in, in);
    if (sums_) std::fill_n(xi, in, start), sums_->clear();
    for (std::int64_t o = 0; o < g_.o; ++o) {
      const T* wi = w + (i % g_.groups * g_.o + o) * kernel;
      const T* yi = y_bar + (i * g_.o + o) * out;
      ask_for<false>(yi + out, out);
      if (sums_) {
        for (std::int64_t o0 = 0; o0 < g_.out[0]; ++o0)
          correlation_loops<T>().scatter(yi + o0 * g_.out[1] * g_.out[2], g_.out[2], at_, wi, kernel, g_.out[1],
                                         g_.out[2], sums_->data() + sums_->at(o0 * g_.stride[0], 0, 0),
                                         g_.stride[1] * sums_->line());
      } else {
        std::reverse_copy(wi, wi + kernel, static_cast<T*>(flipped_));
        windows_->look_at(yi);
        windows_->correlate(flipped_, o == 0 ? &start : nullptr, xi);
      }
    }
    if (sums_) sums_->add_to(xi);
  }

 private:
  // How the windows of x_bar see y_bar.
  static Windows turned(Windows g) {
    std::swap(g.in, g.out);
    for (int d = 0; d < 3; ++d) g.padding[d] = g.dilation[d] * (g.kernel[d] - 1) - g.padding[d];
    return g;
  }

  const Convolution& g_;
  std::optional<Seen<T>> windows_;
  std::optional<Padded<T>> sums_;
  Scratch<std::int64_t> at_;
  Scratch<T> flipped_;
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
  const std::int64_t kernel = g.kernel_size(), in = g.in_size(), out = g.out_size(), size = g.w_size();
  const std::int64_t most = g.groups >= 8 ? 1 : std::clamp<std::int64_t>((1 << 20) / size, 1, 8);
  const Cut images(g.n, parts(g.n, most)), groups(g.groups, std::max(parts(g.groups, 8), 1 + grain_of(g) / g.n));
  Scratch<T> others((images.count - 1) * size);
  parallel_for(images.count * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    Seen<T> windows(g);
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
          windows.look_at(x + i * in);
          ask_for<false>(x + (i + 1) * in, in);
          for (std::int64_t o = 0; o < g.o; ++o) {
            const T* plane = y_bar + (i * g.o + o) * out;
            ask_for<false>(plane + out, out);
            windows.correlate_weights(plane, sums + (group * g.o + o) * kernel);
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
