#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/custom.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/checkpoint.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <stdexcept>

// Whatever leaves by an exception, the thread records and differentiates afterwards as it did before.

using namespace wengert;

namespace {

struct Stop : std::runtime_error {
  Stop() : std::runtime_error("stop") {}
};

// Throws at the n-th call.
int calls_left = 0;
void tick() {
  if (calls_left > 0 && --calls_left == 0) throw Stop();
}

struct Fragile {
  static constexpr std::string_view name = "fragile";
  Saved x, y;
  Tensor forward(const Tensor& a) {
    tick();
    x = a;
    const Tensor result = square(a);
    y = result;
    return result;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor x_bar = 2 * x * y_bar + 0 * y;
    tick();
    return x_bar;
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const {
    const Tensor y_dot = 2 * x * x_dot + 0 * y;
    tick();
    return y_dot;
  }
};
Tensor fragile(Operand x) { return apply(Fragile{}, x); }

// Throws where the n-th operator, derivative or sweep begins, and where the n-th saved value is read.
struct Stopper final : detail::Observer {
  Stopper() : Observer(Threads::mine) { begin(); }
  ~Stopper() override { end(); }
  void enter(const detail::Frame&) override { tick(); }
  void read(const detail::Frame&, const Tensor&) override { tick(); }
};

// Calls f with an exception at the first tick, the second, and so on. Returns how many there were.
template <class F>
int stopped_everywhere(F f) {
  const detail::Context before = detail::thread_state().context;
  for (int n = 1;; ++n) {
    calls_left = n;
    bool stopped = false;
    try {
      f();
    } catch (const Stop&) {
      stopped = true;
    } catch (const GraphError&) {  // nothing was recorded
    }
    CAPTURE(n);
    CHECK(detail::thread_state().context == before);
    if (!stopped) return n - 1;
  }
}

// The same in every surrounding that a thread may be in.
template <class F>
void stopped_in_every_scope(int at_least, F f) {
  CHECK(stopped_everywhere(f) >= at_least);
  {
    const no_grad off;
    stopped_everywhere(f);
  }
  {
    const At here(Where::current());
    stopped_everywhere(f);
  }
  calls_left = 0;
  (void)value_and_grad(
      [&](const Tensor& t) {
        stopped_everywhere(f);
        return sum(t);
      },
      tensor({1, 2}, float64));
  {
    const Stopper observed;
    CHECK(stopped_everywhere(f) > 2 * at_least);
  }
}

const Tensor start = tensor({0.5, -2, 3}, float64);
Tensor cubes(const Tensor& x) { return sum(fragile(x) * x); }  // x^3

}  // namespace

TEST_CASE("context: a rule that throws forward, backward or in forward mode leaves the thread as it was") {
  stopped_in_every_scope(2, [] {
    const Tensor x = start.track();
    const Tensor y = cubes(x);
    (void)grad(y, x, {.create_graph = true});
  });
  stopped_in_every_scope(2, [] {
    const Tensor x = start.track();
    backward(cubes(x));
  });
  stopped_in_every_scope(2, [] { (void)jvp(cubes, start, ones({3}, float64)); });
}

TEST_CASE("context: transforms and hooks that throw leave the thread as it was") {
  stopped_in_every_scope(2, [] { (void)value_and_grad(cubes, start); });
  stopped_in_every_scope(3, [] { (void)hvp(cubes, start, ones({3}, float64)); });
  stopped_in_every_scope(3, [] { (void)hessian(cubes, start); });
  stopped_in_every_scope(2, [] { (void)grad([](const Tensor& x) { return sum(grad(cubes, x)); }, start); });
  stopped_in_every_scope(1, [] {
    (void)grad([](const Tensor& x) { return sum(on_gradient(x * 2, [](const Tensor&) { tick(); })); }, start);
  });
}

TEST_CASE("context: a checkpoint that throws, first or when it runs again, leaves the thread as it was") {
  const auto nested = [](const Tensor& x) {
    return checkpoint(
        [](const Tensor& t) {
          const At inside(Where::current());
          return sum(checkpoint([](const Tensor& u) { return fragile(u); }, t) * t);
        },
        x);
  };
  stopped_in_every_scope(3, [&] { (void)value_and_grad(nested, start); });
  stopped_in_every_scope(3, [&] { (void)hvp(nested, start, ones({3}, float64)); });
}

TEST_CASE("context: saved values are off the tape again after an exception, and the graph is as good as before") {
  const Tensor x = start.track();
  calls_left = 0;
  const Tensor y = cubes(x);
  stopped_everywhere([&] { (void)grad(y, x, {.create_graph = true}); });
  calls_left = 0;
  const Tensor first = grad(y, x, {.create_graph = true});
  CHECK(first.to_vector<double>() == std::vector{0.75, 12.0, 27.0});
  CHECK(grad(sum(first), x, {.keep_graph = true}).to_vector<double>() == std::vector{3.0, -12.0, 18.0});
}
