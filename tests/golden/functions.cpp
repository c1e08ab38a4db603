// The composite functions of autograd.json.

#include "golden.h"

namespace golden {

void add_functions(Table&) {}

}  // namespace golden
