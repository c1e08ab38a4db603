#include "wengert/nn/metrics.h"

#include "wengert/autodiff/tape.h"
#include "wengert/nn/reduction.h"

namespace wengert::nn {

double accuracy(Operand logits, Operand labels) {
  check_rows("accuracy", logits, labels);
  if (!labels->numel()) fail<ShapeError>(logits.where(), "accuracy: there are no rows in {}", logits->shape());
  const no_grad values;
  return mean(to(equal(Operand(argmax(logits, 1), logits.where()), labels), float64)).item();
}

}  // namespace wengert::nn
