#pragma once

#include "wengert/autodiff/files/safetensors.h"
#include "wengert/optim/checkpoints.h"

namespace wengert::train {

/// The progress of a training.
struct Progress {
  optim::Stored<std::int64_t> epoch = 0, step = 0;  ///< epochs that have ended, steps made
};

namespace detail {

/// What represents a part in a file: the part itself, or the stored form of a generator.
template <class T>
T& stored(T& part) {
  return part;
}
inline optim::Stored<Rng> stored(Rng& rng) { return rng; }
template <class T>
using StoredPart = decltype(stored(std::declval<T&>()));

template <class T>
void restore(T&, T&) {}
inline void restore(Rng& rng, const optim::Stored<Rng>& from) { rng = from; }

}  // namespace detail

/// The whole state of a training, in one file. A State refers to the model, its optimizer, and anything else that a
/// resumed training needs: averages, schedule::Plateau, EarlyStopping, generators (Rng), loaders (data::Loader), other
/// structs.
///
///   Mlp model;
///   optim::Adam adam{model};
///   optim::Ema average{model};
///   Rng rng{1};
///   train::State state{model, adam, average, rng};
///   optim::Checkpoints files{"run", {.keep = 3}};
///   files.load_latest(state);                          // does nothing when there is no file yet
///   train::fit(model, loss, [&] { return data::batches(train, {.shuffle = rng}); },
///       {.epochs = 20, .optimizer = adam, .callbacks = {[&](const train::FitEvent& e) {
///          if (e.end_of_epoch) files.save(state, e.epoch, e["loss"]);
///        }}, .state = &state});
///
/// With a data::Loader among the parts a file may be written after any step, and fit() resumes inside the epoch. A
/// training that is killed and resumed ends with the same bits as one that was not interrupted. Schedules are functions
/// of the step, which is part of the state. A hand-written loop must count it: state.step = state.step + 1.
template <class Model, class Optimizer, class... Parts>
class State : public Progress {
 public:
  State(Model& model, Optimizer& optimizer, Parts&... parts)
      : model_(&model), optimizer_(&optimizer), parts_(&parts...) {}

  /// Writes one file, which is complete and on the disk before it takes its name. FileError.
  void save(const std::string& path, const Metadata& metadata = {}, Where where = Where::current()) const {
    wengert::save(path, all(), metadata, where);
  }
  /// FileError, and nothing has changed, unless the file was written by a State of the same structure.
  void load(const std::string& path, Where where = Where::current()) {
    All held = all();
    wengert::load(path, held, where);
    epoch = held.position.epoch, step = held.position.step;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (detail::restore(*std::get<I>(parts_), std::get<I>(held.parts)), ...);
    }(std::index_sequence_for<Parts...>());
  }

 private:
  struct All {
    Model& model;
    Optimizer& optimizer;
    Progress position;
    std::tuple<detail::StoredPart<Parts>...> parts;

    static auto members(auto& self) {
      return fields(field("model", self.model), field("optimizer", self.optimizer),
                    field("epoch", self.position.epoch.tensor), field("step", self.position.step.tensor),
                    field("parts", self.parts));
    }
  };
  All all() const {
    return std::apply([this](auto*... part) { return All{*model_, *optimizer_, *this, {detail::stored(*part)...}}; },
                      parts_);
  }

  Model* model_;
  Optimizer* optimizer_;
  std::tuple<Parts*...> parts_;
};

}  // namespace wengert::train
