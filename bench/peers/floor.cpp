// The least that a case can cost on this machine: the products and convolutions it cannot do without, by the best
// backend, on buffers that are warm; one sweep of the optimizer; the memory it has to read and write. No graph, no
// elementwise arithmetic, no allocation. And the machine's own limits (limit_*).
//   floor --list
//   floor --case 'lenet_*' --threads 2 [--samples 15] [--ms 30]

#include "floor.h"

#include "../shapes.h"
#include "wengert/autodiff/kernels/onednn_versions.h"

#include <cblas.h>

#include <memory>
#include <unordered_map>

using namespace bench;

namespace {

void report_work(const Options& o, const std::string& name, double flops, auto f) {
  const Stat s = measure(o, f);
  emit(o, name, s, fmt::format("\"mflop\":{:.3f},\"gflops\":{:.1f}", flops / 1e6, flops / s.min_ns));
}

// ---------------------------------------------------------------- products

struct Operands {
  Numbers a = Numbers(1 << 22, 0.01f), b = Numbers(1 << 22, 0.01f), c = Numbers(1 << 22);
};

// C [m, n] = A B, `times` over; A is stored as [k, m] when a_t, B as [n, k] when b_t.
struct Product {
  bool a_t, b_t;
  std::int64_t m, n, k, times = 1;
  bool independent = false;

  double flops() const { return 2.0 * static_cast<double>(m * n * k * times); }
  std::int64_t lda() const { return a_t ? m : k; }
  std::int64_t ldb() const { return b_t ? k : n; }
};

int number(std::int64_t size) { return static_cast<int>(size); }

void by_onednn(const Product& p, const Operands& x, float* c) {
  dnnl_sgemm(p.a_t ? 'T' : 'N', p.b_t ? 'T' : 'N', p.m, p.n, p.k, 1, x.a.data(), p.lda(), x.b.data(), p.ldb(), 0, c,
             p.n);
}
// `rows` rows of C from the one named.
void part_by_openblas(const Product& p, const Operands& x, float* c, std::int64_t row, std::int64_t rows) {
  const auto a_t = p.a_t ? CblasTrans : CblasNoTrans, b_t = p.b_t ? CblasTrans : CblasNoTrans;
  cblas_sgemm(CblasRowMajor, a_t, b_t, number(rows), number(p.n), number(p.k), 1,
              &x.a[std::size_t(p.a_t ? row : row * p.k)], number(p.lda()), x.b.data(), number(p.ldb()), 0,
              c + row * p.n, number(p.n));
}
void by_openblas(const Product& p, const Operands& x, float* c) { part_by_openblas(p, x, c, 0, p.m); }

// Many small products are shared out, each on one thread.
template <auto gemm>
void shared_out(const Product& p, Operands& x) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::int64_t i = 0; i < p.times; ++i) {
    static thread_local Numbers c(1 << 16);
    gemm(p, x, c.data());
  }
}
template <auto gemm>
void one_by_one(const Product& p, Operands& x) {
  for (std::int64_t i = 0; i < p.times; ++i) gemm(p, x, x.c.data());
}
// OpenBLAS on one thread for each part of the rows, which it often does worse by itself.
void by_rows(const Product& p, Operands& x) {
  for (std::int64_t i = 0; i < p.times; ++i)
#pragma omp parallel num_threads(threads)
  {
    const std::int64_t part = (p.m / threads + 7) / 8 * 8, row = part * omp_get_thread_num();
    if (row < p.m) part_by_openblas(p, x, x.c.data(), row, std::min(part, p.m - row));
  }
}

using Multiply = void (*)(const Product&, Operands&);

Multiply fastest(Options o, const Product& p, Operands& x) {
  std::vector<Multiply> ways{one_by_one<by_openblas>, one_by_one<by_onednn>};
  if (threads > 1) ways.push_back(by_rows);
  // As time steps have to wait for each other, only batches of small matrices are shared out.
  if (threads > 1 && p.times > 1 && p.independent)
    ways.insert(ways.end(), {shared_out<by_openblas>, shared_out<by_onednn>});
  std::vector<std::function<void()>> rivals;
  for (const Multiply way : ways) rivals.push_back([&, way] { way(p, x); });
  o.samples = 5, o.ms = std::min(o.ms, 3.0);
  const std::vector<Stat> stats = measure_in_turns(o, rivals);
  std::size_t best = 0;
  for (std::size_t i = 1; i < stats.size(); ++i)
    if (stats[i].median_ns < stats[best].median_ns) best = i;
  return ways[best];
}

// Forwards, for the input if somebody wants that, for the weights.
void add_linear(std::vector<Product>& products, std::int64_t batch, std::int64_t in, std::int64_t out,
                bool wants_input) {
  products.push_back({false, true, batch, out, in});
  if (wants_input) products.push_back({false, false, batch, in, out});
  products.push_back({true, false, out, in, batch});
}

// ---------------------------------------------------------------- sweeps of optimizers

struct Sweep {
  Numbers p, g, m, v;
  explicit Sweep(std::int64_t n) : p(static_cast<std::size_t>(n), 0.1f), g(p), m(p), v(p) {}

  void adam() {
    in_parts(static_cast<std::int64_t>(p.size()), [&](std::int64_t begin, std::int64_t end) {
      float *w = p.data(), *m1 = m.data(), *m2 = v.data();
      const float* slope = g.data();
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        m1[i] = 0.9f * m1[i] + 0.1f * slope[i];
        m2[i] = 0.999f * m2[i] + 0.001f * slope[i] * slope[i];
        w[i] -= 1e-6f * m1[i] / (std::sqrt(m2[i]) + 1e-8f);
      }
    });
  }
  void sgdm() {
    in_parts(static_cast<std::int64_t>(p.size()), [&](std::int64_t begin, std::int64_t end) {
      float *w = p.data(), *m1 = m.data();
      const float* slope = g.data();
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        m1[i] = 0.9f * m1[i] + slope[i];
        w[i] -= 1e-6f * m1[i];
      }
    });
  }
};

// ---------------------------------------------------------------- convolutions, in the layout that oneDNN likes best

class Convolutions {
 public:
  void add(const shapes::Convolution& c, bool backward = true, bool wants_input = true) {
    using namespace dnnl;
    using wengert::kernels::describe;
    auto any = [](memory::dims d) { return memory::desc(d, memory::data_type::f32, memory::format_tag::any); };
    const auto x = any({c.batch, c.in, c.size, c.size}), y = any({c.batch, c.out, c.size, c.size});
    const auto w = c.groups == 1 ? any({c.out, c.in, c.kernel, c.kernel})
                                 : any({c.groups, c.out / c.groups, c.in / c.groups, c.kernel, c.kernel});
    const memory::dims stride{1, 1}, pad{c.padding, c.padding};
    const auto direct = algorithm::convolution_direct;
    const auto forward = describe<convolution_forward>(
        engine_, {}, false, std::tuple(prop_kind::forward_training, direct, x, w, y, stride, pad, pad));
    const auto backwards = std::tuple(direct, x, w, y, stride, pad, pad);
    keep(convolution_forward(forward), {{DNNL_ARG_SRC, forward.src_desc()},
                                        {DNNL_ARG_WEIGHTS, forward.weights_desc()},
                                        {DNNL_ARG_DST, forward.dst_desc()}});
    if (!backward) return;
    const auto weights = describe<convolution_backward_weights>(engine_, {}, false, backwards, forward);
    keep(convolution_backward_weights(weights), {{DNNL_ARG_SRC, weights.src_desc()},
                                                 {DNNL_ARG_DIFF_DST, weights.diff_dst_desc()},
                                                 {DNNL_ARG_DIFF_WEIGHTS, weights.diff_weights_desc()}});
    if (!wants_input) return;
    const auto data = describe<convolution_backward_data>(engine_, {}, false, backwards, forward);
    keep(convolution_backward_data(data), {{DNNL_ARG_DIFF_DST, data.diff_dst_desc()},
                                           {DNNL_ARG_WEIGHTS, data.weights_desc()},
                                           {DNNL_ARG_DIFF_SRC, data.diff_src_desc()}});
  }
  void run() {
    for (auto& [pass, operands] : passes_) pass.execute(stream_, operands);
    stream_.wait();
  }

 private:
  void keep(dnnl::primitive pass, const std::vector<std::pair<int, dnnl::memory::desc>>& operands) {
    std::unordered_map<int, dnnl::memory> buffers;
    for (const auto& [role, desc] : operands) {
      dnnl::memory buffer(desc, engine_);
      std::memset(buffer.get_data_handle(), 0, desc.get_size());
      buffers.emplace(role, buffer);
    }
    passes_.emplace_back(std::move(pass), std::move(buffers));
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::vector<std::pair<dnnl::primitive, std::unordered_map<int, dnnl::memory>>> passes_;
};

void convolution_case(const Options& o, const shapes::Convolution& c) {
  for (const bool backward : {false, true}) {
    Convolutions passes;
    passes.add(c, backward);
    report_work(o, fmt::format("conv_{}_{}", c.name, backward ? "fwdbwd" : "fwd"), (backward ? 3 : 1) * c.flops(),
                [&] { passes.run(); });
  }
}

// ---------------------------------------------------------------- training steps

struct Training {
  std::string name;
  std::int64_t parameters = 0;
  std::vector<Product> products = {};
  std::vector<shapes::Convolution> convolutions = {};  // the first needs no gradient of its input
  bool adam = true;
};

void training_case(const Options& o, const Training& t) {
  Operands x;
  Sweep sweep(t.parameters);
  Convolutions convolutions;
  double flops = 0;
  for (const shapes::Convolution& c : t.convolutions) {
    const bool first = &c == t.convolutions.data();
    convolutions.add(c, true, !first);
    flops += (first ? 2 : 3) * c.flops();
  }
  std::vector<std::pair<Product, Multiply>> products;
  for (const Product& p : t.products) products.emplace_back(p, fastest(o, p, x)), flops += p.flops();
  report_work(o, t.name, flops, [&] {
    convolutions.run();
    for (const auto& [p, multiply] : products) multiply(p, x);
    if (t.adam) sweep.adam();
    else sweep.sgdm();
  });
}

std::vector<Training> trainings() {
  std::vector<Training> all;
  for (const shapes::Mlp& m : shapes::mlps) {
    Training t{.name = m.name, .adam = m.adam};
    for (std::size_t i = 1; i < m.widths.size(); ++i) {
      add_linear(t.products, m.batch, m.widths[i - 1], m.widths[i], i > 1);
      t.parameters += (m.widths[i - 1] + 1) * m.widths[i];
    }
    all.push_back(t);
  }
  for (const std::int64_t k : {3, 5}) {
    Training t{.name = fmt::format("lenet_k{}_b64", k),
               .parameters = 32 * k * k + 64 * 32 * k * k + 3136 * 128 + 1280,
               .convolutions = {{"", 64, 1, 32, 28, k, k / 2, 1}, {"", 64, 32, 64, 14, k, k / 2, 1}},
               .adam = false};
    add_linear(t.products, 64, 3136, 128, true);
    add_linear(t.products, 64, 128, 10, true);
    all.push_back(t);
  }
  {  // products with the input at once for all times, with the state one time after the other
    constexpr std::int64_t length = 64, batch = 32, in = 64, h = 128;
    all.push_back({.name = "lstm_h128_t64_b32",
                   .parameters = 4 * h * (in + h + 2) + 10 * (h + 1),
                   .products = {{false, true, length * batch, 4 * h, in},
                                {false, true, batch, 4 * h, h, length},
                                {false, false, batch, h, 4 * h, length},
                                {true, false, 4 * h, h, length * batch},
                                {true, false, 4 * h, in, length * batch}}});
  }
  {
    constexpr std::int64_t rows = 16 * 64, width = 128, heads = 64, length = 64, each = 32;
    Training t{.name = "transformer_d128_h4_t64_b16", .parameters = 12 * width * width + 13 * width};
    for (const auto& [in, out] : {std::pair{width, 3 * width}, {width, width}, {width, 4 * width}, {4 * width, width}})
      add_linear(t.products, rows, in, out, true);
    t.products.push_back({false, true, length, length, each, heads, true});   // Q K^T
    t.products.push_back({false, false, length, each, length, heads, true});  // P V
    t.products.push_back({false, true, length, length, each, heads, true});   // for P
    t.products.push_back({true, false, length, each, length, heads, true});   // for V
    t.products.push_back({false, false, length, each, length, heads, true});  // for Q
    t.products.push_back({true, false, length, each, length, heads, true});   // for K
    all.push_back(t);
  }
  return all;
}

void optimizer_case(const Options& o, const std::string& kind, std::int64_t n, int tensors) {
  Sweep sweep(n);
  const bool adam = kind == "adam";
  const Stat s = measure(o, [&] { adam ? sweep.adam() : sweep.sgdm(); });
  emit(o, fmt::format("opt_{}_{}_t{}", kind, n, tensors), s,
       fmt::format("\"ideal_GBps\":{:.2f}",
                   (adam ? shapes::adam_bytes : shapes::sgdm_bytes) * static_cast<double>(n) / s.min_ns));
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  auto add = [&](const std::string& name, auto run) { cases.push_back({name, run}); };
  for (const Training& t : trainings()) add(t.name, [=](const Options& o) { training_case(o, t); });
  for (const auto& [n, tensors] : shapes::optimizers)
    for (const std::string kind : {"adam", "sgdm"})
      add(fmt::format("opt_{}_{}_t{}", kind, n, tensors),
          [=](const Options& o) { optimizer_case(o, kind, n, tensors); });
  for (const shapes::Convolution& c : shapes::convolutions)
    add(fmt::format("conv_{}", c.name), [&](const Options& o) { convolution_case(o, c); });
  for (const Case& c : limit_cases()) cases.push_back(c);
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv, "floor");
  threads = options.threads;
  omp_set_num_threads(threads);
  openblas_set_num_threads(threads);
  return run(all_cases(), options);
}
