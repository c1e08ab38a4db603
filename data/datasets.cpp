#include "wengert/autodiff/ops.h"
#include "wengert/data/csv.h"
#include "wengert/data/data.h"
#include "wengert/data/embedded.h"

#include <filesystem>
#include <optional>

namespace wengert::data {

using detail::FileTask;

namespace {

constexpr std::int64_t classes = 10;

void check_labels(const FileTask& task, const Tensor& labels) {
  const auto y = labels.read<std::int64_t>(task.where);
  for (std::size_t i = 0; i < y.size(); ++i)
    if (y[i] < 0 || y[i] >= classes) task.fail("label {} of row {}; the digits are 0 to {}", y[i], i, classes - 1);
}

// The path of the file, or of its gzip form, if one of them exists.
std::optional<std::string> find(const std::string& folder, const std::string& name) {
  for (auto* ending : {"", ".gz"})
    if (auto path = std::filesystem::path(folder) / (name + ending); std::filesystem::exists(path))
      return path.string();
  return {};
}

std::string demand(const FileTask& folder, const std::string& name) {
  if (auto path = find(folder.path, name)) return *path;
  folder.fail("there is no {} here, and no {}.gz", name, name);
}

Dataset read_images(const FileTask& folder, const std::string& which) {
  const std::string images = demand(folder, which + "-images-idx3-ubyte"),
                    labels = demand(folder, which + "-labels-idx1-ubyte");
  const Tensor x = read_idx(images, float32, folder.where), y = read_idx(labels, int64, folder.where);
  if (x.rank() != 3)
    FileTask{folder.who, images, folder.where}.fail("expected images [n, height, width], found {}", x.shape());
  const FileTask task{folder.who, labels, folder.where};
  if (y.rank() != 1 || y.size(0) != x.size(0))
    task.fail("expected one label for each of {} images, found {}", x.size(0), y.shape());
  check_labels(task, y);
  return {reshape(x, {x.size(0), x.size(1) * x.size(2)}) * (1. / 255), y};
}

}  // namespace

Dataset digits() {
  const FileTask task{"digits", "embedded data", Where::current()};
  Input input(task, {wengert_digits_csv_gz, wengert_digits_csv_gz_size});
  const Tensor table = parse_csv(task, input, {});
  return {narrow(table, 1, 0, 64) * (1. / 16), to(select(table, 1, 64), int64)};
}

Split mnist(const std::string& folder, Where where) {
  const FileTask task{"mnist", folder, where};
  Dataset test = read_images(task, "t10k");
  if (find(folder, "train-images-idx3-ubyte")) return {read_images(task, "train"), test};
  const auto rows = test.size(), train = rows * 85 / 100;
  return {{narrow(test.x, 0, 0, train), narrow(test.y, 0, 0, train)},
          {narrow(test.x, 0, train, rows - train), narrow(test.y, 0, train, rows - train)}};
}

}  // namespace wengert::data
