#pragma once

#include "wengert/data/loader_state.h"

#include <concepts>
#include <optional>
#include <utility>

namespace wengert::data {

struct LoaderOptions {
  std::int64_t batch_size = 32;
  Shuffle shuffle = false;    ///< another order in every epoch. true: by `seed`; a generator: it draws the seed
  std::uint64_t seed = 0;     ///< of the order and of the generators of batches
  bool drop_last = false;     ///< skip the last batch if it is smaller than the others
  std::int64_t prefetch = 0;  ///< batches made ahead on a separate thread; 0: no thread
};

/// Mini-batches, epoch after epoch. Their position in the data is a value that save() and load() see:
///
///   struct Training {
///     Mlp model;
///     optim::Adam<Mlp> adam{model};
///     data::Loader<> batches{data::digits(), {.batch_size = 64, .shuffle = true, .seed = 1, .prefetch = 2}};
///   } training;
///   files.load_latest(training);                             // also in the middle of an epoch
///   while (training.batches.epoch() < 20) {
///     for (auto& [x, y] : training.batches) ...              // the rest of this epoch
///   }
///
/// The order of an epoch depends on the seed and the number of the epoch only, so a training that was saved between two
/// batches continues with the same batches as one that was not interrupted. A copy is an independent loader at the same
/// position.
///
/// Other data needs a number of rows and a function f(Rows) or f(Rows, Rng&) that makes a batch of some rows. With
/// `prefetch`, f is called on another thread. A loader never calls f on two threads at once, but copies of a loader
/// may. Each batch has its own generator, which is the same whenever the batch is made again:
///
///   data::Loader words{count, [=](data::Rows rows) { return Sentences(...); }, {.batch_size = 16}};
///   data::Loader images{train, [](data::Dataset b, Rng& rng) { b.x = data::random_flip(b.x, rng); return b; }};
///
/// An exception of f leaves the loop or next(), and the position does not change. `prefetch` does not change batches.
/// Its thread uses one core, starts with the first batch, and ends with the loader, whose destructor waits for the
/// batch in progress. A loader must be used from one thread only.
template <class Batch = Dataset>
class Loader {
 public:
  /// ValueError unless batch_size >= 1 and prefetch >= 0; ShapeError when x and y differ in their rows.
  explicit Loader(const Dataset& data, LoaderOptions options = {}, Where where = Where::current())
      requires std::same_as<Batch, Dataset>
      : Loader(detail::checked_rows("loader", data, where), [](Dataset batch) { return batch; }, options, where) {}
  /// Batches of a data set, transformed by f(Dataset) or f(Dataset, Rng&).
  template <class F>
  requires(!std::convertible_to<F, LoaderOptions>)
  Loader(const Dataset& data, F f, LoaderOptions options = {}, Where where = Where::current())
      : Loader(
            data.x.defined() ? data.size() : 0,
            [all = detail::checked_rows("loader", data, where), f = std::move(f)](Rows rows, Rng& rng) -> Batch {
              return detail::call_transform(f, detail::take_checked(all, rows), rng);
            },
            options, where) {}
  /// Batches that f(Rows) or f(Rows, Rng&) makes of the rows 0 to rows - 1.
  template <class F>
  requires(!std::convertible_to<F, LoaderOptions>)
  Loader(std::int64_t rows, F f, LoaderOptions options = {}, Where where = Where::current())
      : state_(rows, detail::maker_of<Batch>(std::move(f)), options, where) {}

  /// Number of batches of an epoch.
  std::int64_t size() const { return state_.batches(); }
  /// Number of rows of the data.
  std::int64_t rows() const { return state_.rows(); }

  /// The next batch of this epoch; nullopt at its end, where the next epoch begins. ValueError when a position was
  /// loaded that belongs to another number of rows or another batch_size.
  std::optional<Batch> next(Where where = Where::current()) {
    std::optional<Batch> batch;
    state_.next(&batch, where);
    return batch;
  }

  /// Epochs that have ended, and batches taken from the current epoch. In the body of a loop position() counts the
  /// current batch, so a loader saved there continues with the next batch.
  std::int64_t epoch() const { return state_.epoch(); }
  std::int64_t position() const { return state_.batch(); }
  std::uint64_t seed() const { return state_.seed(); }
  /// Moves to another position. ValueError unless epoch >= 0 and 0 <= position <= size().
  void seek(std::int64_t epoch, std::int64_t position = 0, Where where = Where::current()) {
    state_.seek(epoch, position, where);
  }

  static auto members(auto& self) { return fields(field("place", self.state_.place)); }

  struct End {};
  class Iterator {
   public:
    explicit Iterator(Loader& of) : of_(&of), batch_(of.next()) {}
    Batch& operator*() { return *batch_; }
    Batch* operator->() { return &*batch_; }
    Iterator& operator++() {
      batch_.reset();  // frees memory for the next batch
      batch_ = of_->next();
      return *this;
    }
    bool operator==(End) const { return !batch_; }

   private:
    Loader* of_;
    std::optional<Batch> batch_;
  };
  /// The rest of this epoch. After a `break` the next loop continues after the last batch.
  Iterator begin() { return Iterator(*this); }
  End end() { return {}; }

 private:
  detail::LoaderState state_;
};

Loader(const Dataset&) -> Loader<Dataset>;
Loader(const Dataset&, LoaderOptions) -> Loader<Dataset>;
template <class F>
requires(!std::convertible_to<F, LoaderOptions>)
Loader(const Dataset&, F, LoaderOptions = {}) -> Loader<detail::Transformed<F>>;
template <class F>
requires(!std::convertible_to<F, LoaderOptions>)
Loader(std::int64_t, F, LoaderOptions = {}) -> Loader<detail::Collated<F>>;

}  // namespace wengert::data
