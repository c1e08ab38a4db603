#pragma once

#include "wengert/autodiff/files/safetensors.h"
#include "wengert/optim/stored.h"

#include <limits>

namespace wengert::optim {

struct CheckpointOptions {
  std::int64_t keep = 3;  ///< number of latest files to keep, >= 1
  bool best = true;       ///< also keep the best, in a separate file
  bool maximize = false;  ///< larger values are better
};

/// Files of the whole state of a training: a struct with the model, its optimizer, averages, Stored numbers and
/// generators.
///
///   struct Training {
///     Mlp model;
///     optim::Adam<Mlp> adam{model};
///     optim::Ema<Mlp> average{model};
///     optim::Stored<Rng> rng = Rng{42};
///     optim::Stored<std::int64_t> epoch = 0;
///   } training;
///   optim::Checkpoints files{"run"};
///   files.load_latest(training);                        // does nothing when there is no file yet
///   for (; training.epoch < 20; training.epoch = training.epoch + 1) {
///     ...
///     files.save(training, training.epoch, validation_loss);
///   }
///
/// A file is complete and on the disk before it takes its name (step-00000012.safetensors): a process that is killed
/// while it saves leaves earlier files untouched. To resume inside an epoch, use a data::Loader, which is saved with
/// its position.
class WENGERT_API Checkpoints {
 public:
  /// Makes the folder. FileError when that fails; ValueError when keep < 1.
  explicit Checkpoints(std::string folder, CheckpointOptions options = {}, Where = Where::current());

  template <class State>
  void save(const State& state, std::int64_t step, double value = std::numeric_limits<double>::quiet_NaN(),
            Where where = Where::current()) {
    write(path(step), state, metadata(step, value), where);
    if (is_best(value)) write(best_path(), state, metadata(step, value), where), best_ = value;
    forget_old();
  }
  /// Loads the file of the latest step and returns that step; nullopt when there is no file.
  template <class State>
  std::optional<std::int64_t> load_latest(State& state, Where where = Where::current()) const {
    const std::vector<std::int64_t> all = steps();
    if (all.empty()) return {};
    read(path(all.back()), state, where);
    return all.back();
  }
  /// Loads the best file. False when there is no file.
  template <class State>
  bool load_best(State& state, Where where = Where::current()) const {
    if (!has_best()) return false;
    read(best_path(), state, where);
    return true;
  }

  /// Steps that have a file, in ascending order.
  std::vector<std::int64_t> steps() const;
  std::string path(std::int64_t step) const;
  std::string best_path() const;

 private:
  // A state may have its own save(path, metadata, where) and load(path, where).
  template <class State>
  static void write(const std::string& path, const State& state, const Metadata& metadata, Where where) {
    if constexpr (requires { state.save(path, metadata, where); }) state.save(path, metadata, where);
    else wengert::save(path, state, metadata, where);
  }
  template <class State>
  static void read(const std::string& path, State& state, Where where) {
    if constexpr (requires { state.load(path, where); }) state.load(path, where);
    else load(path, state, where);
  }
  static Metadata metadata(std::int64_t step, double value);
  bool is_best(double value) const;
  bool has_best() const;
  void forget_old() const;

  std::string folder_;
  CheckpointOptions options_;
  double best_;
};

}  // namespace wengert::optim
