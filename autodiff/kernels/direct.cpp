#include "wengert/autodiff/kernels/direct.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/correlation_loops.h"
#include "wengert/autodiff/kernels/gemm_tiles.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/transpose.h"

namespace wengert::kernels {
namespace {

constexpr std::int64_t enough = 8;          // pieces of work for the threads
constexpr double worth_a_thread = 1 << 19;  // multiplications

// Results along one axis, at first + step * u for u < count. Entry k of the kernel joins result u with number
// u * advance + shift(k) of the image, if it does so at all: in a transposed convolution with a stride, each of the
// results that share a remainder has entries of its own.
struct Axis {
  std::int64_t entries, first, step, count, advance, origin, along, divisor;

  bool joins(std::int64_t k) const { return (origin + k * along) % divisor == 0; }
  std::int64_t shift(std::int64_t k) const { return (origin + k * along) / divisor; }
};

Axis forward_axis(const Windows& g, int d) {
  return {g.kernel[d], 0, 1, g.out[d], g.stride[d], -g.padding[d], g.dilation[d], 1};
}
Axis backward_axis(const Windows& g, int d, std::int64_t remainder) {
  const std::int64_t count = remainder < g.in[d] ? parts(g.in[d] - remainder, g.stride[d]) : 0;
  return {g.kernel[d], remainder, g.stride[d], count, 1, remainder + g.padding[d], -g.dilation[d], g.stride[d]};
}

// Images with zeros around them, as far as windows reach.
struct Frame {
  std::int64_t inner[3], before[3] = {0, 0, 0}, size[3];

  explicit Frame(const std::int64_t* image) {
    for (int d = 0; d < 3; ++d) inner[d] = size[d] = image[d];
  }
  void reach(int d, const Axis& a) {
    if (a.count == 0) return;
    for (std::int64_t k = 0; k < a.entries; ++k)
      if (a.joins(k)) {
        const std::int64_t low = a.shift(k), high = low + (a.count - 1) * a.advance;
        const std::int64_t end = std::max(size[d] - before[d], high + 1);
        before[d] = std::max(before[d], -low);
        size[d] = before[d] + end;
      }
  }
  bool is_bare() const { return std::equal(size, size + 3, inner); }
  std::int64_t line() const { return size[2]; }
  std::int64_t plane() const { return size[1] * size[2]; }
  std::int64_t volume() const { return size[0] * plane(); }
  std::int64_t at(std::int64_t i, std::int64_t j, std::int64_t k) const {
    return (i + before[0]) * plane() + (j + before[1]) * line() + k + before[2];
  }

  template <class T>
  void fill(const T* x, std::int64_t channels, T* to) const {
    std::fill_n(to, channels * volume(), T(0));
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t i = 0; i < inner[0]; ++i)
        for (std::int64_t j = 0; j < inner[1]; ++j, x += inner[2]) {
          T* line = to + c * volume() + at(i, j, 0);
          for (std::int64_t k = 0; k < inner[2]; ++k) line[k] = x[k];
        }
  }
};

// Every channel of the images with its frame, or as it is where no frame is needed. Few images are framed all at once,
// by all threads; otherwise each thread frames the one that it needs next, which is still in its cache then.
template <class T>
class Framed {
 public:
  Framed(const Frame& frame, const T* x, std::int64_t images, std::int64_t channels)
      : frame_(frame),
        x_(x),
        channels_(channels),
        early_(images < enough && !frame.is_bare()),
        all_(early_ ? images * channels * frame.volume() : 0) {
    if (early_)
      parallel_for(images * channels, parts(grain_elements, frame.volume()), [&](std::int64_t begin, std::int64_t end) {
        frame_.fill(x_ + begin * inner(), end - begin, all_ + begin * frame_.volume());
      });
  }
  /// Of scratch memory that image() needs.
  std::int64_t room() const { return early_ || frame_.is_bare() ? 0 : channels_ * frame_.volume(); }
  const T* image(std::int64_t i, T* room) const {
    if (early_) return all_ + i * channels_ * frame_.volume();
    const T* x = x_ + i * channels_ * inner();
    if (frame_.is_bare()) return x;
    frame_.fill(x, channels_, room);
    return room;
  }

 private:
  std::int64_t inner() const { return frame_.inner[0] * frame_.inner[1] * frame_.inner[2]; }

  const Frame& frame_;
  const T* x_;
  std::int64_t channels_;
  bool early_;
  Scratch<T> all_;
};

// Results with the same entries of the kernel, by axis, and where these entries' offsets and weights begin.
struct Phase {
  Axis axis[3];
  std::int64_t begin, depth;
};

// The transposed convolution and the one it transposes differ in their axes and in how weights are read.
template <class T>
struct Sums {
  std::int64_t images, groups, from, to;  // channels, per group
  std::int64_t phases;
  Phase* phase;
  const Frame& frame;
  const T *x, *w;
  std::int64_t w_group, w_from, w_to;
  const T* bias;
  T* y;
  std::int64_t out[3];

  const GemmTiles<T>& t = best_tiles<T>();
  Cut slivers{parts(to, t.lanes), t.gathered_wide};

  // The registers of a tile hold channels, and tiles have to be turned when they are put into the result; or they lie
  // along the lines, where what does not fill them costs less than the turning.
  static constexpr std::int64_t turning = 12;  // about so many multiplications for each number
  bool along_lines() const {
    const Axis& last = phase->axis[2];
    if (phases > 1 || last.advance > 1 || last.count < t.lanes) return false;
    const std::int64_t unused = parts(last.count, t.lanes) * t.lanes - last.count;
    return from * kernel() * unused <= turning * last.count;
  }

  std::int64_t kernel() const { return phase->axis[0].entries * phase->axis[1].entries * phase->axis[2].entries; }
  std::int64_t padded() const { return parts(to, t.lanes) * t.lanes; }
  std::int64_t first_channel(std::int64_t s) const { return slivers.begin(s) * t.lanes; }
  std::int64_t width(std::int64_t s) const { return slivers.size(s) * t.lanes; }
  std::int64_t inside(std::int64_t s) const { return std::min(width(s), to - first_channel(s)); }

  // For each phase its offsets and the places of its entries in the weights, channel by channel.
  void tabulate(std::int64_t* offsets, std::int64_t* entries) const {
    std::int64_t n = 0;
    for (Phase* p = phase; p < phase + phases; ++p) {
      const auto [a, b, c] = p->axis;
      p->begin = n;
      for (std::int64_t channel = 0; channel < from; ++channel)
        for (std::int64_t i = 0; i < a.entries; ++i)
          for (std::int64_t j = 0; j < b.entries; ++j)
            for (std::int64_t k = 0; k < c.entries; ++k)
              if (a.joins(i) && b.joins(j) && c.joins(k)) {
                offsets[n] = channel * frame.volume() + frame.at(a.shift(i), b.shift(j), c.shift(k));
                entries[n++] = channel * w_from + (i * b.entries + j) * c.entries + k;
              }
      p->depth = n - p->begin;
    }
  }

  // Weights in the order in which tiles read them: by group, phase, sliver, entry.
  void pack(const std::int64_t* entries, T* packed) const {
    const std::int64_t depth = from * kernel();
    parallel_for(groups * slivers.count, parts(grain_elements, depth * width(0)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t group = i / slivers.count, s = i % slivers.count;
                     const T* from_w = w + group * w_group + first_channel(s) * w_to;
                     for (const Phase* p = phase; p < phase + phases; ++p) {
                       T* to_w = packed + weights(group, *p, s);
                       for (std::int64_t e = p->begin; e < p->begin + p->depth; ++e, to_w += width(s)) {
                         for (std::int64_t o = 0; o < inside(s); ++o) to_w[o] = from_w[entries[e] + o * w_to];
                         std::fill(to_w + inside(s), to_w + width(s), T(0));
                       }
                     }
                   }
                 });
  }
  std::int64_t weights(std::int64_t group, const Phase& p, std::int64_t s) const {
    return (group * from * kernel() + p.begin) * padded() + p.depth * first_channel(s);
  }

  // y[o * plane + r * step] = tile[r * wide + o], a few channels at a time: planes whose sizes are powers of two share
  // sets of the cache.
  static void put(const T* tile, std::int64_t rows, std::int64_t channels, std::int64_t wide, T* y, std::int64_t plane,
                  std::int64_t step) {
    std::int64_t o = 0;
    if (step == 1 && rows >= square<T>)
      for (; o + square<T> <= channels; o += square<T>) {
        for (std::int64_t r = 0; r + square<T> <= rows; r += square<T>)
          transpose_square(tile + r * wide + o, wide, y + o * plane + r, plane);
        const std::int64_t r = rows - square<T>;  // the last ones, some of them again
        transpose_square(tile + r * wide + o, wide, y + o * plane + r, plane);
      }
    for (; o < channels; ++o)
      for (std::int64_t r = 0; r < rows; ++r) y[o * plane + r * step] = tile[r * wide + o];
  }

  // The lines [begin, end) of one phase of one image, its channels being those of one group.
  void lines(const Phase& p, std::int64_t begin, std::int64_t end, std::int64_t group, const T* image,
             const std::int64_t* offsets, const T* packed, T* result) const {
    const std::int64_t size = out[0] * out[1] * out[2];
    const Axis& last = p.axis[2];
    const Cut pieces(last.count, t.gathered_rows);
    const bool along = along_lines();
    alignas(64) T tile[GemmTiles<T>::max_gathered_rows * GemmTiles<T>::max_gathered_wide * 64 / sizeof(T)];
    for (std::int64_t s = 0; s < slivers.count; ++s) {
      const T* weight = packed + weights(group, p, s);
      const std::int64_t wide = width(s), channels = inside(s);
      alignas(64) T start[GemmTiles<T>::max_gathered_wide * 64 / sizeof(T)] = {};
      if (bias) std::copy_n(bias + group * to + first_channel(s), channels, start);
      for (std::int64_t line = begin; line < end; ++line) {
        const std::int64_t u0 = line / p.axis[1].count, u1 = line % p.axis[1].count;
        const T* from_line = image + u0 * p.axis[0].advance * frame.plane() + u1 * p.axis[1].advance * frame.line();
        T* to_line =
            result + first_channel(s) * size +
            ((p.axis[0].first + u0 * p.axis[0].step) * out[1] + p.axis[1].first + u1 * p.axis[1].step) * out[2] +
            last.first;
        if (along)
          correlation_loops<T>().correlate_each(from_line, offsets + p.begin, weight, wide, p.depth, channels,
                                                last.count, start, to_line, size);
        else
          for (std::int64_t i = 0; i < pieces.count; ++i) {
            const std::int64_t u = pieces.begin(i), rows = pieces.size(i);
            t.gathered[rows - 1][slivers.size(s) - 1](p.depth, from_line + u * last.advance, last.advance,
                                                      offsets + p.begin, weight, tile, bias ? start : nullptr, 0);
            put(tile, rows, channels, wide, to_line + u * last.step, size, last.step);
          }
      }
    }
  }

  void run() const {
    Scratch<std::int64_t> offsets(from * kernel()), entries(from * kernel());
    tabulate(offsets, entries);
    Scratch<T> packed(groups * from * kernel() * padded());
    pack(entries, packed);

    const std::int64_t size = out[0] * out[1] * out[2];
    const Framed<T> framed(frame, x, images * groups, from);
    const std::int64_t all = phase->axis[0].count * phase->axis[1].count;  // no phase has more lines than the first
    const Cut some(all, images * groups < enough ? parts(all, enough) : all);
    const double work = double(size) * double(from * kernel()) * double(to) / double(phases * some.count);
    parallel_for(images * groups * some.count, std::int64_t(worth_a_thread / work) + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   Scratch<T> room(framed.room());
                   const T* image = nullptr;
                   std::int64_t of = -1;
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t which = i / some.count, group = which % groups;
                     if (which != of) image = framed.image(of = which, room);
                     for (const Phase* p = phase; p < phase + phases; ++p) {
                       const std::int64_t lines_here = p->axis[0].count * p->axis[1].count;
                       if (lines_here * p->axis[2].count == 0) continue;  // the stride is longer than the image
                       const Cut cut(lines_here, parts(lines_here, some.count));
                       if (i % some.count < cut.count)
                         lines(*p, cut.begin(i % some.count), cut.begin(i % some.count) + cut.size(i % some.count),
                               group, image, offsets, packed, y + which * to * size);
                     }
                   }
                 });
  }
};

}  // namespace

template <class T>
void direct(const Convolution& g, const T* x, const T* w, const T* bias, T* y) {
  Phase phase{{forward_axis(g, 0), forward_axis(g, 1), forward_axis(g, 2)}, 0, 0};
  Frame frame(g.in);
  for (int d = 0; d < 3; ++d) frame.reach(d, phase.axis[d]);
  const std::int64_t rows = g.c * g.kernel_size();
  Sums<T>{g.n,
          g.groups,
          g.c,
          g.o,
          1,
          &phase,
          frame,
          x,
          w,
          g.o * rows,
          g.kernel_size(),
          rows,
          bias,
          y,
          {g.out[0], g.out[1], g.out[2]}}
      .run();
}

template <class T>
void direct_input_grad(const Convolution& g, const T* y_bar, const T* w, const T* bias, T* x_bar) {
  Frame frame(g.out);
  const std::int64_t phases = g.stride[0] * g.stride[1] * g.stride[2];
  Scratch<Phase> phase(phases);
  for (std::int64_t p = 0; p < phases; ++p) {
    const std::int64_t remainder[3] = {p / g.stride[2] / g.stride[1], p / g.stride[2] % g.stride[1], p % g.stride[2]};
    for (int d = 0; d < 3; ++d) {
      phase[p].axis[d] = backward_axis(g, d, remainder[d]);
      frame.reach(d, phase[p].axis[d]);
    }
  }
  const std::int64_t rows = g.c * g.kernel_size();
  Sums<T>{g.n,   g.groups,        g.o,   g.c,   phases,
          phase, frame,           y_bar, w,     g.o * rows,
          rows,  g.kernel_size(), bias,  x_bar, {g.in[0], g.in[1], g.in[2]}}
      .run();
}

namespace {

// w_bar of one group: for every entry of the kernel the product of positions of y_bar with those of the framed image
// that it joins them with. Channels of y_bar fill the registers; the rows of a tile are channels of x, or entries along
// the last axis where those are more.
template <class T>
struct Correlation {
  const Convolution& g;
  const Frame& frame;
  const GemmTiles<T>& t = best_tiles<T>();
  Cut slivers{parts(g.o, t.lanes), t.gathered_wide};
  bool by_channel = g.c >= g.kernel[2];
  // Lines of the result taken together, so that their numbers stay in the first caches.
  Cut chunks{g.out[0] * g.out[1], std::max<std::int64_t>(1, 512 / g.out[2])};

  std::int64_t padded() const { return parts(g.o, t.lanes) * t.lanes; }
  std::int64_t first_channel(std::int64_t s) const { return slivers.begin(s) * t.lanes; }
  std::int64_t width(std::int64_t s) const { return slivers.size(s) * t.lanes; }
  std::int64_t inside(std::int64_t s) const { return std::min(width(s), g.o - first_channel(s)); }
  std::int64_t positions(std::int64_t chunk) const { return chunks.size(chunk) * g.out[2]; }

  // Where the first entry of the kernel looks for each position.
  void tabulate(std::int64_t* offsets) const {
    for (std::int64_t i = 0; i < g.out[0]; ++i)
      for (std::int64_t j = 0; j < g.out[1]; ++j)
        for (std::int64_t k = 0; k < g.out[2]; ++k)
          *offsets++ =
              frame.at(i * g.stride[0] - g.padding[0], j * g.stride[1] - g.padding[1], k * g.stride[2] - g.padding[2]);
  }

  // sums [slivers][kernel][c][width] (+)= one image, for the channels [c0, c1) of x.
  void add(const T* image, std::int64_t c0, std::int64_t c1, const T* y_bar, const std::int64_t* offsets, T* across,
           T* sums, bool keep) const {
    const std::int64_t out = g.out_size(), kernel = g.kernel_size();
    const Cut rows(by_channel ? c1 - c0 : g.kernel[2], t.gathered_rows);
    for (std::int64_t chunk = 0; chunk < chunks.count; ++chunk) {
      const std::int64_t begin = chunks.begin(chunk) * g.out[2], depth = positions(chunk);
      for (std::int64_t s = 0; s < slivers.count; ++s) {
        const T* from = y_bar + first_channel(s) * out + begin;
        std::int64_t o = transpose(depth, inside(s), from, out, across, width(s));
        for (; o < inside(s); ++o)
          for (std::int64_t p = 0; p < depth; ++p) across[p * width(s) + o] = from[o * out + p];
        for (; o < width(s); ++o)
          for (std::int64_t p = 0; p < depth; ++p) across[p * width(s) + o] = T(0);
        T* const sliver = sums + first_channel(s) * kernel * g.c;
        const auto tile = [&](std::int64_t at, std::int64_t step, std::int64_t count, std::int64_t first) {
          T* const sum = sliver + first * width(s);
          t.gathered[count - 1][slivers.size(s) - 1](depth, image + at, step, offsets + begin, across, sum,
                                                     keep || chunk > 0 ? sum : nullptr, width(s));
        };
        for (std::int64_t i = 0; i < g.kernel[0]; ++i)
          for (std::int64_t j = 0; j < g.kernel[1]; ++j) {
            const std::int64_t line = i * g.dilation[0] * frame.plane() + j * g.dilation[1] * frame.line();
            const std::int64_t entry = (i * g.kernel[1] + j) * g.kernel[2];
            if (by_channel) {
              for (std::int64_t k = 0; k < g.kernel[2]; ++k)
                for (std::int64_t r = 0; r < rows.count; ++r) {
                  const std::int64_t c = c0 + rows.begin(r);
                  tile(line + k * g.dilation[2] + c * frame.volume(), frame.volume(), rows.size(r),
                       (entry + k) * g.c + c);
                }
            } else {
              for (std::int64_t c = c0; c < c1; ++c)
                for (std::int64_t r = 0; r < rows.count; ++r) {
                  const std::int64_t k = rows.begin(r);
                  tile(line + k * g.dilation[2] + c * frame.volume(), g.dilation[2], rows.size(r),
                       c * kernel + entry + k);
                }
            }
          }
      }
    }
  }

  // w_bar[o, c, entry] of what add() has collected in `count` parts.
  void collect(const T* sums, std::int64_t part, std::int64_t count, std::int64_t o, T* w_bar) const {
    std::int64_t s = 0;
    while (o >= first_channel(s) + width(s)) ++s;
    const std::int64_t kernel = g.kernel_size();
    const T* from = sums + first_channel(s) * kernel * g.c + o - first_channel(s);
    for (std::int64_t c = 0; c < g.c; ++c)
      for (std::int64_t e = 0; e < kernel; ++e) {
        const T* at = from + (by_channel ? e * g.c + c : c * kernel + e) * width(s);
        T sum = 0;
        for (std::int64_t p = 0; p < count; ++p) sum += at[p * part];
        w_bar[c * kernel + e] = sum;
      }
  }
};

}  // namespace

// Images are dealt to a few parts, each with sums of its own, as long as the weights are few; the parts are added in
// order. Where that gives the threads too little, channels are split as well.
template <class T>
void direct_weight_grad(const Convolution& g, const T* x, const T* y_bar, T* w_bar) {
  Frame frame(g.in);
  for (int d = 0; d < 3; ++d) frame.reach(d, forward_axis(g, d));
  const Correlation<T> sum{g, frame};
  Scratch<std::int64_t> offsets(g.out_size());
  sum.tabulate(offsets);

  const std::int64_t rows = g.c * g.kernel_size(), size = rows * sum.padded();
  const std::int64_t most = std::clamp<std::int64_t>((1 << 20) / (g.groups * size), 1, enough);
  const Cut images(g.n, parts(g.n, most));
  const std::int64_t pieces = images.count * g.groups,
                     slices = pieces >= enough ? 1 : std::min(g.c, parts(enough, pieces));
  const Cut channels(g.c, parts(g.c, slices));
  Scratch<T> sums(images.count * g.groups * size);
  const double work =
      double(images.each + 1) * double(g.out_size()) * double(rows) * double(g.o) / double(channels.count);
  const Framed<T> framed(frame, x, g.n * g.groups, g.c);
  parallel_for(pieces * channels.count, std::int64_t(worth_a_thread / work) + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 Scratch<T> room(framed.room()), across(sum.positions(0) * sum.width(0));
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t part = i / channels.count / g.groups, group = i / channels.count % g.groups,
                                      slice = i % channels.count;
                   for (std::int64_t n = images.begin(part); n < images.begin(part) + images.size(part); ++n) {
                     const std::int64_t which = n * g.groups + group;
                     sum.add(framed.image(which, room), channels.begin(slice),
                             channels.begin(slice) + channels.size(slice), y_bar + which * g.o * g.out_size(), offsets,
                             across, sums + (part * g.groups + group) * size, n > images.begin(part));
                   }
                 }
               });
  parallel_for(g.groups * g.o, parts(grain_elements, rows * images.count), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o)
      sum.collect(sums + o / g.o * size, g.groups * size, images.count, o % g.o, w_bar + o * rows);
  });
}

#define INSTANTIATE(T)                                                                   \
  template void direct(const Convolution&, const T*, const T*, const T*, T*);            \
  template void direct_input_grad(const Convolution&, const T*, const T*, const T*, T*); \
  template void direct_weight_grad(const Convolution&, const T*, const T*, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace wengert::kernels
