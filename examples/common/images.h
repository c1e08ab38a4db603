#pragma once

// Handwritten digits for the examples: small ones embedded in the library, or MNIST from a folder.

#include <wengert/data/data.h>
#include <wengert/wengert.h>

#include <string>

namespace common {

/// Four fifths of the embedded 8 x 8 digits to train on and the others for the test, always the same; or MNIST, when
/// there is a folder of idx files.
inline wengert::data::Split digits_or_mnist(const std::string& folder) {
  wengert::Rng fixed{2024};
  return folder.empty() ? wengert::data::split(wengert::data::digits(), {.test = 0.2, .shuffle = fixed})
                        : wengert::data::mnist(folder);
}

}  // namespace common
