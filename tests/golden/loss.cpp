#include "golden.h"
#include "wengert/nn/nn.h"

#include <algorithm>

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

nn::CrossEntropyOptions classes(const Args& a, double label_smoothing) {
  nn::CrossEntropyOptions o{.weight = a.maybe("weight"), .label_smoothing = label_smoothing, .reduction = how(a)};
  if (a.given("ignore_index")) o.ignore_index = a.integer("ignore_index");
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

Tensor reduced(const Tensor& y, nn::Reduction r) {
  return r == nn::Reduction::none ? y : r == nn::Reduction::sum ? sum(y) : mean(y);
}

// PyTorch takes a factor for each class, too: that of the row's label.
Tensor margins(const Args& a) {
  const Tensor weight = a.maybe("weight"), labels = a["target"];
  auto loss = [&](nn::Reduction r) {
    return nn::multi_margin(a.input(), labels, a.number("p"), a.number("margin"), r);
  };
  return weight.defined() ? reduced(take(weight, 0, labels) * loss(nn::Reduction::none), how(a)) : loss(how(a));
}

// PyTorch takes all targets one after the other in a vector, too.
Tensor rows_of_targets(const Tensor& targets, const Tensor& lengths) {
  if (targets.rank() == 2) return targets;
  const auto n = lengths.to_vector<std::int64_t>(), all = targets.to_vector<std::int64_t>();
  const std::int64_t longest = n.empty() ? 0 : *std::max_element(n.begin(), n.end());
  std::vector<std::int64_t> rows(n.size() * std::size_t(longest));
  for (std::size_t i = 0, at = 0; i < n.size(); ++i)
    for (std::int64_t k = 0; k < n[i]; ++k) rows.at(i * std::size_t(longest) + std::size_t(k)) = all.at(at++);
  return from(rows, {std::int64_t(n.size()), longest});
}

Tensor temporal(const Args& a) {
  const Tensor lengths = a["target_lengths"];
  return nn::ctc(a["logits"], rows_of_targets(a["targets"], lengths), a["input_lengths"], lengths, a.integer("blank"),
                 how(a));
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
  ROW(kl_div, nn::kl_div(a.input(), a["target"], {.log_target = a.flag("log_target"), .reduction = how(a)}));
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
  ROW(multi_margin_loss, margins(a));
  ROW(ctc_loss, temporal(a));
}

}  // namespace golden
