// Classes from tables of measurements: a small network, with its confusion matrix and its ROC curves.
//
//   tables                    the embedded digits as rows of 64 numbers
//   tables --data FOLDER      breast_cancer.csv and wine_data.csv
//
// A curve shows, for each threshold, how many of a class are found and how many others are taken for it; tables.svg.

#include "common/plot.h"

#include <CLI/CLI.hpp>
#include <wengert/train.h>
#include <wengert/wengert.h>

using namespace wengert;

// The statistics of the training part are part of the model, and saved with it.
struct Mlp {
  data::Normalize standard;
  nn::Linear first, second, output;

  Tensor operator()(const Tensor& x) const { return output(relu(second(relu(first(standard(x)))))); }
};

common::Panel study(const std::string& title, const data::Dataset& all, const std::vector<std::string>& names) {
  Rng rng{3};
  const auto [train, test] = data::split(all, {.test = 0.3, .shuffle = rng});
  const auto columns = all.x.size(1), classes = static_cast<std::int64_t>(names.size());
  seed(1);
  Mlp model{.standard = data::Normalize(train.x), .first{columns, 32}, .second{32, 32}, .output{32, classes}};
  const auto loss = [](const Tensor& logits, const Tensor& y) { return nn::cross_entropy(logits, y); };
  train::fit(model, loss, data::Loader(train, {.batch_size = 32, .shuffle = true}),
             {.epochs = 40, .optimizer = optim::AdamW(model, {.lr = 2e-3, .weight_decay = 0.05})});

  const no_grad values;
  const Tensor logits = model(test.x), probability = softmax(logits);
  nn::Confusion confusion(names);
  confusion.update(logits, test.y);
  fmt::print("{}: {} of {} rows of the test part are right\n\n{}\n", title,
             static_cast<std::int64_t>(confusion.accuracy() * static_cast<double>(confusion.total()) + 0.5),
             confusion.total(), to_string(confusion));

  common::Panel panel{.title = title + ": found against mistaken"};
  panel.x_label = "share of others that are taken for the class";
  for (std::int64_t k = 0; k < classes; ++k) {
    if (classes == 2 && k == 1) break;  // the same curve, turned
    nn::Roc roc;
    roc.update(select(probability, 1, k), equal(test.y, double(k)));
    const std::string& name = names[static_cast<std::size_t>(k)];
    fmt::print("  {:<12} area under the ROC curve {:.4f}\n", name, roc.auc());
    common::Curve curve{.name = classes > 3 ? "" : name, .colour = static_cast<int>(k)};
    for (const auto& p : roc.points()) curve.add(p.false_positives, p.true_positives);
    panel.curves.push_back(curve);
  }
  fmt::print("\n");
  return panel;
}

int main(int argc, char** argv) {
  std::string folder;
  CLI::App app{"Small networks for tables, with confusion matrices and ROC curves."};
  app.add_option("--data", folder, "folder with breast_cancer.csv and wine_data.csv")->check(CLI::ExistingDirectory);
  CLI11_PARSE(app, argc, argv);
  std::vector<common::Panel> panels;
  if (folder.empty()) {
    panels.push_back(study("Digits", data::digits(), {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}));
  } else {
    for (const auto& [title, file] : {std::pair{"Breast cancer", "breast_cancer.csv"}, {"Wine", "wine_data.csv"}}) {
      const data::Table table = data::read_table(folder + "/" + file, {.header = data::Header::scikit_learn});
      panels.push_back(study(title, table.dataset("target"), table["target"].categories));
    }
  }
  common::tell(common::plot("tables.svg", panels), "tables.svg", "ROC curves");
}
