#pragma once

#include <string>

namespace wengert::test {

/// An operator of the vocabulary that went through the harness, for docs/operators.md.
void remember_operator(const std::string& name, bool passed);

}  // namespace wengert::test
