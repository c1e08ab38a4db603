#include "wengert/autodiff/kernels/onednn.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/onednn_versions.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/transpose.h"
#include "wengert/autodiff/kernels/winograd.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace wengert::kernels {
namespace {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;

const float* numbers(const void* p) { return static_cast<const float*>(p); }
float* numbers(void* p) { return static_cast<float*>(p); }

const dnnl::engine& engine() {
  static const dnnl::engine one(dnnl::engine::kind::cpu, 0);
  return one;
}
dnnl::stream& stream() {
  thread_local dnnl::stream own(engine());
  return own;
}

// Numbers of padding that the last window needs behind the image; a window may also end before it.
std::int64_t padding_behind(const Windows& g, int d) {
  return (g.out[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1 - g.in[d] - g.padding[d];
}

enum class Map { forward, input_grad, weight_grad };

// oneDNN has Winograd's filtering for AVX-512. Its bounds were found by measuring.
struct Winograd {
  static constexpr std::size_t most_scratch = std::size_t{1} << 26;  // bytes, for each thread
  static bool suits_images(Map map, const Convolution& g) {
    if (!allows_winograd(float32, g) || g.kernel[2] != 3 || g.padding[1] > 1 || g.padding[2] > 1 ||
        std::min(g.c, g.o) < 32)
      return false;
    const double filled = static_cast<double>(g.out_size()) / static_cast<double>(16 * winograd_tiles(g));
    const double channels = static_cast<double>(g.c * g.o) / static_cast<double>(g.c + g.o);
    return filled >= 0.75 && channels * (filled - 0.25) >= (map == Map::forward ? 10 : 12);
  }
  static bool suits(Map map, const Convolution& g) { return suits_images(map, g) && g.n * winograd_tiles(g) >= 64; }
};

// One of the three maps for one shape, from plain rows to plain rows: the compiled loops, and what brings operands into
// the order that they like best and the result back.
class Plan {
 public:
  Plan(Map map, const Convolution& g, bool bias) : map_(map), g_(g), bias_(bias) {
    const bool filtered = Winograd::suits(map, g) && compile(dnnl::algorithm::convolution_winograd) &&
                          scratchpad_ <= Winograd::most_scratch;
    if (!filtered) compile(dnnl::algorithm::convolution_direct);
  }

  bool is_for(Map map, const Convolution& g, bool bias) const { return map == map_ && bias == bias_ && g == g_; }

  /// Numbers in the order that a plan likes best, for all plans that like the same one.
  class Ordered {
   public:
    Ordered(Plan& plan, const void* rows)
        : rows_(rows), liked_(plan.second_.liked), room_(plan.second_.room()), numbers_(rows) {
      if (!plan.second_.is_plain) plan.second_.order(rows, room_), numbers_ = room_;
    }

   private:
    friend class Plan;
    const void* rows_;
    Desc liked_;
    Scratch<std::byte> room_;
    const void* numbers_;
  };

  void run(const void* a, const Ordered& b, const void* bias, void* result) {
    if (b.liked_ == second_.liked) return run_ordered(a, b.numbers_, bias, result);
    run(a, b.rows_, bias, result);
  }
  void run(const void* a, const void* b, const void* bias, void* result) {
    const Scratch<std::byte> room(second_.room());
    run_ordered(a, second_.in_order(b, room), bias, result);
  }

 private:
  // False if oneDNN has no such loops for this machine.
  bool compile(dnnl::algorithm how) {
    const Convolution& g = g_;
    const Dims x{g.n, g.groups * g.c, g.in[0], g.in[1], g.in[2]}, y{g.n, g.groups * g.o, g.out[0], g.out[1], g.out[2]},
        w{g.groups, g.o, g.c, g.kernel[0], g.kernel[1], g.kernel[2]};
    using Tag = dnnl::memory::format_tag;
    const auto any = [](const Dims& d) { return Desc(flat(d), dnnl::memory::data_type::f32, Tag::any); };
    const Desc some_x = any(x), some_w = any(w), some_y = any(y),
               b({g.groups * g.o}, dnnl::memory::data_type::f32, Tag::a);
    Dims stride, gap, before, after;
    for (int d = 1; d < 3; ++d) {
      stride.push_back(g.stride[d]), gap.push_back(g.dilation[d] - 1), before.push_back(g.padding[d]);
      after.push_back(padding_behind(g, d));
    }
    constexpr auto training = dnnl::prop_kind::forward_training;
    using dnnl::convolution_forward;
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const bool may_fail = how != dnnl::algorithm::convolution_direct;
    const auto described = [&](const auto&... what) {
      return describe<convolution_forward>(engine(), attributes, may_fail, std::tuple(training, how, what...));
    };
    const auto forward = bias_ ? described(some_x, some_w, b, some_y, stride, gap, before, after)
                               : described(some_x, some_w, some_y, stride, gap, before, after);
    if (!forward) return false;
    const auto backward = std::tuple(how, some_x, some_w, some_y, stride, gap, before, after);
    if (map_ == Map::forward) {
      take(forward, dnnl::convolution_forward(forward));
      operands({x, DNNL_ARG_SRC, forward.src_desc()}, {w, DNNL_ARG_WEIGHTS, forward.weights_desc()},
               {y, DNNL_ARG_DST, forward.dst_desc()});
      if (bias_) set(DNNL_ARG_BIAS, b);
    } else if (map_ == Map::input_grad) {
      using Backward = dnnl::convolution_backward_data;
      const auto d = describe<Backward>(engine(), attributes, may_fail, backward, forward);
      if (!d) return false;
      take(d, Backward(d));
      operands({y, DNNL_ARG_DIFF_DST, d.diff_dst_desc()}, {w, DNNL_ARG_WEIGHTS, d.weights_desc()},
               {x, DNNL_ARG_DIFF_SRC, d.diff_src_desc()});
    } else {
      using Backward = dnnl::convolution_backward_weights;
      const auto d = describe<Backward>(engine(), attributes, may_fail, backward, forward);
      if (!d) return false;
      take(d, Backward(d));
      operands({x, DNNL_ARG_SRC, d.src_desc()}, {y, DNNL_ARG_DIFF_DST, d.diff_dst_desc()},
               {w, DNNL_ARG_DIFF_WEIGHTS, d.diff_weights_desc()});
    }
    return true;
  }

  // Plain rows and the order that the compiled loops like best. Images in blocks of channels, [n, channels / block,
  // positions, block], are made by transposing: several times as fast as oneDNN's own way.
  struct Operand {
    Dims dims;
    int argument = 0;
    Desc liked = {};
    bool is_plain = true;
    std::int64_t block = 0;  // 0: by oneDNN
    dnnl::memory rows = {}, ordered = {};
    dnnl::reorder there = {}, back = {};

    std::int64_t room() const { return is_plain ? 0 : static_cast<std::int64_t>(liked.get_size()); }
    std::int64_t positions() const { return dims[2] * dims[3] * dims[4]; }

    const void* in_order(const void* from, std::byte* to) {
      if (is_plain) return from;
      order(from, to);
      return to;
    }
    void order(const void* from, std::byte* to) {
      if (block) return turn<false>(numbers(const_cast<void*>(from)), numbers(to));
      rows.set_data_handle(const_cast<void*>(from)), ordered.set_data_handle(to);
      there.execute(stream(), rows, ordered);
    }
    void restore(std::byte* from, void* to) {
      if (block) return turn<true>(numbers(to), numbers(from));
      rows.set_data_handle(to), ordered.set_data_handle(from);
      back.execute(stream(), ordered, rows);
    }
    // A few rows at a time; the next ones are asked for meanwhile.
    template <bool to_rows>
    void turn(float* x, float* y) const {
      constexpr std::int64_t some = square<float>;
      const std::int64_t n = positions(), whole = n / some * some;
      for (std::int64_t blocks = dims[0] * dims[1] / block; blocks > 0; --blocks, x += block * n, y += block * n)
        for (std::int64_t c = 0; c < block; c += some) {
          float *from = x + c * n, *to = y + c;
          for (std::int64_t i = 0; i < whole; i += some) {
            for (std::int64_t k = some; k < 2 * some; ++k) __builtin_prefetch(from + k * n + i, to_rows);
            if constexpr (to_rows) transpose_square(to + i * block, block, from + i, n);
            else transpose_square(from + i, n, to + i * block, block);
          }
          for (std::int64_t i = whole; i < n; ++i)
            for (std::int64_t k = 0; k < some; ++k) {
              if constexpr (to_rows) from[k * n + i] = to[i * block + k];
              else to[i * block + k] = from[k * n + i];
            }
        }
    }
  };

  // Two spatial axes are enough for us: a volume is not given to oneDNN. One group needs no axis.
  static Dims flat(const Dims& d) {
    if (d.size() == 5) return {d[0], d[1], d[3], d[4]};
    if (d[0] == 1) return {d[1], d[2], d[4], d[5]};
    return {d[0], d[1], d[2], d[4], d[5]};
  }
  static Desc plain(const Dims& d) {
    const Dims sizes = flat(d);
    using Tag = dnnl::memory::format_tag;
    return {sizes, dnnl::memory::data_type::f32, sizes.size() == 4 ? Tag::abcd : Tag::abcde};
  }
  template <class Description>
  void take(const Description& d, dnnl::primitive p) {
    primitive_ = std::move(p);
    scratchpad_ = d.scratchpad_desc().get_size();
    set(DNNL_ARG_SCRATCHPAD, d.scratchpad_desc());
  }
  dnnl::memory& of(int argument) { return arguments_[argument]; }
  void set(int argument, const Desc& d) { arguments_[argument] = dnnl::memory(d, engine(), DNNL_MEMORY_NONE); }
  void operands(Operand a, Operand b, Operand result) {
    first_ = std::move(a), second_ = std::move(b), result_ = std::move(result);
    for (Operand* o : {&first_, &second_, &result_}) {
      const Desc rows = plain(o->dims);
      set(o->argument, o->liked);
      o->is_plain = o->liked == rows;
      o->block = block_of(*o);
      if (o->is_plain || o->block) continue;
      o->rows = dnnl::memory(rows, engine(), DNNL_MEMORY_NONE);
      o->ordered = dnnl::memory(o->liked, engine(), DNNL_MEMORY_NONE);
      o->there = dnnl::reorder(o->rows, o->ordered), o->back = dnnl::reorder(o->ordered, o->rows);
    }
  }
  static std::int64_t block_of(const Operand& o) {
    if (o.dims.size() != 5) return 0;  // weights
    using Tag = dnnl::memory::format_tag;
    for (const auto& [block, tag] : {std::pair{16, Tag::aBcd16b}, std::pair{8, Tag::aBcd8b}})
      if (o.dims[1] % block == 0 && o.liked == Desc(flat(o.dims), dnnl::memory::data_type::f32, tag)) return block;
    return 0;
  }
  void run_ordered(const void* a, const void* b, const void* bias, void* result) {
    const Scratch<std::byte> scratchpad(static_cast<std::int64_t>(scratchpad_));
    const Scratch<std::byte> room_a(first_.room()), room_result(result_.room());
    if (bias) of(DNNL_ARG_BIAS).set_data_handle(const_cast<void*>(bias));
    of(DNNL_ARG_SCRATCHPAD).set_data_handle(scratchpad);
    of(first_.argument).set_data_handle(const_cast<void*>(first_.in_order(a, room_a)));
    of(second_.argument).set_data_handle(const_cast<void*>(b));
    of(result_.argument).set_data_handle(result_.is_plain ? result : room_result);
    primitive_.execute(stream(), arguments_);
    if (!result_.is_plain) result_.restore(room_result, result);
  }

  Map map_;
  Convolution g_;
  bool bias_;
  dnnl::primitive primitive_;
  std::size_t scratchpad_ = 0;
  std::unordered_map<int, dnnl::memory> arguments_;
  Operand first_, second_, result_;
};

// Plans of this thread, those used last in front. They share what was compiled with those of other threads, which
// oneDNN keeps.
Plan& plan_for(Map map, const Convolution& g, bool bias) {
  constexpr std::size_t most = 64;
  thread_local std::vector<std::unique_ptr<Plan>> plans;
  std::size_t i = 0;
  while (i < plans.size() && !plans[i]->is_for(map, g, bias)) ++i;
  if (i == plans.size()) {
    auto fresh = std::make_unique<Plan>(map, g, bias);
    if (i == most) plans[--i] = std::move(fresh);
    else plans.push_back(std::move(fresh));
  }
  std::rotate(plans.begin(), plans.begin() + static_cast<std::ptrdiff_t>(i),
              plans.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  return *plans[0];
}

// Of the images, for the threads. Each piece brings the weights into Winograd's form, so it should have some tiles.
Cut pieces_of(Map map, const Convolution& g) {
  const std::int64_t some = Winograd::suits_images(map, g) ? parts(128, winograd_tiles(g)) : 1;
  return Cut(g.n, std::max(some, parts(g.n, 8)));
}

Plan& plan_for_piece(Map map, Convolution g, bool bias, std::int64_t piece) {
  g.n = pieces_of(map, g).size(piece);
  return plan_for(map, g, bias);
}

// run(piece, its first image, plan for so many images).
template <class F>
void by_images(Map map, const Convolution& g, bool bias, F&& run) {
  const Cut images = pieces_of(map, g);
  parallel_for(images.count, 1, [&](std::int64_t begin, std::int64_t end) {
    const SerialScope alone;  // oneDNN divides its work by the threads that OpenMP offers to the caller
    for (std::int64_t i = begin; i < end; ++i) run(i, images.begin(i), plan_for_piece(map, g, bias, i));
  });
}

// What all images are multiplied by is brought into order once.
Plan::Ordered ordered_weights(Map map, const Convolution& g, bool bias, const void* w) {
  const SerialScope alone;
  return {plan_for_piece(map, g, bias, 0), w};
}

}  // namespace

bool suits_onednn(DType d, const Convolution& g) {
  const bool image = g.in[0] == 1 && g.kernel[0] == 1 && g.out[0] == 1 && g.padding[0] == 0;
  static const char* const wish = std::getenv("WENGERT_ONEDNN");
  const bool wished = !wish || wish != std::string_view("0");
  // What a transposed convolution adds to its result may be longer than the stride, and then oneDNN refuses.
  const bool fits = padding_behind(g, 1) + g.stride[1] >= 0 && padding_behind(g, 2) + g.stride[2] >= 0;
  const bool wide = g.c >= 16 && g.o >= 16;
  return wished && d == float32 && image && fits && wide && g.kernel_size() > 1 && g.n > 0 && g.out_size() > 0;
}

void onednn_conv(const Convolution& g, const void* x, const void* w, const void* bias, void* y) {
  const Plan::Ordered weights = ordered_weights(Map::forward, g, bias, w);
  by_images(Map::forward, g, bias, [&](std::int64_t, std::int64_t first, Plan& plan) {
    plan.run(numbers(x) + first * (g.x_size() / g.n), weights, bias, numbers(y) + first * (g.y_size() / g.n));
  });
}

void onednn_input_grad(const Convolution& g, const void* y_bar, const void* w, void* x_bar) {
  const Plan::Ordered weights = ordered_weights(Map::input_grad, g, false, w);
  by_images(Map::input_grad, g, false, [&](std::int64_t, std::int64_t first, Plan& plan) {
    plan.run(numbers(y_bar) + first * (g.y_size() / g.n), weights, nullptr,
             numbers(x_bar) + first * (g.x_size() / g.n));
  });
}

// Each piece of the images has a sum of its own; they are added in order.
void onednn_weight_grad(const Convolution& g, const void* x, const void* y_bar, void* w_bar) {
  const std::int64_t size = g.w_size(), sums = pieces_of(Map::weight_grad, g).count;
  const Scratch<float> others((sums - 1) * size);
  float* const sum = numbers(w_bar);
  by_images(Map::weight_grad, g, false, [&](std::int64_t piece, std::int64_t first, Plan& plan) {
    plan.run(numbers(x) + first * (g.x_size() / g.n), numbers(y_bar) + first * (g.y_size() / g.n), nullptr,
             piece ? others + (piece - 1) * size : sum);
  });
  parallel_for(size, grain_elements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = 1; piece < sums; ++piece)
      for (std::int64_t k = begin; k < end; ++k) sum[k] += others[(piece - 1) * size + k];
  });
}

}  // namespace wengert::kernels
