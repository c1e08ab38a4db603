#include "wengert/autodiff/kernels/winograd.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/gemm_tiles.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/transpose.h"
#include "wengert/autodiff/kernels/winograd_loops.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace wengert::kernels {
namespace {

constexpr std::int64_t entries = 36;

std::int64_t rounded_up(std::int64_t n, std::int64_t size) { return parts(n, size) * size; }

// ---------------------------------------------------------------- tiles

struct Size {
  std::int64_t height, width;
  std::int64_t area() const { return height * width; }
};
Size in_of(const Convolution& g) { return {g.in[1], g.in[2]}; }
Size out_of(const Convolution& g) { return {g.out[1], g.out[2]}; }

// Part of each of some images: `rows` x `columns` tiles.
struct Block {
  std::int64_t image, images, row, rows, column, columns;
  std::int64_t tiles() const { return images * rows * columns; }
};

// Images of the same size, cut into blocks of about as many tiles.
class Blocks {
 public:
  Blocks(std::int64_t images, Size out, std::int64_t step, std::int64_t tiles)
      : columns_(parts(out.width, step), tiles),
        rows_(parts(out.height, step), std::max<std::int64_t>(1, tiles / columns_.size(0))),
        images_(images, std::max<std::int64_t>(1, tiles / (rows_.size(0) * columns_.size(0)))) {}

  std::int64_t count() const { return images_.count * rows_.count * columns_.count; }
  Block operator[](std::int64_t i) const {
    const std::int64_t c = i % columns_.count, r = i / columns_.count % rows_.count,
                       n = i / columns_.count / rows_.count;
    return {images_.begin(n), images_.size(n), rows_.begin(r), rows_.size(r), columns_.begin(c), columns_.size(c)};
  }
  Block largest() const { return {0, images_.size(0), 0, rows_.size(0), 0, columns_.size(0)}; }

 private:
  Cut columns_, rows_, images_;
};

// The 36 numbers of each tile for `channels` channels, rounded up to whole registers: [entry][tile][channel].
struct Filtered {
  std::int64_t channels, entry;
  Scratch<float> numbers;

  Filtered(std::int64_t tiles, std::int64_t channels)
      : channels(channels),
        entry(tiles * channels + 16),  // no multiple of 4 KiB, where the first cache would keep eight of the 36
        numbers(entries * entry) {}
  float* at(std::int64_t e, std::int64_t tile, std::int64_t channel) const {
    return numbers + e * entry + tile * channels + channel;
  }
};

// ---------------------------------------------------------------- planes of an image, and places of registers

// Some lines of as many planes as registers have lanes, and the places that they go to or come from; a square at a
// time, so that each plane is read in order.
struct Turn {
  std::int64_t channels, lines, n;  // n numbers of each line
  std::int64_t plane, plane_line, place, place_line;

  template <bool back, class Plane>
  void run(Plane* planes, float* places) const {
    constexpr std::int64_t some = square<float>;
    const std::int64_t whole = n < some ? 0 : channels / some * some;
    for (std::int64_t c = 0; c < whole; c += some)
      for (std::int64_t l = 0; l < lines; ++l) {
        Plane* const p = planes + c * plane + l * plane_line;
        float* const q = places + c + l * place_line;
        const auto square_at = [&](std::int64_t i) {
          if constexpr (back) transpose_square(q + i * place, place, p + i, plane);
          else transpose_square(p + i, plane, q + i * place, place);
        };
        std::int64_t i = 0;
        for (; i + some <= n; i += some) square_at(i);
        if (i < n) square_at(n - some);  // over what the one before has done
      }
    for (std::int64_t c = whole; c < channels; ++c)
      for (std::int64_t l = 0; l < lines; ++l)
        for (std::int64_t i = 0; i < n; ++i) {
          Plane& p = planes[c * plane + l * plane_line + i];
          float& q = places[c + l * place_line + i * place];
          if constexpr (back) p = q;
          else q = p;
        }
  }
};

// Images [n, channels, size] with a tile every `step` places, which sees `seen` by `seen` of them; the first one begins
// `padding` before the image.
struct Images {
  const float* numbers;
  std::int64_t channels;
  Size size;
  std::int64_t step, seen;
  Size padding;
  WinogradLoops::Enter enter;

  std::int64_t line(const Block& b) const { return step * (b.columns - 1) + seen; }
  std::int64_t places(const Block& b) const { return (step * (b.rows - 1) + seen) * line(b); }
  std::int64_t registers(std::int64_t lanes) const { return parts(channels, lanes); }
};

// What one register of channels, from c on, holds of a block's tiles on one image, zero beyond the image.
void frame(const Images& x, const Block& b, std::int64_t image, std::int64_t c, std::int64_t lanes, float* places) {
  const std::int64_t wide = x.line(b), line = wide * lanes, high = x.places(b) / wide;
  const std::int64_t top = x.step * b.row - x.padding.height, left = x.step * b.column - x.padding.width;
  const auto inside = [](std::int64_t first, std::int64_t n, std::int64_t all) {
    const std::int64_t begin = std::clamp<std::int64_t>(-first, 0, n);
    return std::pair(begin, std::clamp(all - first, begin, n));
  };
  const auto [above, below] = inside(top, high, x.size.height);
  const auto [before, after] = inside(left, wide, x.size.width);
  if (x.channels - c < lanes) std::fill_n(places, high * line, 0.f);  // no number is left undefined
  std::fill_n(places, above * line, 0.f);
  for (std::int64_t l = above; l < below; ++l) {
    std::fill_n(places + l * line, before * lanes, 0.f);
    std::fill_n(places + l * line + after * lanes, (wide - after) * lanes, 0.f);
  }
  std::fill_n(places + below * line, (high - below) * line, 0.f);
  const float* const from =
      x.numbers + (image * x.channels + c) * x.size.area() + (top + above) * x.size.width + left + before;
  Turn{std::min(lanes, x.channels - c), below - above, after - before, x.size.area(), x.size.width, lanes, line}
      .run<false>(from, places + above * line + before * lanes);
}

// The same, brought to its 36 numbers.
void enter(const Images& x, const Block& b, std::int64_t image, std::int64_t c, std::int64_t lanes, float* places,
           const Filtered& v) {
  frame(x, b, b.image + image, c, lanes, places);
  for (std::int64_t r = 0; r < b.rows; ++r)
    x.enter(places + x.step * r * x.line(b) * lanes, x.line(b), b.columns, v.at(0, (image * b.rows + r) * b.columns, c),
            v.channels, v.entry);
}

// The way out: results [n, channels, size] from the 36 numbers of their tiles, and what each channel starts with.
struct Results {
  float* numbers;
  std::int64_t channels;
  Size size;
  const float* start;
};
void leave(const Filtered& m, const WinogradLoops& loops, const Block& b, std::int64_t image, std::int64_t c,
           float* places, const Results& y) {
  const std::int64_t line = loops.step * b.columns, top = loops.step * b.row, left = loops.step * b.column;
  for (std::int64_t r = 0; r < b.rows; ++r)
    loops.leave(m.at(0, (image * b.rows + r) * b.columns, c), m.channels, m.entry, b.columns, y.start + c,
                places + loops.step * r * line * loops.lanes, line);
  const std::int64_t high = std::min(loops.step * b.rows, y.size.height - top),
                     wide = std::min(line, y.size.width - left);
  Turn{std::min(loops.lanes, y.channels - c), high, wide, y.size.area(), y.size.width, loops.lanes, line * loops.lanes}
      .run<true>(y.numbers + ((b.image + image) * y.channels + c) * y.size.area() + top * y.size.width + left, places);
}

// ---------------------------------------------------------------- weights

// Windows w[o, c] in memory, the places of each perhaps turned round.
struct WeightWindows {
  const float* numbers;
  std::int64_t size;
  std::int64_t o, c, o_step, c_step;
  bool turned;
};

// U, in slivers of channels o as wide as the tiles of a product: [entry][sliver][c][channels of it].
struct FilteredWindows {
  std::int64_t c, o, width, entry;
  Scratch<float> numbers;

  FilteredWindows(const WeightWindows& w, const WinogradLoops& loops, std::int64_t width)
      : c(w.c), o(rounded_up(w.o, loops.lanes)), width(width), entry(c * o), numbers(entries * entry) {
    const std::int64_t lanes = loops.lanes;
    parallel_for(o / lanes, parts(1024, c), [&](std::int64_t begin, std::int64_t end) {
      const Scratch<float> places(w.size * lanes);
      std::fill_n(static_cast<float*>(places), w.size * lanes, 0.f);
      for (std::int64_t first = begin * lanes; first < end * lanes; first += lanes)
        for (std::int64_t i = 0; i < c; ++i) {
          for (std::int64_t l = 0; l < std::min(lanes, w.o - first); ++l)
            for (std::int64_t k = 0; k < w.size; ++k)
              places[k * lanes + l] =
                  w.numbers[(first + l) * w.o_step + i * w.c_step + (w.turned ? w.size - 1 - k : k)];
          const std::int64_t sliver = first / width * width;
          loops.enter_window(places, at(0, sliver) + i * wide(sliver) + first - sliver, entry);
        }
    });
  }
  float* at(std::int64_t e, std::int64_t sliver) const { return numbers + e * entry + sliver * c; }
  std::int64_t wide(std::int64_t sliver) const { return std::min(width, o - sliver); }
};

// ---------------------------------------------------------------- the maps

// So many tiles that their numbers stay in the second cache, or not far from it.
constexpr std::int64_t some_tiles = 48;

// Results of stride one.
void filter(const WinogradLoops& loops, std::int64_t n, const Images& x, const WeightWindows& w, Size out,
            const float* bias, float* y) {
  const GemmTiles<float>& t = best_tiles<float>();
  const FilteredWindows u(w, loops, t.wide * loops.lanes);
  const Blocks blocks(n, out, loops.step, some_tiles);
  const Block largest = blocks.largest();
  parallel_for(blocks.count(), 1, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t lanes = loops.lanes;
    const Filtered v(largest.tiles(), x.registers(lanes) * lanes), m(largest.tiles(), u.o);
    const Scratch<float> places(x.places(largest) * lanes), start(u.o);
    for (std::int64_t o = 0; o < u.o; ++o) start[o] = bias && o < w.o ? bias[o] : 0.f;
    for (std::int64_t at = begin; at < end; ++at) {
      const Block b = blocks[at];
      for (std::int64_t c = 0; c < x.channels; c += lanes)
        for (std::int64_t i = 0; i < b.images; ++i) enter(x, b, i, c, lanes, places, v);

      const Cut rows(b.tiles(), t.rows);
      for (std::int64_t e = 0; e < entries; ++e)
        for (std::int64_t o = 0; o < u.o; o += u.width)
          for (std::int64_t r = 0; r < rows.count; ++r)
            t.tile[rows.size(r) - 1][u.wide(o) / lanes - 1](x.channels, v.at(e, rows.begin(r), 0), v.channels, 1,
                                                            u.at(e, o), u.wide(o), true, m.at(e, rows.begin(r), o),
                                                            m.channels, lanes, false, {});

      for (std::int64_t o = 0; o < w.o; o += lanes)
        for (std::int64_t i = 0; i < b.images; ++i) leave(m, loops, b, i, o, places, {y, w.o, out, start});
    }
  });
}

// What the windows of an image see: `padding` places before it.
Images seen(const float* numbers, std::int64_t channels, Size size, const WinogradLoops& loops, Size padding) {
  return {numbers, channels, size, loops.step, 6, padding, loops.enter};
}

const WinogradLoops& loops_of(const Convolution& g) {
  return dispatch([&g]<class Arch>() -> const WinogradLoops& { return winograd_loops<Arch>(g.kernel[2]); });
}

}  // namespace

bool allows_winograd(DType d, const Convolution& g) {
  static const char* const wish = std::getenv("WENGERT_WINOGRAD");
  if (wish && wish == std::string_view("0")) return false;
  const std::int64_t window = g.kernel[2];
  if (d != float32 || g.in[0] != 1 || g.kernel[0] != 1 || g.out[0] != 1 || g.padding[0] != 0 || g.groups != 1 ||
      (window != 3 && window != 5))
    return false;
  for (int a = 1; a < 3; ++a)
    if (g.kernel[a] != window || g.stride[a] != 1 || g.dilation[a] != 1 || g.padding[a] >= window) return false;
  return g.y_size() > 0 && g.x_size() > 0;
}

// In multiplications for each tile, and for each pair of channels: the plain sum, or 36 and what it costs to bring the
// numbers of a channel, and of a window, there and back. These two were fitted to what was measured, on AVX2, for 16 to
// 128 channels and images of 4 x 4 to 28 x 28.
bool suits_winograd(DType d, const Convolution& g) {
  constexpr std::int64_t most_weights = std::int64_t{1} << 26;  // bytes
  if (!allows_winograd(d, g) || entries * 4 * g.c * g.o > most_weights) return false;
  constexpr double of_channel = 700, of_window = 1000, margin = 1.1;
  const double c = static_cast<double>(g.c), o = static_cast<double>(g.o);
  const double tiles = static_cast<double>(winograd_tiles(g) * g.n);
  const double plain = static_cast<double>(g.kernel_size() * g.n * g.out_size()) / tiles;
  return plain > margin * (36 + of_channel * (1 / c + 1 / o) + of_window / tiles);
}

void winograd(const Convolution& g, const float* x, const float* w, const float* bias, float* y) {
  const WinogradLoops& loops = loops_of(g);
  const std::int64_t size = g.kernel_size();
  filter(loops, g.n, seen(x, g.c, in_of(g), loops, {g.padding[1], g.padding[2]}),
         {w, size, g.o, g.c, g.c * size, size, false}, out_of(g), bias, y);
}

void winograd_input_grad(const Convolution& g, const float* y_bar, const float* w, const float* bias, float* x_bar) {
  const WinogradLoops& loops = loops_of(g);
  const std::int64_t size = g.kernel_size();
  const Size padding = {g.kernel[1] - 1 - g.padding[1], g.kernel[2] - 1 - g.padding[2]};
  filter(loops, g.n, seen(y_bar, g.o, out_of(g), loops, padding), {w, size, g.c, g.o, size, g.c * size, true}, in_of(g),
         bias, x_bar);
}

// U_bar = sum over tiles of M_bar V, then w_bar. Threads share what a block needs, so that there is one sum.
void winograd_weight_grad(const Convolution& g, const float* x, const float* y_bar, float* w_bar) {
  const WinogradLoops& loops = loops_of(g);
  const GemmTiles<float>& t = best_tiles<float>();
  const std::int64_t lanes = loops.lanes, size = g.kernel_size();
  const Images images = seen(x, g.c, in_of(g), loops, {g.padding[1], g.padding[2]});
  const Images cotangents{y_bar, g.o, out_of(g), loops.step, loops.step, {0, 0}, loops.enter_cotangent};
  const Blocks blocks(g.n, out_of(g), loops.step, 4 * some_tiles);
  const Block largest = blocks.largest();
  const std::int64_t c = images.registers(lanes), o = cotangents.registers(lanes);
  const Filtered v(largest.tiles(), c * lanes), m_bar(largest.tiles(), o * lanes), u_bar(g.o, c * lanes);
  for (std::int64_t at = 0; at < blocks.count(); ++at) {
    const Block b = blocks[at];
    parallel_for((c + o) * b.images, 1, [&](std::int64_t begin, std::int64_t end) {
      const Scratch<float> places(images.places(b) * lanes);
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t image = i / (c + o), channel = i % (c + o);
        if (channel < c) enter(images, b, image, channel * lanes, lanes, places, v);
        else enter(cotangents, b, image, (channel - c) * lanes, lanes, places, m_bar);
      }
    });
    const std::int64_t slivers = parts(c, t.wide);
    parallel_for(entries * slivers, 1, [&](std::int64_t begin, std::int64_t end) {
      const Cut rows(g.o, t.rows);
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t e = i / slivers, sliver = i % slivers * t.wide, first = sliver * lanes;
        const std::int64_t wide = std::min<std::int64_t>(t.wide, c - sliver);
        for (std::int64_t r = 0; r < rows.count; ++r)
          t.tile[rows.size(r) - 1][wide - 1](b.tiles(), m_bar.at(e, 0, rows.begin(r)), 1, m_bar.channels,
                                             v.at(e, 0, first), v.channels, true, u_bar.at(e, rows.begin(r), first),
                                             u_bar.channels, lanes, at > 0, {});
      }
    });
  }
  parallel_for(g.o, parts(1024, g.c), [&](std::int64_t begin, std::int64_t end) {
    const Scratch<float> places(size * lanes);
    for (std::int64_t i = begin; i < end; ++i)
      for (std::int64_t j = 0; j < g.c; j += lanes) {
        loops.leave_window(u_bar.at(0, i, j), u_bar.entry, places);
        for (std::int64_t l = 0; l < std::min(lanes, g.c - j); ++l)
          for (std::int64_t k = 0; k < size; ++k) w_bar[(i * g.c + j + l) * size + k] = places[k * lanes + l];
      }
  });
}

}  // namespace wengert::kernels
