#include <wengert/wengert.h>

#include <vector>

using namespace wengert;

int main() {
  const Tensor x = tensor({1, 2, 3}).track();
  const Tensor slope = grad(sum(x * x), x);
  return slope.to_vector<float>() == std::vector<float>{2, 4, 6} ? 0 : 1;
}
