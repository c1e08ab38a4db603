#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/reduction.h"

namespace wengert::nn {

Tensor cross_entropy(Operand logits, Operand labels) {
  check_rows("cross_entropy", logits, labels);
  const At at(logits.where());
  return wengert::detail::cross_entropy(logits, labels);
}

}  // namespace wengert::nn
