#include "wengert/autodiff/files/state.h"

#include "../files.h"
#include "../support.h"
#include "wengert/autodiff/files/npy.h"
#include "wengert/autodiff/ops.h"

#include <doctest/doctest.h>

using namespace wengert;
using test::contains;
using test::message;

namespace {

struct Affine {
  Param weight, bias;
};
struct Small {
  Affine hidden{zeros({2, 3}), zeros({2})};
  std::vector<Affine> blocks{{zeros({1, 2}), {}}};  // without a bias
  Buffer mean = zeros({2});
  Tensor scale = zeros({1});
};

using Tensors = std::vector<NamedTensor>;
// As PyTorch would call them.
Tensors foreign() {
  return {{"fc1.weight", full({2, 3}, 1)},
          {"fc1.bias", full({2}, 2)},
          {"layers.0.weight", full({1, 2}, 3)},
          {"norm.running_mean", full({2}, 4)},
          {"norm.num_batches_tracked", full({}, 9, int64)},
          {"scale", full({1}, 5)}};
}
const std::vector<std::pair<std::string, std::string>> names = {
    {"*.num_batches_tracked", ""}, {"fc1.*", "hidden.*"}, {"layers.*", "blocks.*"}, {"norm.running_mean", "mean"}};

std::vector<float> numbers(const Small& m) {
  std::vector<float> all;
  for_each_tensor(m, [&](const Tensor& t) {
    for (float x : t.to_vector<float>()) all.push_back(x);
  });
  return all;
}
const std::vector<float> filled = {1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5};

}  // namespace

TEST_CASE("load_state: tensors of another program fill a model under their new names, from safetensors and npz") {
  TemporaryFolder folder;
  save_tensors(folder / "x", foreign());
  save_npz(folder / "y", foreign(), {.compress = true});
  for (const char* file : {"x", "y"}) {
    Small m;
    const Tensor weight = m.hidden.weight.detach();
    const LoadReport report = load_state(folder / file, m, {.rename = names});
    CHECK(numbers(m) == filled);
    CHECK(weight.to_vector<float>() == std::vector<float>(6, 1));  // in place: who holds the parameter sees it
    CHECK(m.hidden.weight.is_trained());
    CHECK(report.complete());
    CHECK(report.loaded ==
          std::vector<std::string>{"hidden.weight", "hidden.bias", "blocks.0.weight", "mean", "scale"});
    CHECK(report.text() == "5 loaded, 0 missing, 0 unexpected, 0 of another shape or dtype");
  }
}

TEST_CASE("load_state: what does not match is listed; strict leaves the model as it was, lenient loads the rest") {
  Tensors tensors = foreign();
  tensors[1].tensor = ones({3});
  tensors[2].name = "extra";
  tensors[5].tensor = ones({1}, int64);
  Small m;
  const std::string listed =
      "2 loaded, 1 missing, 1 unexpected, 2 of another shape or dtype\n"
      "  missing     \"blocks.0.weight\"\n"
      "  unexpected  \"extra\"\n"
      "  misfit      \"hidden.bias\" (\"fc1.bias\" in the file): the model has float32 [2], the file float32 [3]\n"
      "  misfit      \"scale\": the model has float32 [1], the file int64 [1]";
  const auto what = message<FileError>([&] { load_state(TensorFile{tensors, {}}, m, {.rename = names}); });
  CHECK(contains(what, "load_state: the given tensors: " + listed + "\nthe model is as it was"));
  CHECK(numbers(m) == std::vector<float>(13, 0));

  const LoadReport report = load_state(TensorFile{tensors, {}}, m, {.rename = names, .strict = false});
  CHECK(report.text() == listed);
  CHECK_FALSE(report.complete());
  CHECK(numbers(m) == std::vector<float>{1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 4, 4, 0});
}

TEST_CASE("load_state: float64 becomes float32, and float32 float64, only when asked") {
  Tensors tensors = foreign();
  tensors[0].tensor = full({2, 3}, 0.1, float64);
  Small m;
  m.scale = zeros({1}, float64);
  const auto what = message<FileError>([&] { load_state(TensorFile{tensors, {}}, m, {.rename = names}); });
  CHECK(contains(what, "the model has float32 [2, 3], the file float64 [2, 3]; {.convert = true} converts"));
  CHECK(contains(what, "\"scale\": the model has float64 [1], the file float32 [1]"));
  load_state(TensorFile{tensors, {}}, m, {.rename = names, .convert = true});
  CHECK(m.hidden.weight.to_vector<float>() == std::vector<float>(6, 0.1f));
  CHECK(m.scale.dtype() == float64);
  CHECK(m.scale.item() == 5);
  tensors[5].tensor = full({1}, 5, int64);
  CHECK_THROWS_AS(load_state(TensorFile{tensors, {}}, m, {.rename = names, .convert = true}), FileError);
}

TEST_CASE("load_state: the first pattern that fits counts, and a star stands for anything, nothing included") {
  struct One {
    Param weight = zeros({});
  };
  auto fits = [](const std::string& name, std::vector<std::pair<std::string, std::string>> rename) {
    One m;
    const TensorFile file{{{name, ones({})}}, {}};
    return load_state(file, m, {.rename = std::move(rename), .strict = false}).complete();
  };
  CHECK(fits("weight", {}));
  CHECK(fits("module.weight", {{"module.*", "*"}}));
  CHECK(fits("w", {{"w*", "weight*"}}));
  CHECK(fits("anything", {{"*", "weight"}}));
  CHECK(fits("a", {{"a", "weight"}, {"a", "other"}}));
  CHECK(fits("pre.x.post", {{"pre.*.y", "z"}, {"pre.*.post", "weight"}}));
  CHECK_FALSE(fits("aba", {{"ab*ba", "weight"}}));  // the ends may not overlap
  CHECK_FALSE(fits("a", {{"a", "other"}, {"a", "weight"}}));
  CHECK_FALSE(fits("Weight", {{"weight", "weight"}}));
}

TEST_CASE("load_state: patterns that cannot be meant, and two tensors for one name, are refused") {
  Small m;
  const TensorFile file{foreign(), {}};
  for (const std::pair<std::string, std::string> bad : {std::pair{"a.*.b.*", "c"}, {"a", "b.*"}, {"a.*", "*.*"}})
    CHECK_THROWS_WITH_AS(load_state(file, m, {.rename = {bad}}), doctest::Contains("at most one *"), ValueError);
  CHECK_THROWS_WITH_AS(
      load_state(file, m, {.rename = {{"fc1.*", "hidden.weight"}}}),
      doctest::Contains("\"fc1.weight\" and \"fc1.bias\" of the file are both given the name \"hidden.weight\""),
      ValueError);
  CHECK(numbers(m) == std::vector<float>(13, 0));
}

TEST_CASE("load_state: a file that is not there is a FileError at the user's line") {
  Small m;
  const auto line = __LINE__ + 2;
  try {
    load_state("/nowhere/x", m);
    CHECK(false);
  } catch (const FileError& e) {
    CHECK(contains(e.what(), "load_state: /nowhere/x: cannot be read: No such file"));
    CHECK(e.where().line() == line);
  }
}
