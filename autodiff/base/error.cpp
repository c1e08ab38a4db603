#include "wengert/autodiff/base/fail.h"

namespace wengert {

std::string short_place(Where where) {
  const std::string_view file = where.file_name();
  return fmt::format("{}:{}", file.substr(file.rfind('/') + 1), where.line());
}

Error::Error(const std::string& what, Where where)
    : std::runtime_error(where.line() ? fmt::format("{}\n  at {}:{}", what, where.file_name(), where.line()) : what),
      where_(where) {}

}  // namespace wengert
