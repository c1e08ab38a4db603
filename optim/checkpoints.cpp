#include "wengert/optim/checkpoints.h"

#include "wengert/autodiff/base/fail.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

namespace wengert::optim {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view begin = "step-", end = ".safetensors";
}

Checkpoints::Checkpoints(std::string folder, CheckpointOptions options, Where where)
    : folder_(std::move(folder)), options_(options), best_(std::nan("")) {
  if (options_.keep < 1) fail<ValueError>(where, "checkpoints: keep must be >= 1, got {}", options_.keep);
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) fail<FileError>(where, "checkpoints: {}: cannot be made: {}", folder_, error.message());
  if (!has_best()) return;
  const auto kept = load_tensors(best_path(), where).metadata;
  if (const auto value = kept.find("value"); value != kept.end()) best_ = std::strtod(value->second.c_str(), nullptr);
}

std::string Checkpoints::path(std::int64_t step) const {
  return (fs::path(folder_) / fmt::format("{}{:08}{}", begin, step, end)).string();
}
std::string Checkpoints::best_path() const { return (fs::path(folder_) / "best.safetensors").string(); }

std::vector<std::int64_t> Checkpoints::steps() const {
  std::vector<std::int64_t> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = 0;
    const char *from = name.data() + begin.size(), *to = name.data() + name.size() - end.size();
    if (!name.starts_with(begin) || !name.ends_with(end) || from >= to) continue;
    if (const auto read = std::from_chars(from, to, step); read.ec == std::errc() && read.ptr == to)
      all.push_back(step);
  }
  std::ranges::sort(all);
  return all;
}

Metadata Checkpoints::metadata(std::int64_t step, double value) {
  return {{"step", std::to_string(step)}, {"value", fmt::format("{}", value)}};
}

bool Checkpoints::is_best(double value) const {
  if (!options_.best || std::isnan(value)) return false;
  return std::isnan(best_) || (options_.maximize ? value > best_ : value < best_);
}
bool Checkpoints::has_best() const { return fs::exists(best_path()); }

void Checkpoints::forget_old() const {
  const auto all = steps();
  std::error_code error;  // a file that cannot be removed does no harm
  for (std::size_t i = 0; i + static_cast<std::size_t>(options_.keep) < all.size(); ++i)
    fs::remove(path(all[i]), error);
}

}  // namespace wengert::optim
