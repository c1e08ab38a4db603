// Whole training steps: they ask the system for no memory once they are warm, and do not depend on the number of
// threads. A program of its own, since it counts every allocation of the process.

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <wengert/wengert.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define COUNTS_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNTS_MALLOC 0
#endif
#endif
#if !defined(COUNTS_MALLOC) && defined(__GLIBC__)
#define COUNTS_MALLOC 1
#endif

namespace {
std::atomic<long> allocations{0};
}

#if COUNTS_MALLOC
#include <link.h>

namespace {

// Clang's OpenMP allocates for every parallel region, which nobody can help but its authors: its calls do not count.
struct Range {
  std::uintptr_t begin = 0, end = 0;
};
Range openmp() {
  Range found;
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* to) {
        if (!std::strstr(library->dlpi_name, "/libomp")) return 0;
        auto& range = *static_cast<Range*>(to);
        for (int i = 0; i < library->dlpi_phnum; ++i)
          if (const auto& part = library->dlpi_phdr[i]; part.p_flags & PF_X)
            range = {library->dlpi_addr + part.p_vaddr, library->dlpi_addr + part.p_vaddr + part.p_memsz};
        return 1;
      },
      &found);
  return found;
}
const Range quiet = openmp();

void count(void* caller) {
  const auto at = reinterpret_cast<std::uintptr_t>(caller);
  if (at < quiet.begin || at >= quiet.end) ++allocations;
}

}  // namespace

#define COUNT count(__builtin_return_address(0))

// In front of those of the C library, for all libraries of the process; operator new ends here too.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t n) { return COUNT, __libc_malloc(n); }
void* calloc(std::size_t n, std::size_t m) { return COUNT, __libc_calloc(n, m); }
void* realloc(void* p, std::size_t n) { return COUNT, __libc_realloc(p, n); }
void* memalign(std::size_t a, std::size_t n) { return COUNT, __libc_memalign(a, n); }
void* aligned_alloc(std::size_t a, std::size_t n) { return COUNT, __libc_memalign(a, n); }
int posix_memalign(void** p, std::size_t a, std::size_t n) {
  *p = (COUNT, __libc_memalign(a, n));
  return *p ? 0 : ENOMEM;
}
}
#endif

using namespace wengert;

namespace {

struct Mlp {
  nn::Linear hidden{64, 128}, middle{128, 32}, output{32, 10};
  Param gain = ones({1});
  Tensor mask = ones({128});
  Tensor operator()(const Tensor& x) const { return output(tanh(middle(gain * relu(hidden(x)) * mask))); }
};
struct Cnn {
  nn::Conv2d first{1, 8, 3, {.padding = 1}}, second{8, 16, 3};
  nn::MaxPool2d pool{2};
  nn::Flatten flat;
  nn::Linear output{16, 10};
  Tensor operator()(const Tensor& x) const { return output(flat(pool(relu(second(pool(relu(first(x)))))))); }
};

// The last state classifies.
struct LastState {
  nn::Lstm rnn{16, 32};
  nn::Linear output{32, 10};
  Tensor operator()(const Tensor& x) const { return output(squeeze(rnn(transpose(x, 0, 1)).h, 0)); }
};
struct Attentive {
  nn::TransformerEncoderLayer layer{16, 2, {.dim_feedforward = 32}};
  nn::Linear output{16, 10};
  Tensor operator()(const Tensor& x) const { return output(mean(layer(x, {.causal = true}), {1})); }
};

struct Batch {
  Tensor x, y;
};
Batch batch(const Shape& shape) {
  Rng rng{2};
  return {rng.uniform(shape), rng.integers({shape[0]}, 0, 10)};
}

// One step in the form of value_and_grad, or of backward.
template <class Model, class Optimizer>
double step(Model& model, Optimizer& optimizer, const Batch& b, bool imperative) {
  if (imperative) {
    const Tensor loss = nn::cross_entropy(model(b.x), b.y);
    backward(loss);
    optim::clip_norm(model, 1.0);
    optimizer.step(model);
    return loss.item();
  }
  auto [loss, grads] = value_and_grad([&](const Model& m) { return nn::cross_entropy(m(b.x), b.y); }, model);
  optim::clip_norm(grads, 1.0);
  optimizer.step(model, grads);
  return loss.item();
}

template <class Model>
void check_flat(const Shape& shape, bool imperative) {
  seed(1);
  Model model;
  optim::Adam adam{model};
  const Batch b = batch(shape);
  for (int i = 0; i < 5; ++i) step(model, adam, b, imperative);
  const auto blocks = memory_stats().system_allocations;
  const auto in_use = memory_stats().in_use;
  const long before = allocations;
  for (int i = 0; i < 20; ++i) step(model, adam, b, imperative);
  const long after = allocations;
  CHECK(after - before == 0);
  CHECK(memory_stats().system_allocations == blocks);
  CHECK(memory_stats().in_use == in_use);
}

// Steps alone, after a few: with groups, clipping and averages.
template <class Optimizer>
void check_rule(Optimizer (*make)(Mlp&)) {
  Mlp model;
  const Mlp grads = copy(model);
  Optimizer optimizer = make(model);
  optim::Ema ema{model};
  auto step = [&] {
    if constexpr (requires { optimizer.look_ahead(model); }) optimizer.look_ahead(model);
    optimizer.step(model, grads);
    ema.update(model);
  };
  for (int i = 0; i < 3; ++i) step();
  const long before = allocations;
  for (int i = 0; i < 20; ++i) step();
  CHECK(allocations - before == 0);
}

template <class Model>
std::vector<double> losses(const Shape& shape, int n) {
  set_threads(n);
  seed(1);
  Model model;
  optim::Adam adam{model, {.lr = 1e-2}};
  const Batch b = batch(shape);
  std::vector<double> all;
  for (int i = 0; i < 10; ++i) all.push_back(step(model, adam, b, i % 2));
  return all;
}

template <class Model>
void check_threads(const Shape& shape) {
  const int before = threads();
  const auto one = losses<Model>(shape, 1);
  CHECK(one.back() < one.front());
  for (int n : {2, 3, 8}) CHECK(losses<Model>(shape, n) == one);
  set_threads(before);
}

}  // namespace

#if COUNTS_MALLOC
TEST_CASE("allocations are counted") {
  const long before = allocations;
  void* volatile some = std::malloc(100);  // volatile: or a compiler may leave it out
  CHECK(allocations == before + 1);
  std::free(some);
}
#endif

TEST_CASE("a training step of an MLP allocates nothing once it is warm, in either form") {
  check_flat<Mlp>({32, 64}, false);
  check_flat<Mlp>({32, 64}, true);
}

TEST_CASE("a training step of a CNN allocates nothing once it is warm") {
  check_flat<Cnn>({16, 1, 8, 8}, false);
  check_flat<Cnn>({16, 1, 8, 8}, true);
}

TEST_CASE("a training step of an LSTM and of a transformer layer allocates nothing once it is warm") {
  check_flat<LastState>({32, 12, 16}, false);
  check_flat<LastState>({32, 12, 16}, true);
  check_flat<Attentive>({32, 12, 16}, false);
  check_flat<Attentive>({32, 12, 16}, true);
}

TEST_CASE("a step on a large batch, where sums are split, allocates nothing either") {
  check_flat<Mlp>({1000, 64}, false);
}

TEST_CASE("a step of every first-order rule allocates nothing once it is warm, with groups too") {
  check_rule(+[](Mlp& m) { return optim::Sgd(m, {.momentum = 0.9}); });
  check_rule(+[](Mlp& m) { return optim::Nesterov(m); });
  check_rule(+[](Mlp& m) { return optim::Adagrad(m); });
  check_rule(+[](Mlp& m) { return optim::RmsProp(m, {.momentum = 0.9, .centered = true}); });
  check_rule(+[](Mlp& m) { return optim::Adadelta(m); });
  check_rule(+[](Mlp& m) { return optim::Adam(m, {.amsgrad = true}); });
  check_rule(+[](Mlp& m) { return optim::Adamax(m); });
  check_rule(+[](Mlp& m) { return optim::Nadam(m); });
  check_rule(+[](Mlp& m) { return optim::Radam(m); });
  check_rule(+[](Mlp& m) { return optim::Rprop(m); });
  check_rule(+[](Mlp& m) { return optim::Lion(m); });
  check_rule(+[](Mlp& m) {
    optim::AdamW adamw(m);
    adamw.group("*.bias|gain", {.weight_decay = 0});
    return adamw;
  });
}

TEST_CASE("losses are the same bits for 1, 2, 3 and 8 threads") {
  check_threads<Mlp>({500, 64});
  check_threads<Cnn>({40, 1, 8, 8});
  check_threads<LastState>({50, 12, 16});
  check_threads<Attentive>({50, 40, 16});
}
