#pragma once

#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/data/dataset.h"

#include <concepts>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace wengert::data {

struct LoaderOptions {
  std::int64_t size = 32;     ///< rows of a batch
  bool shuffle = true;        ///< another order in every epoch
  std::uint64_t seed = 0;     ///< of all that is random
  bool drop_last = false;     ///< leave out the last batch if it is smaller than the others
  std::int64_t prefetch = 0;  ///< batches that a thread of its own makes ahead; 0: there is no thread
};

}  // namespace wengert::data

namespace wengert::detail {

using data::Dataset;
using data::LoaderOptions;
using data::Rows;

/// Makes batches of one type, whatever it is. A slot is a std::optional of that type.
class WENGERT_API BatchMaker {
 public:
  virtual ~BatchMaker();
  virtual std::shared_ptr<void> slots(std::size_t n) const = 0;
  virtual void make(Rows, Rng&, void* slots, std::size_t i) const = 0;
  virtual void move(void* slots, std::size_t i, void* to) const = 0;
};

/// What all loaders share: the place in the data, and the thread.
class WENGERT_API LoaderState {
 public:
  LoaderState(std::int64_t rows, std::shared_ptr<const BatchMaker>, LoaderOptions, Where);
  LoaderState(const LoaderState&);
  LoaderState(LoaderState&&) noexcept;
  LoaderState& operator=(LoaderState) noexcept;
  ~LoaderState();

  std::int64_t rows() const { return rows_; }
  std::int64_t batches() const;
  /// Fills the slot, or begins the next epoch.
  void next(void* slot, Where);
  std::uint64_t seed() const { return static_cast<std::uint64_t>(number(0)); }
  std::int64_t epoch() const { return number(1); }
  std::int64_t batch() const { return number(2); }
  void seek(std::int64_t epoch, std::int64_t batch, Where);

  Buffer place;  // int64 [5]: seed, epoch, batch, and what they hold for: rows, size

 private:
  struct Engine;
  std::int64_t number(std::size_t i) const { return place.read<std::int64_t>()[i]; }
  void go_to(std::int64_t epoch, std::int64_t batch);
  void check_place(Where) const;

  LoaderOptions options_;
  std::int64_t rows_;
  std::shared_ptr<const BatchMaker> maker_;
  Hidden<Engine> engine_;  // once a batch was asked for
};

template <class F>
decltype(auto) call_collate(const F& f, Rows rows, Rng& rng) {
  if constexpr (std::is_invocable_v<const F&, Rows, Rng&>) return f(rows, rng);
  else return f(rows);
}
template <class F>
decltype(auto) call_transform(const F& f, Dataset batch, Rng& rng) {
  if constexpr (std::is_invocable_v<const F&, Dataset, Rng&>) return f(std::move(batch), rng);
  else return f(std::move(batch));
}
template <class F>
using Collated = std::remove_cvref_t<decltype(call_collate(std::declval<const F&>(), Rows(), std::declval<Rng&>()))>;
template <class F>
using Transformed =
    std::remove_cvref_t<decltype(call_transform(std::declval<const F&>(), Dataset(), std::declval<Rng&>()))>;

template <class Batch, class F>
class MakerOf : public BatchMaker {
 public:
  explicit MakerOf(F f) : f_(std::move(f)) {}
  std::shared_ptr<void> slots(std::size_t n) const override { return std::make_shared<std::optional<Batch>[]>(n); }
  void make(Rows rows, Rng& rng, void* slots, std::size_t i) const override {
    static_cast<std::optional<Batch>*>(slots)[i].emplace(call_collate(f_, rows, rng));
  }
  void move(void* slots, std::size_t i, void* to) const override {
    auto& from = static_cast<std::optional<Batch>*>(slots)[i];
    static_cast<std::optional<Batch>*>(to)->emplace(std::move(*from));
    from.reset();
  }

 private:
  F f_;
};

template <class Batch, class F>
std::shared_ptr<const BatchMaker> maker_of(F f) {
  return std::make_shared<const MakerOf<Batch, F>>(std::move(f));
}

}  // namespace wengert::detail

namespace wengert::data {

/// Mini-batches, epoch after epoch, whose place is a value that files keep:
///
///   struct Training {
///     Mlp model;
///     optim::Adam<Mlp> adam{model};
///     data::Loader<> batches{data::digits(), {.size = 64, .seed = 1, .prefetch = 2}};
///   } training;
///   files.load_latest(training);                             // goes on in the middle of an epoch
///   while (training.batches.epoch() < 20) {
///     for (auto& [x, y] : training.batches) ...              // what is left of this epoch
///   }
///
/// The order of an epoch depends on the seed and the epoch only, so a training that was saved between two batches goes
/// on with the very batches that would have come. Copies are loaders of their own at the same place.
///
/// Data of your own needs its number of rows and a function that makes a batch of some of them: f(Rows) or
/// f(Rows, Rng&). It is called on another thread when batches are made ahead, never on two threads at once, except by
/// copies of the loader. The generator is another one for each batch, and the same for the same batch:
///
///   data::Loader words{count, [=](data::Rows rows) { return Sentences(...); }, {.size = 16}};
///   data::Loader images{train, [](data::Dataset b, Rng& rng) { b.x = data::random_flip(b.x, rng); return b; }};
///
/// What f throws comes out of the loop or of next(), with the place unchanged. With `prefetch`, batches are the same;
/// their thread uses one core, begins with the first batch that is asked for, and ends with the loader, which waits for
/// the batch that is being made. A loader itself belongs to one thread.
template <class Batch = Dataset>
class Loader {
 public:
  /// ValueError unless size >= 1 and prefetch >= 0; ShapeError when x and y differ in their rows.
  explicit Loader(const Dataset& data, LoaderOptions options = {}, Where where = Where::current())
      requires std::same_as<Batch, Dataset>
      : Loader(detail::checked_rows("loader", data, where), [](Dataset batch) { return batch; }, options, where) {}
  /// The rows of a data set, and what f(Dataset) or f(Dataset, Rng&) makes of each batch.
  template <class F>
  requires(!std::convertible_to<F, LoaderOptions>)
  Loader(const Dataset& data, F f, LoaderOptions options = {}, Where where = Where::current())
      : Loader(
            data.x.defined() ? data.size() : 0,
            [all = detail::checked_rows("loader", data, where), f = std::move(f)](Rows rows, Rng& rng) -> Batch {
              return detail::call_transform(f, detail::take_checked(all, rows), rng);
            },
            options, where) {}
  /// Whatever f(Rows) or f(Rows, Rng&) makes of the rows 0, ..., rows - 1.
  template <class F>
  requires(!std::convertible_to<F, LoaderOptions>)
  Loader(std::int64_t rows, F f, LoaderOptions options = {}, Where where = Where::current())
      : state_(rows, detail::maker_of<Batch>(std::move(f)), options, where) {}

  /// Batches of an epoch.
  std::int64_t size() const { return state_.batches(); }
  /// Rows of the data.
  std::int64_t rows() const { return state_.rows(); }

  /// The next batch of this epoch; none at its end, and then the next epoch begins. ValueError when a place was loaded
  /// that was kept for another number of rows or another size of batches.
  std::optional<Batch> next(Where where = Where::current()) {
    std::optional<Batch> batch;
    state_.next(&batch, where);
    return batch;
  }

  /// Epochs that are over, and batches of the present one that were handed out. In the body of a loop the latter counts
  /// the batch that is in hand: saved there, the next one follows.
  std::int64_t epoch() const { return state_.epoch(); }
  std::int64_t position() const { return state_.batch(); }
  std::uint64_t seed() const { return state_.seed(); }
  /// Goes to another place. ValueError unless epoch >= 0 and 0 <= position <= size().
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
      batch_.reset();  // its memory is free for the next one
      batch_ = of_->next();
      return *this;
    }
    bool operator==(End) const { return !batch_; }

   private:
    Loader* of_;
    std::optional<Batch> batch_;
  };
  /// The rest of this epoch. After a `break` the next loop goes on behind the last batch.
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
