#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/reduction.h"

#include <cmath>

namespace wengert::nn {

namespace {

// The states of every row: its labels with a blank before, between and after them. A path may skip the blank before a
// label that differs from the label before it.
struct States {
  Tensor label;    // [n, 2 max_length + 1]
  Tensor skips;    // bool, of the same shape
  Tensor last;     // [n, 2]: the two final states of paths
  Tensor allowed;  // bool [n, 2]: an empty target has one final state
};

States states_of(const Tensor& targets, const Tensor& lengths, std::int64_t blank, std::int64_t classes, Where where) {
  const std::int64_t n = targets.size(0), max_length = targets.size(1), width = 2 * max_length + 1;
  const std::vector<std::int64_t> given = targets.to_vector<std::int64_t>(), length = lengths.to_vector<std::int64_t>();
  States s{full({n, width}, double(blank), int64), zeros({n, width}, boolean), zeros({n, 2}, int64),
           zeros({n, 2}, boolean)};
  auto label = s.label.write<std::int64_t>(), last = s.last.write<std::int64_t>();
  auto skips = s.skips.write<bool>(), allowed = s.allowed.write<bool>();
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t m = length[std::size_t(i)];
    if (m < 0 || m > max_length)
      fail<ValueError>(where, "ctc: the target of row {} has length {}, but targets are {}", i, m, targets.shape());
    for (std::int64_t k = 0; k < m; ++k) {
      const std::int64_t c = given[std::size_t(i * max_length + k)];
      if (c < 0 || c >= classes || c == blank)
        fail<ValueError>(where, "ctc: label {} in row {} is not among {} classes without the blank {}", c, i, classes,
                         blank);
      label[std::size_t(i * width + 2 * k + 1)] = c;
      skips[std::size_t(i * width + 2 * k + 1)] = k > 0 && given[std::size_t(i * max_length + k - 1)] != c;
    }
    last[std::size_t(2 * i)] = 2 * m, last[std::size_t(2 * i + 1)] = std::max<std::int64_t>(0, 2 * m - 1);
    allowed[std::size_t(2 * i)] = true, allowed[std::size_t(2 * i + 1)] = m > 0;
  }
  return s;
}

// Shifts states to the right by k, and fills with -inf.
Tensor moved(const Tensor& x, std::int64_t k) {
  return pad(narrow(x, 1, 0, std::max<std::int64_t>(0, x.size(1) - k)), {{std::min(k, x.size(1)), 0}},
             PadMode::constant, -HUGE_VAL);
}

}  // namespace

// alpha_t[s]: log of the probability of all paths that are in state s at time t. Its predecessors are s, s - 1
// and, if labels differ, s - 2.  Everything consists of operators, so no derivative is written here.
Tensor ctc(Operand logits, Operand targets, Operand input_lengths, Operand target_lengths, std::int64_t blank,
           Reduction how) {
  const CalledBy by(logits);
  needs_float("ctc", logits);
  if (logits->rank() != 3 || targets->rank() != 2 || targets->shape()[0] != logits->shape()[1])
    fail<ShapeError>(logits.where(), "ctc: needs logits [steps, n, classes] and targets [n, max_length], got {} and {}",
                     logits->shape(), targets->shape());
  const std::int64_t steps = logits->shape()[0], n = logits->shape()[1], classes = logits->shape()[2];
  for (const Operand& t : {targets, input_lengths, target_lengths})
    if (t->dtype() != int64)
      fail<TypeError>(logits.where(), "ctc: targets and lengths must be int64, got {}", t->dtype());
  if (!(input_lengths->shape() == Shape{n}) || !(target_lengths->shape() == Shape{n}))
    fail<ShapeError>(logits.where(), "ctc: lengths must be [{}], got {} and {}", n, input_lengths->shape(),
                     target_lengths->shape());
  if (blank < 0 || blank >= classes)
    fail<ValueError>(logits.where(), "ctc: the blank {} is not among {} classes", blank, classes);
  if (steps == 0) fail<ShapeError>(logits.where(), "ctc: there are no steps in {}", logits->shape());
  for (std::int64_t length : input_lengths->to_vector<std::int64_t>())
    if (length < 1 || length > steps)
      fail<ValueError>(logits.where(), "ctc: an input length of {}, but there are {} steps", length, steps);

  const At at(logits.where());
  const States s = states_of(targets, target_lengths, blank, classes, logits.where());
  const DType dtype = logits->dtype();
  const Tensor log_p = log_softmax(logits, -1), never = scalar(-HUGE_VAL, dtype), lengths = unsqueeze(input_lengths, 1);
  auto emission = [&](std::int64_t t) { return gather(select(log_p, 0, t), 1, s.label); };
  const Tensor start = less(arange(s.label.size(1)), 2);  // only the first blank and the first label
  Tensor alpha = where(start, emission(0), never);
  for (std::int64_t t = 1; t < steps; ++t) {
    const Tensor two = logaddexp(alpha, moved(alpha, 1)),
                 three = logaddexp(two, where(s.skips, moved(alpha, 2), never));
    alpha = where(greater(lengths, double(t)), three + emission(t), alpha);
  }
  const Tensor ends = where(s.allowed, gather(alpha, 1, s.last), never);
  Tensor each = neg(logsumexp(ends, {1}));
  if (how == Reduction::mean || how == Reduction::batch_mean) each = each / maximum(to(target_lengths, dtype), 1.0);
  return reduced("ctc", each, how, by);
}

}  // namespace wengert::nn
