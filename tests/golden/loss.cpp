#include "golden.h"

namespace golden {

void add_loss(Table&) {}

}  // namespace golden
