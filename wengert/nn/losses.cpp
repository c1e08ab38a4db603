#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/tape.h"
#include "wengert/nn/nn.h"

namespace wengert::nn {
namespace {

void check_rows(const char* what, Operand logits, Operand labels) {
  if (logits->rank() != 2 || labels->rank() != 1 || logits->shape()[0] != labels->shape()[0])
    fail<ShapeError>(logits.where(), "{}: needs logits [n, classes] and labels [n], got {} and {}", what,
                     logits->shape(), labels->shape());
  if (labels->dtype() != int64)
    fail<TypeError>(logits.where(), "{}: labels must be int64 class indices, got {}; convert with to(labels, int64)",
                    what, labels->dtype());
}

}  // namespace

Tensor cross_entropy(Operand logits, Operand labels) {
  check_rows("cross_entropy", logits, labels);
  const At at(logits.where());
  return softmax_cross_entropy(logits, labels);
}

double accuracy(Operand logits, Operand labels) {
  check_rows("accuracy", logits, labels);
  if (!labels->numel()) fail<ShapeError>(logits.where(), "accuracy: there are no rows in {}", logits->shape());
  const no_grad values;
  return mean(to(equal(Operand(argmax(logits, 1), logits.where()), labels), float64)).item();
}

}  // namespace wengert::nn
