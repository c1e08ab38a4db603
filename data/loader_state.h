#pragma once

// For authors of loaders: the machinery behind data::Loader. Programs include data/loader.h.

#include "wengert/autodiff/base/hidden.h"
#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/data/dataset.h"

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace wengert::data {
struct LoaderOptions;
}

namespace wengert::detail {

using data::Dataset;
using data::Rows;

/// Makes batches of one type. A slot is a std::optional of that type.
class WENGERT_API BatchMaker {
 public:
  virtual ~BatchMaker();
  virtual std::shared_ptr<void> slots(std::size_t n) const = 0;
  virtual void make(Rows, Rng&, void* slots, std::size_t i) const = 0;
  virtual void move(void* slots, std::size_t i, void* to) const = 0;
};

/// The part of all loaders that does not depend on the type of batches: the position in the data, and the thread.
class WENGERT_API LoaderState {
 public:
  LoaderState(std::int64_t rows, std::shared_ptr<const BatchMaker>, const data::LoaderOptions&, Where);
  LoaderState(const LoaderState&);
  LoaderState(LoaderState&&) noexcept;
  LoaderState& operator=(LoaderState) noexcept;
  ~LoaderState();

  std::int64_t rows() const { return rows_; }
  std::int64_t batches() const;
  /// Fills the slot with the next batch. At the end of an epoch leaves it empty and begins the next epoch.
  void next(void* slot, Where);
  std::uint64_t seed() const { return static_cast<std::uint64_t>(number(0)); }
  std::int64_t epoch() const { return number(1); }
  std::int64_t batch() const { return number(2); }
  void seek(std::int64_t epoch, std::int64_t batch, Where);

  Buffer place;  // int64 [5]: seed, epoch, batch; rows and batch_size for which they are valid

 private:
  struct Engine;
  std::int64_t number(std::size_t i) const { return place.read<std::int64_t>()[i]; }
  void go_to(std::int64_t epoch, std::int64_t batch);
  void check_place(Where) const;

  bool shuffle_, drop_last_;
  std::int64_t rows_, batch_size_, prefetch_;
  std::shared_ptr<const BatchMaker> maker_;
  Hidden<Engine> engine_;  // made for the first batch
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
