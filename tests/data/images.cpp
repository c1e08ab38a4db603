#include "wengert/data/images.h"

#include "files.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/data/loader.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

using namespace wengert;

namespace {

// Numbers that 8 bits hold.
Tensor picture(const Shape& shape) {
  Rng rng{1};
  return to(rng.integers(shape, 0, 256), float32) * (1.f / 255);
}

double difference(const Tensor& a, const Tensor& b) { return amax(abs(a - b)).item(); }

// Is there a libpng to read with?
bool reads() {
  const TemporaryFolder folder;
  data::write_png(folder / "x.png", ones({1, 1}));
  try {
    data::read_png(folder / "x.png");
  } catch (const FileError& e) {
    return std::string(e.what()).find("without libpng") == std::string::npos;
  }
  return true;
}

}  // namespace

TEST_CASE("png: what was written is read back") {
  if (!reads()) return;
  const TemporaryFolder folder;
  for (const Shape& shape : {Shape{1, 5, 7}, Shape{3, 6, 4}, Shape{4, 3, 9}}) {
    const Tensor x = picture(shape);
    data::write_png(folder / "x.png", x);
    const Tensor y = data::read_png(folder / "x.png");
    CHECK(y.shape() == shape);
    CHECK(difference(x, y) < 1e-6);
  }
  data::write_png(folder / "x.png", tensor({{-1, 0.5}, {2, std::nan("")}}, float64));
  CHECK(data::read_png(folder / "x.png").to_vector<float>() == std::vector<float>{0, 128 / 255.f, 1, 0});
  data::write_png(folder / "x.png", tensor({{-1, 1}}), {.low = -1, .high = 1});
  CHECK(data::read_png(folder / "x.png").to_vector<float>() == std::vector<float>{0, 1});
}

TEST_CASE("png: channels are converted, and opacity is cut off or added") {
  if (!reads()) return;
  const TemporaryFolder folder;
  const Tensor x = picture({4, 3, 5});
  data::write_png(folder / "x.png", x);
  CHECK(difference(data::read_png(folder / "x.png", 3), narrow(x, 0, 0, 3)) < 1e-6);
  data::write_png(folder / "x.png", narrow(x, 0, 0, 1));
  CHECK(difference(data::read_png(folder / "x.png", 3), expand(narrow(x, 0, 0, 1), {3, 3, 5})) < 1e-6);
  CHECK(amin(select(data::read_png(folder / "x.png", 2), 0, 1)).item() == 1);
  CHECK_THROWS_AS(data::read_png(folder / "x.png", 5), ValueError);
}

TEST_CASE("png: several images make a grid") {
  if (!reads()) return;
  const TemporaryFolder folder;
  const Tensor x = picture({5, 1, 4, 3});
  data::write_png(folder / "x.png", x, {.gap = 2});
  const Tensor y = data::read_png(folder / "x.png");  // three columns, two rows
  CHECK(y.shape() == Shape{1, 10, 13});
  CHECK(difference(narrow(narrow(y, 1, 6, 4), 2, 5, 3), select(x, 0, 4)) < 1e-6);
  CHECK(amax(narrow(y, 2, 3, 2)).item() == 0);
  data::write_png(folder / "x.png", x, {.columns = 5, .gap = 0});
  CHECK(data::read_png(folder / "x.png").shape() == Shape{1, 4, 15});
}

TEST_CASE("png: what is no picture is not written") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(data::write_png(folder / "x.png", ones({2, 3, 3})), ShapeError);
  CHECK_THROWS_AS(data::write_png(folder / "x.png", ones({0, 3})), ShapeError);
  CHECK_THROWS_AS(data::write_png(folder / "x.png", arange(3)), TypeError);
  CHECK_THROWS_AS(data::write_png(folder / "x.png", ones({3, 3}), {.low = 1}), ValueError);
  CHECK_THROWS_AS(data::write_png(folder / "none/x.png", ones({3, 3})), FileError);
  CHECK(folder.entries() == 0);
}

TEST_CASE("png: broken files are errors and take no memory for what they promise") {
  if (!reads()) return;
  const TemporaryFolder folder;
  const std::string path = folder / "x.png";
  data::write_png(path, picture({3, 40, 30}));
  const std::string good = read_bytes(path);
  const auto complaint = [&](const std::string& bytes) -> std::string {
    write_bytes(path, bytes);
    try {
      data::read_png(path);
    } catch (const FileError& e) {
      return e.what();
    }
    return "";
  };
  CHECK(complaint(good.substr(0, 20)).find("too few for a PNG file") != std::string::npos);
  CHECK(complaint("no PNG file" + good).find("does not begin as a PNG") != std::string::npos);
  CHECK(complaint(good.substr(0, good.size() / 2)).find("broken") != std::string::npos);
  std::string large = good;
  large[16] = large[20] = 0x7f;
  CHECK(complaint(large).find("pixels; 1 to") != std::string::npos);
  large = good, large[18] = large[22] = 0x1f;
  CHECK(complaint(large).find("truncated") != std::string::npos);
  // Whatever byte is wrong, it is an image or an error.
  for (std::size_t i = 8; i < good.size(); i += i < 80 ? 1 : 37) {
    std::string odd = good;
    odd[i] = static_cast<char>(odd[i] ^ 0x55);
    complaint(odd);
  }
}

TEST_CASE("image_folder: classes are folders, and a loader deals their images") {
  const TemporaryFolder folder;
  for (const char* name : {"dog", "cat", ".hidden"}) std::filesystem::create_directory(folder / name);
  for (int i = 0; i < 3; ++i) data::write_png((folder / "dog/") + std::to_string(i) + ".png", full({2, 3}, i / 255.));
  data::write_png(folder / "cat/a.PNG", full({2, 3}, 1));
  write_bytes(folder / "cat/readme.txt", "no image");
  const data::ImageFolder images = data::image_folder(folder / "", 1);
  CHECK(images.classes == std::vector<std::string>{"cat", "dog"});
  CHECK(images.labels == std::vector<std::int64_t>{0, 1, 1, 1});
  CHECK(images.size() == 4);
  CHECK_THROWS_AS(data::image_folder(folder / "cat"), FileError);
  CHECK_THROWS_AS(data::image_folder(folder / "bird"), FileError);
  if (!reads()) return;
  data::Loader loader(images.size(), images, {.batch_size = 4, .shuffle = false, .prefetch = 1});
  const auto batch = *loader.next();
  CHECK(batch.x.shape() == Shape{4, 1, 2, 3});
  CHECK(select(select(batch.x, 2, 0), 2, 0).to_vector<float>() == std::vector<float>{1, 0, 1 / 255.f, 2 / 255.f});
  CHECK(batch.y.to_vector<std::int64_t>() == images.labels);
  data::write_png(folder / "dog/1.png", ones({3, 2}));
  loader.seek(0);
  CHECK_THROWS_WITH_AS(loader.next(), doctest::Contains("expected an image of the batch's shape [1, 2, 3]"), FileError);
}
