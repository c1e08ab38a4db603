#include "../files.h"
#include "wengert/data/data.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace wengert;

namespace {

// n images of 2 x 2 pixels, all of the same grey in each, and their labels.
void write_images(const TemporaryFolder& folder, const std::string& which, int n, int labels, int first_label = 0) {
  std::string x{"\0\0\x08\3\0\0\0", 7}, y{"\0\0\x08\1\0\0\0", 7};
  x += static_cast<char>(n), y += static_cast<char>(labels);
  x += std::string("\0\0\0\2\0\0\0\2", 8);
  for (int i = 0; i < n; ++i) x += std::string(4, static_cast<char>(i * 51));
  for (int i = 0; i < labels; ++i) y += static_cast<char>(i + first_label);
  write_bytes(folder / (which + "-images-idx3-ubyte"), x);
  write_bytes(folder / (which + "-labels-idx1-ubyte"), y);
}

}  // namespace

TEST_CASE("digits: 1797 images with pixels from 0 to 1, each digit about 180 times") {
  const auto [x, y] = data::digits();
  CHECK(x.shape() == Shape{1797, 64});
  CHECK(y.shape() == Shape{1797});
  const auto pixels = x.read<float>();
  const auto [low, high] = std::minmax_element(pixels.begin(), pixels.end());
  CHECK(*low == 0);
  CHECK(*high == 1);
  CHECK(pixels[2] == 5. / 16);
  std::vector<int> count(10);
  for (auto label : y.read<std::int64_t>()) ++count.at(static_cast<std::size_t>(label));
  CHECK(count == std::vector<int>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180});
}

TEST_CASE("mnist: training and test files, pixels from 0 to 1") {
  TemporaryFolder folder;
  write_images(folder, "train", 5, 5);
  write_images(folder, "t10k", 2, 2, 8);
  const auto [train, test] = data::mnist(folder / "");
  CHECK(train.x.shape() == Shape{5, 4});
  CHECK(test.size() == 2);
  CHECK(train.x.to_vector<float>()[4] == doctest::Approx(0.2));
  CHECK(test.y.to_vector<std::int64_t>() == std::vector<std::int64_t>{8, 9});
}

TEST_CASE("mnist: with the test files alone, the first 85 % train and the rest test") {
  TemporaryFolder folder;
  write_images(folder, "t10k", 5, 5);
  const auto [train, test] = data::mnist(folder / "");
  CHECK(train.size() == 4);
  CHECK(test.y.to_vector<std::int64_t>() == std::vector<std::int64_t>{4});
}

TEST_CASE("mnist: absent files, labels out of range and files that do not belong together are named") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(data::mnist(folder / ""), doctest::Contains("there is no t10k-images-idx3-ubyte here"),
                       FileError);
  write_images(folder, "t10k", 5, 5, 6);
  CHECK_THROWS_WITH_AS(data::mnist(folder / ""), doctest::Contains("label 10 of row 4; the digits are 0 to 9"),
                       FileError);
  write_images(folder, "t10k", 5, 4);
  CHECK_THROWS_WITH_AS(data::mnist(folder / ""), doctest::Contains("one label for each of 5 images, found [4]"),
                       FileError);
  write_bytes(folder / "t10k-images-idx3-ubyte", read_bytes(folder / "t10k-labels-idx1-ubyte"));
  CHECK_THROWS_WITH_AS(data::mnist(folder / ""), doctest::Contains("expected images [n, height, width], found [4]"),
                       FileError);
}
