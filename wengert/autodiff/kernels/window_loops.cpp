#include "wengert/autodiff/kernels/window_loops.h"

#include "wengert/autodiff/simd.h"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace wengert::kernels {
namespace {

// --- windows of two lines and two columns ---

// Every second number of two registers, from the first or from the second on.
template <int first, class L, std::size_t... I>
L every_second(L x, L y, std::index_sequence<I...>) {
  const typename L::Batch::register_type v = x.v, w = y.v;
  return typename L::Batch(__builtin_shufflevector(v, w, (2 * I + first)...));
}
template <int first, class L>
L every_second(L x, L y) {
  return every_second<first>(x, y, std::make_index_sequence<L::width>());
}
// The way back: numbers of x and y in turn, from the `first` on.
template <int first, class L, std::size_t... I>
L in_turn(L x, L y, std::index_sequence<I...>) {
  const typename L::Batch::register_type v = x.v, w = y.v;
  return typename L::Batch(__builtin_shufflevector(v, w, (first + I / 2 + I % 2 * L::width)...));
}

template <class L>
struct Columns {
  L left, right;
};

// Short lines: the upper one of a pair in the lower half of a register, the lower one in the upper half.
template <class L>
struct Both {
  using T = typename L::Scalar;
  static constexpr auto all = std::make_index_sequence<L::width>();
  First<T> one, two;
  std::int64_t line;
  L left, right;  // what the entries of these columns are called

  Both(std::int64_t windows, std::int64_t step) : one(windows), two(2 * windows), line(step) {
    alignas(64) T first[L::width];
    for (std::int64_t i = 0; i < L::width; ++i) first[i] = i < L::width / 2 ? 0 : 2;
    left = L::load(first), right = left + L(1);
  }
  Columns<L> load(const T* x) const {
    const L zero(T(0)), a(two.load(x, zero.v)), b(two.load(x + line, zero.v));
    return {every_second<0>(a, b), every_second<1>(a, b)};
  }
  void store(Columns<L> c, T* x) const {
    two.store(x, in_turn<0>(c.left, c.right, all).v);
    two.store(x + line, in_turn<L::width / 2>(c.left, c.right, all).v);
  }
  template <std::size_t... I>
  static L swapped(L x, std::index_sequence<I...>) {
    const typename L::Batch::register_type v = x.v;
    return typename L::Batch(__builtin_shufflevector(v, v, (I + L::width / 2) % L::width...));
  }
  static L upper_half(L x) { return swapped(x, all); }
  template <std::size_t... I>
  static L twice(L x, std::index_sequence<I...>) {
    const typename L::Batch::register_type v = x.v;
    return typename L::Batch(__builtin_shufflevector(v, v, I % (L::width / 2)...));
  }
  static L in_both_halves(L x) { return twice(x, all); }
};

// As many windows of a line as a register has numbers.
template <class L>
struct Whole {
  using T = typename L::Scalar;

  L get(const T* y) const { return L::load(y); }
  void put(L y, T* to) const { y.store(to); }
  Columns<L> load(const T* x) const {
    const L a = L::load(x), b = L::load(x + L::width);
    return {every_second<0>(a, b), every_second<1>(a, b)};
  }
  void store(Columns<L> c, T* x) const {
    constexpr auto all = std::make_index_sequence<L::width>();
    in_turn<0>(c.left, c.right, all).store(x);
    in_turn<L::width / 2>(c.left, c.right, all).store(x + L::width);
  }
};

// Fewer.
template <class L>
struct Rest {
  using T = typename L::Scalar;
  First<T> one, first, second;

  explicit Rest(std::int64_t windows)
      : one(windows),
        first(std::min<std::int64_t>(2 * windows, L::width)),
        second(std::max<std::int64_t>(2 * windows - L::width, 0)) {}
  L get(const T* y) const { return L(one.load(y, L(T(0)).v)); }
  void put(L y, T* to) const { one.store(to, y.v); }
  Columns<L> load(const T* x) const {
    const L zero(T(0)), a(first.load(x, zero.v)), b(second.load(x + L::width, zero.v));
    return {every_second<0>(a, b), every_second<1>(a, b)};
  }
  void store(Columns<L> c, T* x) const {
    constexpr auto all = std::make_index_sequence<L::width>();
    first.store(x, in_turn<0>(c.left, c.right, all).v);
    second.store(x + L::width, in_turn<L::width / 2>(c.left, c.right, all).v);
  }
};

// Which of four entries, as a number; kept in bytes. Whole registers of bytes are read and written.
template <class L>
L load_which(const std::uint8_t* kept) {
#if defined(__AVX512F__)
  if constexpr (L::width == 16)
    return typename L::Batch(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)kept))));
  else return typename L::Batch(_mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_loadu_si64(kept))));
#elif defined(__AVX2__)
  if constexpr (L::width == 8) return typename L::Batch(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadu_si64(kept))));
  else return typename L::Batch(_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_loadu_si32(kept))));
#else
  alignas(64) typename L::Scalar place[L::width];
  for (std::int64_t i = 0; i < L::width; ++i) place[i] = static_cast<typename L::Scalar>(kept[i]);
  return L::load(place);
#endif
}
template <class L>
void store_which(L which, std::uint8_t* kept) {
#if defined(__AVX512F__)
  if constexpr (L::width == 16) _mm_storeu_si128((__m128i*)kept, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(which.v)));
  else _mm_storeu_si128((__m128i*)kept, _mm512_cvtepi32_epi8(_mm512_castsi256_si512(_mm512_cvtpd_epi32(which.v))));
#else
  alignas(64) typename L::Scalar place[L::width];
  which.store(place);
  for (std::int64_t i = 0; i < L::width; ++i) kept[i] = static_cast<std::uint8_t>(place[i]);
#endif
}

template <class L>
struct Best {
  L value, which;

  // The later of two, where it is larger or no number.
  friend Best better(const Best& a, const Best& b) {
    const auto later = b.value > a.value || b.value != b.value;
    return {select(later, b.value, a.value), select(later, b.which, a.which)};
  }
};

#if defined(__AVX512F__)
// Lines so short that a register holds several pairs of them, with nothing between: 2 registers of them make half a
// register of windows. In between, entry i belongs to column i % n of line i / n.
template <class L>
class Short {
 public:
  using T = typename L::Scalar;
  static constexpr std::int64_t windows = L::width / 2;  // at a time

  static bool fits(std::int64_t line, std::int64_t n) { return line == 2 * n && windows % n == 0; }

  explicit Short(std::int64_t n) : some_(windows) {
    alignas(64) Int other[L::width], window[L::width];
    alignas(64) T left[L::width];
    for (std::int64_t i = 0; i < L::width; ++i) {
      other[i] = static_cast<Int>(i ^ n);
      window[i] = static_cast<Int>(i / (2 * n) * n + i % n);
      left[i] = static_cast<T>(i / n % 2 * 2);
      upper_ = static_cast<decltype(upper_)>(upper_ | (i / n % 2 == 0) << i);
    }
    other_ = _mm512_load_si512(other), window_ = _mm512_load_si512(window), left_ = L::load(left);
  }
  void max(const T* x, T* y, std::uint8_t* which) const {
    const L a = L::load(x), b = L::load(x + L::width);
    const auto m = better(Best<L>{every_second<0>(a, b), left_}, Best<L>{every_second<1>(a, b), left_ + L(1)});
    const auto best = better(m, Best<L>{taken(m.value, other_), taken(m.which, other_)});
    some_.store(y, squeezed(best.value).v);
    if (which) store_which(squeezed(best.which), which);
  }
  void scatter(const T* y, const std::uint8_t* which, T* x) const {
    constexpr auto all = std::make_index_sequence<L::width>();
    const L g = taken(L(some_.load(y, L(T(0)).v)), window_), w = taken(load_which<L>(which), window_);
    const L left = select(w == left_, g, L(T(0))), right = select(w == left_ + L(1), g, L(T(0)));
    in_turn<0>(left, right, all).store(x);
    in_turn<L::width / 2>(left, right, all).store(x + L::width);
  }

 private:
  using Int = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  First<T> some_;
  __m512i other_, window_;  // of an entry: the one above or below, and its window
  L left_;                  // what an entry of the left column is called
  std::conditional_t<sizeof(T) == 4, __mmask16, __mmask8> upper_ = 0;

  static L taken(L x, __m512i from) {
    if constexpr (sizeof(T) == 4) return typename L::Batch(_mm512_permutexvar_ps(from, x.v));
    else return typename L::Batch(_mm512_permutexvar_pd(from, x.v));
  }
  // Upper lines without the lower ones.
  L squeezed(L x) const {
    if constexpr (sizeof(T) == 4) return typename L::Batch(_mm512_maskz_compress_ps(upper_, x.v));
    else return typename L::Batch(_mm512_maskz_compress_pd(upper_, x.v));
  }
};
#endif

// f(part of the lines, place in the lines of x, place among the windows)
template <class T, class F>
[[gnu::always_inline]] inline void for_parts(std::int64_t line, std::int64_t lines, std::int64_t n, F&& f) {
  constexpr std::int64_t width = Lanes<T>::width;
  const Whole<Lanes<T>> whole;
  const Rest<Lanes<T>> rest(n % width);
  for (std::int64_t l = 0; l < lines; ++l) {
    const std::int64_t from = 2 * l * line, first = l * n;
    std::int64_t i = 0;
    for (; i + width <= n; i += width) f(whole, from + 2 * i, first + i);
    if (i < n) f(rest, from + 2 * i, first + i);
  }
}

template <class T>
void max_2x2(const T* x, std::int64_t line, std::int64_t lines, std::int64_t n, T* y, std::uint8_t* which) {
  using L = Lanes<T>;
  if (2 * n < L::width) {
    std::int64_t l = 0;
#if defined(__AVX512F__)
    if (Short<L>::fits(line, n)) {
      const Short<L> pairs(n);
      for (const std::int64_t some = Short<L>::windows / n; l + some <= lines; l += some)
        pairs.max(x + 2 * l * line, y + l * n, which ? which + l * n : nullptr);
    }
#endif
    const Both<L> both(n, line);
    for (; l < lines; ++l) {
      const auto columns = both.load(x + 2 * l * line);
      const auto m = better(Best<L>{columns.left, both.left}, Best<L>{columns.right, both.right});
      const auto best = better(m, Best<L>{both.upper_half(m.value), both.upper_half(m.which)});
      both.one.store(y + l * n, best.value.v);
      if (which) store_which(best.which, which + l * n);
    }
    return;
  }
  for_parts<T>(line, lines, n, [=](const auto& part, std::int64_t at, std::int64_t i) {
    const auto upper = part.load(x + at), lower = part.load(x + at + line);
    const Best<L> best = better(better(Best<L>{upper.left, L(0)}, Best<L>{upper.right, L(1)}),
                                better(Best<L>{lower.left, L(2)}, Best<L>{lower.right, L(3)}));
    part.put(best.value, y + i);
    if (which) store_which(best.which, which + i);
  });
}

template <class T>
void gather_2x2(const T* x, std::int64_t line, std::int64_t lines, std::int64_t n, const std::uint8_t* which, T* y) {
  using L = Lanes<T>;
  for_parts<T>(line, lines, n, [=](const auto& part, std::int64_t at, std::int64_t i) {
    const auto upper = part.load(x + at), lower = part.load(x + at + line);
    const L w = load_which<L>(which + i);
    const L in_upper = select(w == L(0), upper.left, upper.right),
            in_lower = select(w == L(2), lower.left, lower.right);
    part.put(select(w < L(2), in_upper, in_lower), y + i);
  });
}

template <class T>
void scatter_2x2(const T* y, const std::uint8_t* which, std::int64_t n, std::int64_t lines, T* x, std::int64_t line) {
  using L = Lanes<T>;
  if (2 * n < L::width) {
    std::int64_t l = 0;
#if defined(__AVX512F__)
    if (Short<L>::fits(line, n)) {
      const Short<L> pairs(n);
      for (const std::int64_t some = Short<L>::windows / n; l + some <= lines; l += some)
        pairs.scatter(y + l * n, which + l * n, x + 2 * l * line);
    }
#endif
    const Both<L> both(n, line);
    for (; l < lines; ++l) {
      const L g = both.in_both_halves(L(both.one.load(y + l * n, L(T(0)).v)));
      const L w = both.in_both_halves(load_which<L>(which + l * n));
      both.store({select(w == both.left, g, L(0)), select(w == both.right, g, L(0))}, x + 2 * l * line);
    }
    return;
  }
  for_parts<T>(line, lines, n, [=](const auto& part, std::int64_t at, std::int64_t i) {
    const L g = part.get(y + i), w = load_which<L>(which + i);
    const auto where = [&](int k) { return select(w == L(k), g, L(0)); };
    part.store(Columns<L>{where(0), where(1)}, x + at);
    part.store(Columns<L>{where(2), where(3)}, x + at + line);
  });
}

// --- windows of any kind ---

// stride is passed as a constant for the usual ones.
template <class T>
void take(const T* __restrict x, std::int64_t stride, std::int32_t offset, std::int64_t n, T* __restrict y,
          std::int32_t* __restrict index) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T v = x[i * stride], m = y[i];
    const std::int32_t before = index[i];
    const bool better = (v > m) | (v != v) | (before < 0);
    y[i] = better ? v : m;
    index[i] = better ? offset + static_cast<std::int32_t>(i) * static_cast<std::int32_t>(stride) : before;
  }
}
template <class T>
void take_larger(const T* x, std::int64_t stride, std::int32_t offset, std::int64_t n, T* y, std::int32_t* index) {
  if (stride == 1) take(x, 1, offset, n, y, index);
  else if (stride == 2) take(x, 2, offset, n, y, index);
  else take(x, stride, offset, n, y, index);
}

template <class T>
void collect(const T* x, std::int64_t stride, std::int64_t n, T* y) {
  const auto loop = [n](const T* __restrict from, std::int64_t step, T* __restrict to) {
    for (std::int64_t i = 0; i < n; ++i) to[i] += from[i * step];
  };
  if (stride == 1) loop(x, 1, y);
  else if (stride == 2) loop(x, 2, y);
  else loop(x, stride, y);
}
template <class T>
void spread(const T* y, std::int64_t stride, std::int64_t n, T* x) {
  const auto loop = [n](const T* __restrict from, std::int64_t step, T* __restrict to) {
    for (std::int64_t i = 0; i < n; ++i) to[i * step] += from[i];
  };
  if (stride == 1) loop(y, 1, x);
  else if (stride == 2) loop(y, 2, x);
  else loop(y, stride, x);
}

}  // namespace

template <class T, class Arch>
constinit const WindowLoops<T> WindowLoopsOf<T, Arch>::table = {max_2x2<T>,     gather_2x2<T>, scatter_2x2<T>,
                                                                take_larger<T>, collect<T>,    spread<T>};

template struct WindowLoopsOf<float, Current>;
template struct WindowLoopsOf<double, Current>;

}  // namespace wengert::kernels
