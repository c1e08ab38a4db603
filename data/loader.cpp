#include "wengert/data/loader.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/parallel.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace wengert::detail {
namespace {

/// The identity of a batch: everything that it depends on.
struct Place {
  std::uint64_t seed = 0;
  std::int64_t epoch = 0, batch = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

/// Each epoch has its own generator, split from that of the seed. Its first blocks give the order of the rows, and blocks
/// that no permutation reaches give one generator for each batch.
Rng of_epoch(std::uint64_t seed, std::int64_t epoch) { return Rng{seed, static_cast<std::uint64_t>(epoch)}.split(); }
Rng of_batch(const Place& p) {
  constexpr auto far = std::uint64_t{1} << 62;
  return Rng{of_epoch(p.seed, p.epoch).seed, far + static_cast<std::uint64_t>(p.batch)}.split();
}

/// Makes any batch, and caches the order of the latest epoch.
class Dealer {
 public:
  Dealer(std::int64_t rows, std::int64_t batch_size, bool shuffle, std::shared_ptr<const BatchMaker> maker)
      : rows_(rows), size_(batch_size), shuffle_(shuffle), maker_(std::move(maker)) {}

  void make(const Place& p, void* slots, std::size_t i) {
    order_of(p);
    const std::int64_t begin = p.batch * size_, n = std::min(size_, rows_ - begin);
    const Rows rows = order_.read<std::int64_t>().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(n));
    Rng rng = of_batch(p);
    maker_->make(rows, rng, slots, i);
  }
  const BatchMaker& maker() const { return *maker_; }

 private:
  void order_of(const Place& p) {
    if (order_.defined() && (!shuffle_ || (seed_ == p.seed && epoch_ == p.epoch))) return;
    order_ = Tensor();  // frees memory for the next order
    order_ = shuffle_ ? of_epoch(p.seed, p.epoch).permutation(rows_) : arange(rows_);
    seed_ = p.seed, epoch_ = p.epoch;
  }

  std::int64_t rows_, size_;
  bool shuffle_;
  std::shared_ptr<const BatchMaker> maker_;
  Tensor order_;
  std::uint64_t seed_ = 0;
  std::int64_t epoch_ = 0;
};

}  // namespace

/// Makes batches ahead on a thread, in the order of their use. The thread works while fewer than `limit` batches are
/// ready.
class Prefetcher {
 public:
  Prefetcher(Dealer dealer, std::int64_t batches, std::size_t limit, const Place& first)
      : dealer_(std::move(dealer)),
        batches_(batches),
        limit_(limit),
        slots_(dealer_.maker().slots(limit)),
        wanted_(first),
        next_(first),
        thread_([this] { run(); }) {}
  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    room_.notify_one();
    thread_.join();
  }
  Prefetcher(const Prefetcher&) = delete;

  /// Waits for the batch at this place and moves it out. A place other than the next one restarts the thread's work there.
  void take(const Place& place, void* to) {
    std::unique_lock lock(mutex_);
    if (!(place == wanted_)) start_at(place);
    came_.wait(lock, [&] { return !ready_.empty(); });
    const Made made = std::move(ready_.front());
    ready_.pop_front();
    wanted_ = after(place);
    if (!made.error) dealer_.maker().move(slots_.get(), made.slot, to);
    lock.unlock();
    room_.notify_one();
    if (made.error) std::rethrow_exception(made.error);
  }

 private:
  struct Made {
    std::size_t slot;
    std::exception_ptr error;
  };

  Place after(Place p) const {
    if (++p.batch == batches_) ++p.epoch, p.batch = 0;
    return p;
  }
  // Drops all batches that are ready; the one in progress is dropped when it is done.
  void start_at(const Place& place) {
    ready_.clear();
    wanted_ = next_ = place, ++round_;
    room_.notify_one();
  }
  void run() {
    const kernels::SerialScope alone;
    std::unique_lock lock(mutex_);
    for (std::size_t made = 0;;) {
      room_.wait(lock, [&] { return stop_ || ready_.size() < limit_; });
      if (stop_) return;
      const Place place = next_;
      const auto round = round_;
      // Slots are filled in turn, so the next one is free when fewer than all are ready.
      const std::size_t slot = made % limit_;
      next_ = after(place);
      lock.unlock();
      std::exception_ptr error;
      try {
        dealer_.make(place, slots_.get(), slot);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (round == round_) ready_.push_back({slot, std::move(error)}), ++made, came_.notify_one();
    }
  }

  Dealer dealer_;
  const std::int64_t batches_;
  const std::size_t limit_;
  const std::shared_ptr<void> slots_;

  std::mutex mutex_;
  std::condition_variable came_, room_;
  std::deque<Made> ready_;
  Place wanted_, next_;      // next batch to take, next batch to make
  std::uint64_t round_ = 0;  // counts restarts
  bool stop_ = false;
  std::thread thread_;  // last member: it starts when all others exist
};

BatchMaker::~BatchMaker() = default;

/// Makes batches on demand, or ahead.
struct LoaderState::Engine {
  Dealer dealer;
  std::optional<Prefetcher> ahead{};
};

LoaderState::LoaderState(std::int64_t rows, std::shared_ptr<const BatchMaker> maker, const data::LoaderOptions& options,
                         Where where)
    : shuffle_(options.shuffle),
      drop_last_(options.drop_last),
      rows_(rows),
      batch_size_(options.batch_size),
      prefetch_(options.prefetch),
      maker_(std::move(maker)) {
  if (rows < 0) fail<ValueError>(where, "loader: the number of rows must be >= 0, got {}", rows);
  if (batch_size_ < 1) fail<ValueError>(where, "loader: batch_size must be >= 1, got {}", batch_size_);
  if (prefetch_ < 0) fail<ValueError>(where, "loader: prefetch must be >= 0, got {}", prefetch_);
  const std::uint64_t seed = options.shuffle.rng() ? options.shuffle.rng()->bits() : options.seed;
  place = from<std::int64_t>({static_cast<std::int64_t>(seed), 0, 0, rows, batch_size_}, {5});
}
LoaderState::LoaderState(const LoaderState& o)
    : place(o.place),
      shuffle_(o.shuffle_),
      drop_last_(o.drop_last_),
      rows_(o.rows_),
      batch_size_(o.batch_size_),
      prefetch_(o.prefetch_),
      maker_(o.maker_) {}
LoaderState::LoaderState(LoaderState&&) noexcept = default;
LoaderState& LoaderState::operator=(LoaderState o) noexcept {
  place = std::move(o.place), shuffle_ = o.shuffle_, drop_last_ = o.drop_last_;
  rows_ = o.rows_, batch_size_ = o.batch_size_, prefetch_ = o.prefetch_;
  maker_ = std::move(o.maker_), engine_ = std::move(o.engine_);
  return *this;
}
LoaderState::~LoaderState() = default;

std::int64_t LoaderState::batches() const { return rows_ / batch_size_ + (!drop_last_ && rows_ % batch_size_ != 0); }

void LoaderState::go_to(std::int64_t epoch, std::int64_t batch) {
  const auto n = place.write<std::int64_t>();
  n[1] = epoch, n[2] = batch, n[3] = rows_, n[4] = batch_size_;
}

void LoaderState::seek(std::int64_t epoch, std::int64_t batch, Where where) {
  if (epoch < 0 || batch < 0 || batch > batches())
    fail<ValueError>(where, "loader: there is no batch {} in epoch {}; an epoch has {}", batch, epoch, batches());
  go_to(epoch, batch);
}

// A file may come from another program.
void LoaderState::check_place(Where where) const {
  if (number(3) != rows_ || number(4) != batch_size_)
    fail<ValueError>(where,
                     "loader: its place was kept for batches of {} from {} rows, but it deals batches of {} from {}; "
                     "seek() goes to another place",
                     number(4), number(3), batch_size_, rows_);
  if (epoch() < 0 || batch() < 0 || batch() > batches())
    fail<ValueError>(where, "loader: its place is batch {} of epoch {}, but an epoch has {}", batch(), epoch(),
                     batches());
}

void LoaderState::next(void* slot, Where where) {
  check_place(where);
  const Place p{seed(), epoch(), batch()};
  if (p.batch == batches()) return go_to(p.epoch + 1, 0);
  if (!engine_) engine_ = Hidden(new Engine{Dealer(rows_, batch_size_, shuffle_, maker_)});
  if (prefetch_ == 0) {
    engine_->dealer.make(p, slot, 0);
  } else {
    if (!engine_->ahead) engine_->ahead.emplace(engine_->dealer, batches(), static_cast<std::size_t>(prefetch_), p);
    engine_->ahead->take(p, slot);
  }
  go_to(p.epoch, p.batch + 1);
}

}  // namespace wengert::detail
