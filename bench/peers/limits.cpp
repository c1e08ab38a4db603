// What the machine can do: memory, arithmetic. And what each elementwise operator has to move through memory at least.

#include "../shapes.h"
#include "floor.h"

#include <algorithm>
#include <array>

namespace bench {
namespace {

// Reads some arrays and writes some, all of n floats, as an operator does that keeps nothing in cache.
class Streams {
 public:
  explicit Streams(std::int64_t n) : n_(n) {
    for (Numbers& x : arrays_) x.assign(static_cast<std::size_t>(n), 1.0f);
  }
  void run(int reads, int writes) {
    in_parts(n_, [&](std::int64_t begin, std::int64_t end) {
      std::array<float*, 6> at{};
      for (std::size_t i = 0; i < at.size(); ++i) at[i] = arrays_[i].data();
      // One loop for each pair, so that the compiler knows how many arrays there are.
      if (writes == 0) return read(at, reads, begin, end);
      if (reads == 0) return loop<0, 1>(at, begin, end);
      if (writes == 1 && reads == 1) return loop<1, 1>(at, begin, end);
      if (writes == 1 && reads == 2) return loop<2, 1>(at, begin, end);
      if (writes == 1) return loop<3, 1>(at, begin, end);
      if (reads == 2) return loop<2, 2>(at, begin, end);
      if (reads == 3) return loop<3, 2>(at, begin, end);
      loop<3, 3>(at, begin, end);
    });
  }

 private:
  template <int R, int W>
  static void loop(const std::array<float*, 6>& at, std::int64_t begin, std::int64_t end) {
    float *a = at[0], *b = at[1], *c = at[2], *x = at[3], *y = at[4], *z = at[5];
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      float sum = 1;
      if constexpr (R > 0) sum += a[i];
      if constexpr (R > 1) sum += b[i];
      if constexpr (R > 2) sum += c[i];
      x[i] = sum;
      if constexpr (W > 1) y[i] = sum;
      if constexpr (W > 2) z[i] = sum;
    }
  }
  static void read(const std::array<float*, 6>& at, int reads, std::int64_t begin, std::int64_t end) {
    const float *a = at[0], *b = at[reads > 1 ? 1 : 0];
    std::array<float, 64> sums{};
    std::int64_t i = begin;
    for (; i + 64 <= end; i += 64)
      for (int j = 0; j < 64; ++j) sums[static_cast<std::size_t>(j)] += reads > 1 ? a[i + j] * b[i + j] : a[i + j];
    float sum = 0;
    for (const float s : sums) sum += s;
    volatile float sink = sum;
    (void)sink;
  }

  std::int64_t n_;
  std::array<Numbers, 6> arrays_;
};

// What an operator reads and writes at least, forwards and on the way back, in arrays of the input's size. Results much
// smaller than the input count nothing.
struct Traffic {
  const char* name;
  int reads, writes, back_reads, back_writes;
};
const std::vector<Traffic> traffic{{"relu", 1, 1, 2, 1},
                                   {"tanh", 1, 1, 2, 1},
                                   {"sigmoid", 1, 1, 2, 1},
                                   {"exp", 1, 1, 2, 1},
                                   {"gelu", 1, 1, 2, 1},
                                   {"mul", 2, 1, 3, 2},
                                   {"mul_add", 3, 1, 3, 2},
                                   {"chain6", 3, 1, 3, 3},
                                   {"chain6_fuse", 3, 1, 3, 3},
                                   {"square_sum", 2, 0, 2, 2},
                                   {"square_sum_fuse", 2, 0, 2, 2},
                                   {"sum", 1, 0, 0, 0},
                                   {"sum_rows", 1, 0, 0, 0},
                                   {"sum_cols", 1, 0, 0, 0},
                                   {"softmax", 1, 1, 2, 1},
                                   {"log_softmax", 1, 1, 2, 1},
                                   {"cross_entropy", 1, 0, 1, 1},
                                   {"max_pool2", 1, 0, 0, 1},
                                   {"layer_norm", 1, 1, 2, 1},
                                   {"batch_norm2d", 1, 1, 2, 1}};

void traffic_case(const Options& o, const Traffic& t, std::int64_t n) {
  Streams streams(n);
  const std::string name = fmt::format("ew_{}_n{}", t.name, n);
  emit(o, name + "_fwd", measure(o, [&] { streams.run(t.reads, t.writes); }));
  emit(o, name + "_fwdbwd", measure(o, [&] {
         streams.run(t.reads, t.writes);
         if (t.back_reads + t.back_writes) streams.run(t.back_reads, t.back_writes);
       }));
}

// Bytes are counted as the program names them: what a cache reads before it is written over is not among them.
void bandwidth_case(const Options& o, const std::string& kind, std::int64_t n, int reads, int writes) {
  Streams streams(n);
  const Stat s = measure(o, [&] { streams.run(reads, writes); });
  emit(o, fmt::format("limit_{}_n{}", kind, n), s,
       fmt::format("\"GBps\":{:.1f}", 4.0 * (reads + writes) * static_cast<double>(n) / s.median_ns));
}

// ---------------------------------------------------------------- arithmetic

#ifdef __AVX512F__
constexpr int width = 16;
#else
constexpr int width = 8;
#endif
using Lanes [[gnu::vector_size(4 * width)]] = float;

// Twelve sums at a time hide how long one addition takes.
float multiply_add(std::int64_t times) {
  constexpr int sums = 12;
  Lanes a[sums];
  Lanes x{}, y{};
  x += 1.0000001f, y += 1e-7f;
  for (int i = 0; i < sums; ++i) a[i] = y * static_cast<float>(i);
  for (std::int64_t k = 0; k < times; ++k) {
#pragma GCC unroll 12
    for (int i = 0; i < sums; ++i) a[i] = a[i] * x + y;
  }
  Lanes sum{};
  for (const Lanes& each : a) sum += each;
  return sum[0];
}

void arithmetic_case(const Options& o) {
  constexpr std::int64_t times = 1000000;
  volatile float sink = 0;
  const Stat s = measure(o, [&] {
#pragma omp parallel num_threads(threads)
    sink = multiply_add(times);
  });
  emit(o, "limit_fma_f32", s, fmt::format("\"gflops\":{:.1f}", 24.0 * width * times * threads / s.median_ns));
}

}  // namespace

std::vector<Case> limit_cases() {
  std::vector<Case> cases;
  auto add = [&](const std::string& name, auto run) { cases.push_back({name, run}); };
  add("limit_fma_f32", arithmetic_case);
  for (const std::int64_t n : shapes::elementwise) {
    add(fmt::format("limit_copy_n{}", n), [=](const Options& o) { bandwidth_case(o, "copy", n, 1, 1); });
    add(fmt::format("limit_triad_n{}", n), [=](const Options& o) { bandwidth_case(o, "triad", n, 2, 1); });
    add(fmt::format("limit_read_n{}", n), [=](const Options& o) { bandwidth_case(o, "read", n, 1, 0); });
  }
  for (const Traffic& t : traffic)
    for (const std::int64_t n : shapes::elementwise)
      add(fmt::format("ew_{}_n{}", t.name, n), [=](const Options& o) { traffic_case(o, t, n); });
  return cases;
}

}  // namespace bench
