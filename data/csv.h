#pragma once

// Internal: parser of numbers in text.

#include "wengert/data/data.h"
#include "wengert/data/input.h"

namespace wengert::data {

Tensor parse_csv(const detail::FileTask&, Input&, const CsvOptions&);

}  // namespace wengert::data
