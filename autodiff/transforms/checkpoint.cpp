#include "wengert/autodiff/transforms/checkpoint.h"

#include "wengert/autodiff/transforms/replay.h"

namespace wengert::detail {

FirstRun::FirstRun(std::shared_ptr<const Recipe> recipe) : run_(RecordedRun::start(std::move(recipe))) {}
FirstRun::~FirstRun() { run_->release(); }
void FirstRun::finish(const std::vector<Tensor>& results) { run_->finish(results); }

}  // namespace wengert::detail
