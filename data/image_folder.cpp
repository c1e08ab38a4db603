#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/file.h"
#include "wengert/data/images.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace wengert::data {

namespace fs = std::filesystem;
using detail::FileTask;

namespace {

// Names of the entries that satisfy a condition, in alphabetical order.
template <class F>
std::vector<std::string> entries(const FileTask& task, const fs::path& folder, F&& wanted) {
  std::vector<std::string> all;
  std::error_code error;
  fs::directory_iterator at(folder, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error))
    if (wanted(*at)) all.push_back(at->path().filename().string());
  if (error) task.fail("{} cannot be listed: {}", folder.string(), error.message());
  std::sort(all.begin(), all.end());
  return all;
}

bool is_folder(const fs::directory_entry& e) {
  std::error_code error;
  return e.is_directory(error) && !e.path().filename().string().starts_with('.');
}
bool is_png(const fs::directory_entry& e) {
  std::error_code error;
  std::string ending = e.path().extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ending == ".png" && e.is_regular_file(error);
}

}  // namespace

ImageFolder image_folder(const std::string& folder, int channels, Where where) {
  const FileTask task{"image_folder", folder, where};
  ImageFolder found{.classes = entries(task, folder, is_folder), .channels = channels};
  for (std::size_t k = 0; k < found.classes.size(); ++k)
    for (auto& name : entries(task, fs::path(folder) / found.classes[k], is_png)) {
      found.files.push_back((fs::path(folder) / found.classes[k] / name).string());
      found.labels.push_back(static_cast<std::int64_t>(k));
    }
  if (found.files.empty()) task.fail("there are no images here; expected folders named by classes, with *.png in them");
  return found;
}

Dataset ImageFolder::operator()(Rows rows) const {
  const Where where = Where::current();
  Dataset d;
  std::vector<std::int64_t> classes_of_rows;
  std::size_t done = 0;
  for (const auto row : rows) {
    if (row < 0 || row >= size())
      fail<ValueError>(where, "image_folder: there is no row {}; there are {}", row, size());
    const std::string& file = files[static_cast<std::size_t>(row)];
    const Tensor image = read_png(file, channels, where);
    if (!d.x.defined()) {
      const Shape& s = image.shape();
      d.x = empty({static_cast<std::int64_t>(rows.size()), s[0], s[1], s[2]});
    }
    if (image.numel() * static_cast<std::int64_t>(rows.size()) != d.x.numel() || image.size(0) != d.x.size(1) ||
        image.size(1) != d.x.size(2))
      FileTask{"image_folder", file, where}.fail("expected an image of the batch's shape {}, found {}",
                                                 to_string(Shape{d.x.size(1), d.x.size(2), d.x.size(3)}),
                                                 to_string(image.shape()));
    std::memcpy(wengert::detail::fresh<float>(d.x) + done, image.read<float>().data(),
                image.read<float>().size_bytes());
    done += static_cast<std::size_t>(image.numel());
    classes_of_rows.push_back(labels[static_cast<std::size_t>(row)]);
  }
  d.y = from(classes_of_rows, {static_cast<std::int64_t>(rows.size())});
  return d;
}

}  // namespace wengert::data
