#include "wengert/autodiff/transforms/checkpoint.h"

#include "wengert/autodiff/transforms/region.h"

namespace wengert::detail {

FirstRun::FirstRun(std::shared_ptr<const Recipe> recipe) : region_(Region::start(std::move(recipe))) {}
FirstRun::~FirstRun() {
  region_->stop();
  region_->release();
}
void FirstRun::finish(const std::vector<Tensor>& results) { region_->finish(results); }

}  // namespace wengert::detail
