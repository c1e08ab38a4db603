#pragma once

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/random.h"

namespace wengert::optim {

/// A value that save() and load() see: reads and writes like T, and is a tensor of one element in a file.
template <class T>
class Stored {
  static_assert(Element<T>, "wengert: Stored holds an element of a tensor, such as double or std::int64_t, or an Rng");

 public:
  Stored(T value = T()) : tensor(zeros({}, dtype_of<T>)) { *this = value; }
  Stored(const Stored&) = default;
  Stored& operator=(const Stored&) = default;
  Stored& operator=(T value) {
    tensor.template write<T>()[0] = value;
    return *this;
  }
  operator T() const { return tensor.template read<T>()[0]; }

  static auto members(auto& self) { return fields(field("value", self.tensor)); }

  Buffer tensor;
};

/// A generator of random numbers that save() and load() see. Values are drawn from a borrowed generator:
///
///   auto rng = training.rng.borrow();
///   x = rng.normal({8});
template <>
class Stored<Rng> {
 public:
  Stored(const Rng& rng = {}) : tensor(zeros({2}, int64)) { *this = rng; }
  Stored(const Stored&) = default;
  Stored& operator=(const Stored&) = default;
  Stored& operator=(const Rng& rng) {
    const auto n = tensor.write<std::int64_t>();
    n[0] = static_cast<std::int64_t>(rng.seed), n[1] = static_cast<std::int64_t>(rng.counter);
    return *this;
  }
  operator Rng() const {
    const auto n = tensor.read<std::int64_t>();
    return {static_cast<std::uint64_t>(n[0]), static_cast<std::uint64_t>(n[1])};
  }

  /// A generator that stores its position when its scope ends.
  class Borrowed : public Rng {
   public:
    explicit Borrowed(Stored& from) : Rng(from), from_(from) {}
    ~Borrowed() { from_ = static_cast<const Rng&>(*this); }
    Borrowed(const Borrowed&) = delete;

   private:
    Stored& from_;
  };
  Borrowed borrow() { return Borrowed(*this); }

  static auto members(auto& self) { return fields(field("seed_and_counter", self.tensor)); }

  Buffer tensor;
};

}  // namespace wengert::optim
