#pragma once

#include "wengert/autodiff/files/safetensors.h"
#include "wengert/optim/checkpoints.h"

namespace wengert {

/// How far a training is.
struct FitPosition {
  optim::Kept<std::int64_t> epoch = 0, step = 0;  ///< epochs that have ended, steps made
};

namespace detail {

/// What stands for a part in a file: the part itself, or tensors that hold the numbers of a generator.
template <class T>
struct HeldPart {
  using Type = T&;
  static Type hold(T& part) { return part; }
  static void give_back(T&, T&) {}
};
template <>
struct HeldPart<Rng> {
  using Type = optim::KeptRng;
  static Type hold(const Rng& rng) {
    optim::KeptRng kept;
    kept.put(rng);
    return kept;
  }
  static void give_back(Rng& rng, const Type& kept) { rng = kept.rng(); }
};

}  // namespace detail

/// Everything that a training consists of, in one file: refers to the model, its optimizer, and whatever else has to go
/// on where it was: averages, Plateau, EarlyStopping, generators (Rng), loaders (data::Loader), structs of yours.
///
///   Mlp model;
///   optim::Adam adam{model};
///   optim::Ema average{model};
///   Rng rng{1};
///   TrainState state{model, adam, average, rng};
///   optim::Checkpoints files{"run", {.keep = 3}};
///   files.load_latest(state);                          // nothing happens when there is none yet
///   fit(model, loss, [&] { return data::batches(train, {.shuffle = rng}); },
///       {.epochs = 20, .optimizer = adam, .callbacks = {[&](const FitEvent& e) {
///          if (e.end_of_epoch) files.save(state, e.epoch, e["loss"]);
///        }}, .state = &state});
///
/// With a data::Loader among the parts a file may be written after any step; fit() goes on inside the epoch.
/// A training that is killed and started again ends with the same bits as one that was left alone. Schedules are
/// functions of the step, which is here: in a loop by hand count it yourself, state.step = state.step + 1.
template <class Model, class Optimizer, class... Parts>
class TrainState : public FitPosition {
 public:
  TrainState(Model& model, Optimizer& optimizer, Parts&... parts)
      : model_(&model), optimizer_(&optimizer), parts_(&parts...) {}

  /// One file, complete and on the disk before it takes its name. FileError.
  void save(const std::string& path, const Metadata& metadata = {}, Where where = Where::current()) const {
    wengert::save(path, all(), metadata, where);
  }
  /// FileError, and nothing has changed, unless the file was written by a state of the same build.
  void load(const std::string& path, Where where = Where::current()) {
    All held = all();
    wengert::load(path, held, where);
    epoch = held.position.epoch, step = held.position.step;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (detail::HeldPart<Parts>::give_back(*std::get<I>(parts_), std::get<I>(held.parts)), ...);
    }(std::index_sequence_for<Parts...>());
  }

 private:
  struct All {
    Model& model;
    Optimizer& optimizer;
    FitPosition position;
    std::tuple<typename detail::HeldPart<Parts>::Type...> parts;

    static auto members(auto& self) {
      return fields(field("model", self.model), field("optimizer", self.optimizer),
                    field("epoch", self.position.epoch.tensor), field("step", self.position.step.tensor),
                    field("parts", self.parts));
    }
  };
  All all() const {
    return std::apply(
        [this](auto*... part) { return All{*model_, *optimizer_, *this, {detail::HeldPart<Parts>::hold(*part)...}}; },
        parts_);
  }

  Model* model_;
  Optimizer* optimizer_;
  std::tuple<Parts*...> parts_;
};

}  // namespace wengert
