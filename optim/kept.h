#pragma once

#include "wengert/autodiff/model/model.h"

namespace wengert::optim {

/// A number that files keep: reads and writes like T, and is a tensor of one element for save() and load().
template <Element T>
class Kept {
 public:
  Kept(T value = T()) : tensor(zeros({}, dtype_of<T>)) { *this = value; }
  Kept(const Kept&) = default;
  Kept& operator=(const Kept&) = default;
  Kept& operator=(T value) {
    tensor.template write<T>()[0] = value;
    return *this;
  }
  operator T() const { return tensor.template read<T>()[0]; }

  static auto members(auto& self) { return fields(field("value", self.tensor)); }

  Buffer tensor;
};

}  // namespace wengert::optim
