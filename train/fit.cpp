#include "wengert/train/fit.h"

#include "wengert/autodiff/base/fail.h"

#include <chrono>
#include <cmath>

namespace wengert::train::detail {

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> column_names(std::vector<std::string> metrics) {
  std::vector<std::string> all{"epoch", "step", "seconds", "lr", "loss"};
  all.insert(all.end(), metrics.begin(), metrics.end());
  return all;
}

}  // namespace

struct TrainingRun::State {
  History history;
  FitEvent now{.gradient_norm = unknown, .lr = unknown, .seconds_left = unknown, .history = history};
  Progress own = {}, *position;
  std::vector<FitCallback> callbacks;
  bool allow_nonfinite, stopped = false;
  Where where;

  Clock::time_point start = Clock::now(), epoch_start = start;
  std::int64_t steps_here = 0;  // in this call of fit()
  double sum = 0;               // of the loss over the rows of this epoch

  void notify() {
    now.seconds = seconds_since(start);
    // The estimate takes all epochs to be as long as this one.
    const auto all = now.batches * (now.epochs - now.epoch) + std::max<std::int64_t>(now.batches - now.batch, 0);
    const bool known = now.batches > 0 && steps_here > 0;
    now.seconds_left = known ? now.seconds / static_cast<double>(steps_here) * static_cast<double>(all) : unknown;
    for (const FitCallback& call : callbacks) stopped |= call(now);
  }
};

TrainingRun::TrainingRun(std::int64_t epochs, double clip_norm, bool allow_nonfinite, Progress* position,
                         std::vector<FitCallback> callbacks, std::vector<std::string> metrics, Where where)
    : state_(new State{.history = History(column_names(metrics)),
                       .position = position,
                       .callbacks = std::move(callbacks),
                       .allow_nonfinite = allow_nonfinite,
                       .where = where}) {
  State& s = *state_;
  if (epochs < 0) fail<ValueError>(where, "fit: epochs must be >= 0, got {}", epochs);
  if (!(clip_norm >= 0)) fail<ValueError>(where, "fit: clip_norm must be >= 0, got {}", clip_norm);
  const auto& columns = s.history.columns;
  for (auto a = columns.begin(); a != columns.end(); ++a)
    for (auto b = columns.begin(); b != a; ++b)
      if (a->name == b->name)
        fail<ValueError>(where, "fit: '{}' is the name of two columns of the history; give the metric another name",
                         a->name);
  if (!s.position) s.position = &s.own;
  s.now.epochs = epochs, s.now.epoch = s.position->epoch, s.now.step = s.position->step;
}
TrainingRun::~TrainingRun() = default;

bool TrainingRun::next_epoch() { return !state_->stopped && state_->position->epoch < state_->now.epochs; }

void TrainingRun::begin_epoch(std::int64_t batches) {
  State& s = *state_;
  // A range without size() is taken to be as long as in the epoch before.
  s.now.batches = batches > 0 ? batches : s.now.batch;
  s.now.epoch = s.position->epoch + 1, s.now.batch = 0, s.now.rows = 0, s.now.loss = 0;
  s.sum = 0, s.epoch_start = Clock::now();
}

std::int64_t TrainingRun::step() const { return state_->position->step; }
bool TrainingRun::stopped() const { return state_->stopped; }

void TrainingRun::check_loss(double loss) const {
  const State& s = *state_;
  if (std::isfinite(loss) || s.allow_nonfinite) return;
  fail<ValueError>(s.where,
                   "fit: the loss is {} in batch {} of epoch {}, step {}; lower the rate, set clip_norm, or see with a "
                   "NonFinite where it comes from",
                   loss, s.now.batch + 1, s.now.epoch, s.now.step + 1);
}

void TrainingRun::after_step(double loss, std::int64_t rows, double norm, double lr) {
  State& s = *state_;
  s.position->step = s.now.step = s.now.step + 1;
  ++s.now.batch, ++s.steps_here, s.now.rows += rows, s.sum += loss * static_cast<double>(rows);
  s.now.batch_loss = loss, s.now.loss = s.sum / static_cast<double>(s.now.rows);
  s.now.gradient_norm = norm, s.now.lr = lr;
  s.now.rows_per_second = static_cast<double>(s.now.rows) / std::max(seconds_since(s.epoch_start), 1e-9);
  s.notify();
}

void TrainingRun::after_epoch(const std::vector<double>& validation) {
  State& s = *state_;
  // A state saved after the last batch of an epoch, but before its end, has no batches left in the epoch.
  const bool resumed = s.steps_here == 0 && s.now.step > 0;
  if (s.now.batch == 0 && !resumed)
    fail<ValueError>(s.where,
                     "fit: epoch {} has no batches; a range that can be passed once only has to be made for each "
                     "epoch, by a function: [&] {{ return data::batches(...); }}",
                     s.now.epoch);
  s.position->epoch = s.now.epoch;
  std::vector<double> row{static_cast<double>(s.now.epoch), static_cast<double>(s.now.step), seconds_since(s.start),
                          s.now.lr, s.now.loss};
  row.insert(row.end(), validation.begin(), validation.end());
  s.history.add(row);
  s.now.batches = s.now.batch, s.now.end_of_epoch = true;
  s.notify();
  s.now.end_of_epoch = false;
}

History TrainingRun::finish() {
  State& s = *state_;
  s.now.end = true;
  s.notify();
  return std::move(s.history);
}

}  // namespace wengert::train::detail
