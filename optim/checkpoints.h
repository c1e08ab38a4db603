#pragma once

#include "wengert/autodiff/files/safetensors.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/optim/kept.h"

#include <limits>

namespace wengert::optim {

/// A generator of random numbers that files keep. Draw from a borrowed one:
///   auto rng = kept.borrow();   x = rng.normal({8});
class KeptRng {
 public:
  explicit KeptRng(std::uint64_t seed = 0) : tensor(zeros({2}, int64)) { put({seed, 0}); }

  /// Gives back where it has got to, at the end of the scope.
  class Borrowed : public Rng {
   public:
    explicit Borrowed(KeptRng& from) : Rng(from.rng()), from_(from) {}
    ~Borrowed() { from_.put(*this); }
    Borrowed(const Borrowed&) = delete;

   private:
    KeptRng& from_;
  };
  Borrowed borrow() { return Borrowed(*this); }
  Rng rng() const {
    const auto n = tensor.read<std::int64_t>();
    return {static_cast<std::uint64_t>(n[0]), static_cast<std::uint64_t>(n[1])};
  }
  void put(const Rng& rng) {
    const auto n = tensor.write<std::int64_t>();
    n[0] = static_cast<std::int64_t>(rng.seed), n[1] = static_cast<std::int64_t>(rng.counter);
  }

  static auto members(auto& self) { return fields(field("seed_and_counter", self.tensor)); }

  Buffer tensor;
};

struct CheckpointOptions {
  std::int64_t keep = 3;  ///< the latest so many, at least 1
  bool best = true;       ///< and the best, in a file of its own
  bool maximize = false;  ///< larger is better
};

/// Files of everything that a training consists of: a struct of yours with the model, its optimizer, averages, Kept
/// numbers, generators.
///
///   struct Training {
///     Mlp model;
///     optim::Adam<Mlp> adam{model};
///     optim::Ema<Mlp> average{model};
///     optim::KeptRng rng{42};
///     optim::Kept<std::int64_t> epoch = 0;
///   } training;
///   optim::Checkpoints files{"run"};
///   files.load_latest(training);                        // nothing happens when there is none yet
///   for (; training.epoch < 20; training.epoch = training.epoch + 1) {
///     ...
///     files.save(training, training.epoch, validation_loss);
///   }
///
/// A file is complete, and on the disk, before it takes its name (step-00000012.safetensors): a process that is killed
/// while it saves leaves the files before untouched. For the place inside an epoch keep the generator as it was when
/// batches() was called, and the number of the batch.
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
  /// The step that was loaded; none when there is no file.
  template <class State>
  std::optional<std::int64_t> load_latest(State& state, Where where = Where::current()) const {
    const std::vector<std::int64_t> all = steps();
    if (all.empty()) return {};
    read(path(all.back()), state, where);
    return all.back();
  }
  /// False when there is none.
  template <class State>
  bool load_best(State& state, Where where = Where::current()) const {
    if (!has_best()) return false;
    read(best_path(), state, where);
    return true;
  }

  /// Those that have a file, in order.
  std::vector<std::int64_t> steps() const;
  std::string path(std::int64_t step) const;
  std::string best_path() const;

 private:
  // A state may have a way of its own into a file, and back.
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
