#include "golden.h"
#include "wengert/nn/nn.h"

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }

namespace {

nn::Reduction how(const Args& a) {
  const std::string r = a.text("reduction");
  return r == "sum"         ? nn::Reduction::sum
         : r == "none"      ? nn::Reduction::none
         : r == "batchmean" ? nn::Reduction::batch_mean
                            : nn::Reduction::mean;
}

nn::CrossEntropyOptions classes(const Args& a, double smoothing) {
  nn::CrossEntropyOptions o{.weight = a.maybe("weight"), .smoothing = smoothing, .reduction = how(a)};
  if (a.given("ignore_index")) o.ignore = a.integer("ignore_index");
  return o;
}

nn::BinaryOptions binary(const Args& a) {
  return {.weight = a.maybe("weight"), .pos_weight = a.maybe("pos_weight"), .reduction = how(a)};
}

// Our losses do not broadcast; PyTorch's do.
template <class F>
Tensor together(const Tensor& x, const Tensor& y, F&& f) {
  const Shape shape = (x + y).shape();
  return f(expand(x, shape), expand(y, shape));
}
template <class... More>
Tensor together(const Args& a, Tensor (*f)(Operand, Operand, More...), More... more) {
  return together(a.input(), a["target"], [&](const Tensor& x, const Tensor& y) { return f(x, y, more...); });
}

// PyTorch takes a variance for each row, too.
Tensor variance(const Args& a) { return a["var"].rank() + 1 == a.input().rank() ? unsqueeze(a["var"], -1) : a["var"]; }

const Args& without(const char* input, const Args& a) {
  if (a.maybe(input).defined()) throw Unsupported(std::string("no ") + input + " here");
  return a;
}

Tensor temporal(const Args& a) {
  if (a["targets"].rank() != 2) throw Unsupported("ctc_loss: targets of all rows in one vector");
  return nn::ctc(a["logits"], a["targets"], a["input_lengths"], a["target_lengths"], a.integer("blank"), how(a));
}

}  // namespace

void add_loss(Table& t) {
  ROW(mse_loss, together(a, nn::mse, how(a)));
  ROW(l1_loss, together(a, nn::l1, how(a)));
  ROW(smooth_l1_loss, together(a, nn::smooth_l1, a.number("beta"), how(a)));
  ROW(huber_loss, together(a, nn::huber, a.number("delta"), how(a)));
  ROW(binary_cross_entropy, nn::binary_cross_entropy(a.input(), a["target"], binary(a)));
  ROW(binary_cross_entropy_with_logits, nn::binary_cross_entropy_with_logits(a.input(), a["target"], binary(a)));
  ROW(cross_entropy, nn::cross_entropy(a.input(), a["target"], classes(a, a.number("label_smoothing"))));
  t["cross_entropy_prob"] = t["cross_entropy"];
  ROW(nll_loss, nn::nll(a.input(), a["target"], classes(a, 0)));
  ROW(kl_div, nn::kl_div(a.input(), a["target"], how(a), a.flag("log_target")));
  ROW(hinge_embedding_loss, nn::hinge_embedding(a.input(), a["target"], a.number("margin"), how(a)));
  ROW(margin_ranking_loss, nn::margin_ranking(a["input1"], a["input2"], a["target"], a.number("margin"), how(a)));
  ROW(cosine_embedding_loss, nn::cosine_embedding(a["input1"], a["input2"], a["target"], a.number("margin"), how(a)));
  ROW(triplet_margin_loss, nn::triplet_margin(a["anchor"], a["positive"], a["negative"],
                                              {.margin = a.number("margin"),
                                               .p = a.number("p"),
                                               .eps = a.number("eps"),
                                               .swap = a.flag("swap"),
                                               .reduction = how(a)}));
  ROW(poisson_nll_loss,
      nn::poisson_nll(
          a.input(), a["target"],
          {.log_input = a.flag("log_input"), .full = a.flag("full"), .eps = a.number("eps"), .reduction = how(a)}));
  ROW(gaussian_nll_loss, nn::gaussian_nll(a.input(), a["target"], variance(a),
                                          {.full = a.flag("full"), .eps = a.number("eps"), .reduction = how(a)}));
  ROW(soft_margin_loss, nn::soft_margin(a.input(), a["target"], how(a)));
  ROW(multi_margin_loss,
      nn::multi_margin(without("weight", a).input(), a["target"], a.number("p"), a.number("margin"), how(a)));
  ROW(ctc_loss, temporal(a));
}

}  // namespace golden
