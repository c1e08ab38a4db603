#include "wengert/autodiff/kernels/window_loops.h"

#include "wengert/autodiff/base/simd.h"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace wengert::kernels {

using detail::First;
using detail::Lanes;
namespace {

// --- windows of two lines and two columns ---

// Two registers of a line become one of left and one of right entries. One instruction does that within parts of 16
// bytes, with AVX-512 within whole registers, and windows stay as that leaves them until they are stored: every part
// has some of the first register, then some of the second.
template <class L>
struct Parts {
#if defined(__AVX512F__)
  static constexpr std::size_t size = L::width;
#else
  static constexpr std::size_t size = 16 / sizeof(typename L::Scalar);
#endif
  static constexpr std::size_t half = size / 2, halves = L::width / half;

  // Where a window lies, and which window lies there, by halves: 0 2 1 3.
  static constexpr std::size_t swapped(std::size_t i) {
    const std::size_t h = i / half;
    return (h % (halves / 2) * 2 + h / (halves / 2)) * half + i % half;
  }
};

template <auto from, class L, std::size_t... I>
L shuffled(L x, L y, std::index_sequence<I...>) {
  const typename L::Batch::register_type v = x.v, w = y.v;
  return typename L::Batch(__builtin_shufflevector(v, w, from(I)...));
}
template <auto from, class L>
L shuffled(L x, L y) {
  return shuffled<from>(x, y, std::make_index_sequence<L::width>());
}
// Every second number of each part of x, then of y: the left entries (0) or the right ones (1).
template <int side, class L>
L every_second(L x, L y) {
  using P = Parts<L>;
  return shuffled<[](std::size_t i) {
    return i / P::size * P::size + i % P::half * 2 + side + i % P::size / P::half * L::width;
  }>(x, y);
}
// The way back: entries in turn, those of the first register (0) or of the second (1).
template <int which, class L>
L in_turn(L left, L right) {
  using P = Parts<L>;
  return shuffled<[](std::size_t i) {
    return i / P::size * P::size + which * P::half + i % P::size / 2 + i % 2 * L::width;
  }>(left, right);
}
// From the order of parts to that of memory, and back.
template <class L>
L reordered(L windows) {
  return shuffled<Parts<L>::swapped>(windows, windows);
}

template <class L>
struct Columns {
  L left, right;
};

// As many windows of a line as a register has numbers.
template <class L>
struct Whole {
  using T = typename L::Scalar;

  L get(const T* y) const { return reordered(L::load(y)); }
  void put(L y, T* to) const { reordered(y).store(to); }
  Columns<L> load(const T* x) const {
    const L a = L::load(x), b = L::load(x + L::width);
    return {every_second<0>(a, b), every_second<1>(a, b)};
  }
  void store(Columns<L> c, T* x) const {
    in_turn<0>(c.left, c.right).store(x);
    in_turn<1>(c.left, c.right).store(x + L::width);
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
  L get(const T* y) const { return reordered(L(one.load(y, L(T(0)).v))); }
  void put(L y, T* to) const { one.store(to, reordered(y).v); }
  Columns<L> load(const T* x) const {
    const L zero(T(0)), a(first.load(x, zero.v)), b(second.load(x + L::width, zero.v));
    return {every_second<0>(a, b), every_second<1>(a, b)};
  }
  void store(Columns<L> c, T* x) const {
    first.store(x, in_turn<0>(c.left, c.right).v);
    second.store(x + L::width, in_turn<1>(c.left, c.right).v);
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
#elif defined(__AVX2__)
  if constexpr (L::width == 8) {
    const __m256i n = _mm256_cvtps_epi32(which.v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256(n, 1));
    _mm_storeu_si64(kept, _mm_packus_epi16(words, words));
  } else {
    const __m128i words = _mm_packs_epi32(_mm256_cvtpd_epi32(which.v), _mm_setzero_si128());
    _mm_storeu_si32(kept, _mm_packus_epi16(words, words));
  }
#else
  alignas(64) typename L::Scalar place[L::width];
  which.store(place);
  for (std::int64_t i = 0; i < L::width; ++i) kept[i] = static_cast<std::uint8_t>(place[i]);
#endif
}

template <class L>
struct Best {
  using Register = typename L::Batch::register_type;
  L value, which;

  // The later of two, where it is larger or no number. (In the compiler's own vectors, which know that such a mask
  // has all bits or none.)
  friend Best better(const Best& a, const Best& b) {
    const Register x = a.value.v, y = b.value.v;
    const auto later = (y > x) | (y != y);
    return {L(later ? y : x), L(later ? Register(b.which.v) : Register(a.which.v))};
  }
};

#if defined(__AVX512F__)
// Lines so short that four registers hold several pairs of them, with nothing between: one register of windows. On the
// way, two registers hold the better one of each two columns, line by line.
template <class L>
class Short {
 public:
  using T = typename L::Scalar;

  explicit Short(std::int64_t n)
      : lines(L::width / n), some_(lines * n), rest_(std::max<std::int64_t>(4 * lines * n - 3 * L::width, 0)) {
    alignas(64) Int upper[L::width] = {}, lower[L::width] = {}, window[2 * L::width];
    alignas(64) T left[2 * L::width];
    for (std::int64_t entry = 0, line = 0, column = 0; entry < 2 * L::width; ++entry) {
      const std::int64_t at = line / 2 * n + column;
      window[entry] = static_cast<Int>(at), left[entry] = static_cast<T>(line % 2 * 2);
      if (at < L::width) (line % 2 ? lower : upper)[at] = static_cast<Int>(entry);
      if (++column == n) column = 0, ++line;
    }
    upper_ = _mm512_load_si512(upper), lower_ = _mm512_load_si512(lower);
    for (int k = 0; k < 2; ++k)
      window_[k] = _mm512_load_si512(window + k * L::width), left_[k] = L::load(left + k * L::width);
  }
  void max(const T* x, T* y, std::uint8_t* which) const {
    const auto h = across(L::load(x), L::load(x + L::width)),
               i = across(L::load(x + 2 * L::width), L(rest_.load(x + 3 * L::width, L(T(0)).v)));
    const auto best = better(Best<L>{taken(h.value, upper_, i.value), taken(h.which, upper_, i.which)},
                             Best<L>{taken(h.value, lower_, i.value), taken(h.which, lower_, i.which) + L(2)});
    some_.store(y, best.value.v);
    if (which) store_which(best.which, which);
  }
  void scatter(const T* y, const std::uint8_t* which, T* x) const {
    const L all_g(some_.load(y, L(T(0)).v)), all_w = load_which<L>(which);
    Columns<L> c[2];
    for (int k = 0; k < 2; ++k) {
      const L g = taken(all_g, window_[k]), w = taken(all_w, window_[k]);
      c[k] = {select(w == left_[k], g, L(T(0))), select(w == left_[k] + L(1), g, L(T(0)))};
    }
    in_turn<0>(c[0].left, c[0].right).store(x);
    in_turn<1>(c[0].left, c[0].right).store(x + L::width);
    in_turn<0>(c[1].left, c[1].right).store(x + 2 * L::width);
    rest_.store(x + 3 * L::width, in_turn<1>(c[1].left, c[1].right).v);
  }

  const std::int64_t lines;  // of windows, at a time

 private:
  using Int = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  First<T> some_, rest_;
  __m512i upper_, lower_, window_[2];  // of a window: its two lines; of an entry: its window
  L left_[2];                          // what an entry of the left column is called

  static Best<L> across(L a, L b) {
    return better(Best<L>{every_second<0>(a, b), L(0)}, {every_second<1>(a, b), L(1)});
  }
  static L taken(L x, __m512i from) {
    if constexpr (sizeof(T) == 4) return typename L::Batch(_mm512_permutexvar_ps(from, x.v));
    else return typename L::Batch(_mm512_permutexvar_pd(from, x.v));
  }
  static L taken(L x, __m512i from, L y) {
    if constexpr (sizeof(T) == 4) return typename L::Batch(_mm512_permutex2var_ps(x.v, from, y.v));
    else return typename L::Batch(_mm512_permutex2var_pd(x.v, from, y.v));
  }
};
#endif

// f(part of the lines, place in the lines of x, place among the windows). The last register of a line covers some
// windows of the one before again; where a line fills none, it covers some of the next lines, whose turn is still to
// come.
template <class T, class F>
[[gnu::always_inline]] inline void for_parts(std::int64_t line, std::int64_t lines, std::int64_t n, F&& f) {
  constexpr std::int64_t width = Lanes<T>::width;
  const Whole<Lanes<T>> whole;
  const Rest<Lanes<T>> rest(n % width);
  if (n >= width) {
    for (std::int64_t l = 0; l < lines; ++l)
      for (std::int64_t i = 0; i < n; i += width) {
        const std::int64_t at = std::min(i, n - width);
        f(whole, 2 * (l * line + at), l * n + at);
      }
  } else {
    std::int64_t l = 0;
    for (; l * n + width <= lines * n; ++l) f(whole, 2 * l * line, l * n);  // lines of x reach as far
    for (; l < lines; ++l) f(rest, 2 * l * line, l * n);
  }
}

template <class T>
void max_2x2(const T* x, std::int64_t line, std::int64_t lines, std::int64_t n, T* y, std::uint8_t* which) {
  using L = Lanes<T>;
#if defined(__AVX512F__)
  if (2 * n < L::width && line == 2 * n)
    for (const Short<L> some(n); lines >= some.lines; lines -= some.lines) {
      some.max(x, y, which);
      x += 2 * some.lines * line, y += some.lines * n, which += which ? some.lines * n : 0;
    }
#endif
  for_parts<T>(line, lines, n, [=](const auto& part, std::int64_t at, std::int64_t i) {
    const auto upper = part.load(x + at), lower = part.load(x + at + line);
    const Best<L> best = better(better(Best<L>{upper.left, L(0)}, Best<L>{upper.right, L(1)}),
                                better(Best<L>{lower.left, L(2)}, Best<L>{lower.right, L(3)}));
    part.put(best.value, y + i);
    if (which) store_which(reordered(best.which), which + i);
  });
}

template <class T>
void gather_2x2(const T* x, std::int64_t line, std::int64_t lines, std::int64_t n, const std::uint8_t* which, T* y) {
  using L = Lanes<T>;
  for_parts<T>(line, lines, n, [=](const auto& part, std::int64_t at, std::int64_t i) {
    const auto upper = part.load(x + at), lower = part.load(x + at + line);
    const L w = reordered(load_which<L>(which + i));
    const L in_upper = select(w == L(0), upper.left, upper.right),
            in_lower = select(w == L(2), lower.left, lower.right);
    part.put(select(w < L(2), in_upper, in_lower), y + i);
  });
}

template <class T>
void scatter_2x2(const T* y, const std::uint8_t* which, std::int64_t n, std::int64_t lines, T* x, std::int64_t line) {
  using L = Lanes<T>;
  using Register = typename L::Batch::register_type;
#if defined(__AVX512F__)
  if (2 * n < L::width && line == 2 * n)
    for (const Short<L> some(n); lines >= some.lines; lines -= some.lines) {
      some.scatter(y, which, x);
      x += 2 * some.lines * line, y += some.lines * n, which += some.lines * n;
    }
#endif
  for_parts<T>(line, lines, n, [=](const auto& part, std::int64_t at, std::int64_t i) {
    const L g = part.get(y + i), w = reordered(load_which<L>(which + i));
    const auto where = [&, gs = Register(g.v), ws = Register(w.v)](int k) {
      return L(ws == Register(L(k).v) ? gs : Register(L(0).v));
    };
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
