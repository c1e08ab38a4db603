#pragma once

#include "wengert/autodiff/base/export.h"

#include <source_location>
#include <stdexcept>
#include <string>

namespace wengert {

/// A place in the user's source: one pointer on GCC and Clang.
using Where = std::source_location;

/// Base of everything the library throws. The message has one form: operator, what was needed, what came,
/// the likely cure, and the file and line of the user's call.
class WENGERT_API Error : public std::runtime_error {
 public:
  Error(const std::string& what, Where where);
  Where where() const noexcept { return where_; }

 private:
  Where where_;
};

#define WENGERT_ERROR(Name)               \
  class WENGERT_API Name : public Error { \
   public:                                \
    using Error::Error;                   \
  }
WENGERT_ERROR(ShapeError);  ///< sizes or ranks that do not fit
WENGERT_ERROR(TypeError);   ///< a dtype that the operator does not take
WENGERT_ERROR(ValueError);  ///< a number outside its domain: an axis, a label, a learning rate
WENGERT_ERROR(GraphError);  ///< the tape cannot do this: not recorded, already released, changed in place
WENGERT_ERROR(FileError);   ///< a file that is absent, truncated, hostile or cannot be written
#undef WENGERT_ERROR

}  // namespace wengert
