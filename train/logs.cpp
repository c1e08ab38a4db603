#include "wengert/train/logs.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/file.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace wengert::train {

namespace fs = std::filesystem;
using wengert::detail::FileTask;

// --- CSV ------------------------------------------------------------------------------------------------------------

namespace {

// Whole lines of a log whose names are `names` and whose epoch is before `epoch`.
std::string lines_before(double epoch, const std::string& names, const FileTask& task) {
  const wengert::detail::File file(task);
  std::string all(file.size(), ' '), kept;
  file.read(0, all.data(), all.size());
  std::size_t at = all.find('\n');
  if (at == all.npos || all.substr(0, at + 1) != names)
    task.fail("cannot be gone on with: its first line is {}, and the history has the columns {}",
              wengert::detail::in_quotes(all.substr(0, at)),
              wengert::detail::in_quotes(names.substr(0, names.size() - 1)));
  for (std::size_t end; (end = all.find('\n', ++at)) != all.npos; at = end) {
    double first = 0;
    const auto read = std::from_chars(all.data() + at, all.data() + end, first);
    if (read.ec == std::errc() && first < epoch) kept += all.substr(at, end + 1 - at);
  }
  return kept;
}

}  // namespace

CsvLog::CsvLog(std::string path, CsvLogOptions options, Where where)
    : path_(std::move(path)), where_(where), append_(options.append) {}

void CsvLog::operator()(const FitEvent& e) {
  if (!e.end_of_epoch) return;
  const std::string all = e.history.csv(), names = all.substr(0, all.find('\n') + 1);
  const FileTask task{"csv_log", path_, where_};
  if (append_ && fs::exists(path_)) before_ = lines_before(e.history["epoch"].front(), names, task);
  append_ = false;
  const std::string text = names + before_ + all.substr(names.size());
  const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  wengert::detail::write_atomically(task, {&bytes, 1});
}

// --- TensorBoard ----------------------------------------------------------------------------------------------------
//
// A record of the TFRecord format is its length, 8 bytes, and their checksum, the data, and their checksum; all numbers
// little-endian. The data are a protocol buffer, tensorflow.Event:
//   1: double wall_time   2: int64 step   3: string file_version   5: Summary { 1: Value { 1: string tag, 2: float } }

namespace {

// CRC-32C (Castagnoli), by bits: records are short.
std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;  // masked as the format requires
}

static_assert(std::endian::native == std::endian::little);
template <class T>
std::string raw(T x) {
  return {reinterpret_cast<const char*>(&x), sizeof x};
}
std::string varint(std::uint64_t n) {
  std::string s;
  for (; n >= 128; n >>= 7) s += static_cast<char>(n | 128);
  return s + static_cast<char>(n);
}
std::string joined(std::initializer_list<std::string_view> parts) {
  std::string s;
  for (const std::string_view part : parts) s += part;
  return s;
}
std::string nested(char tag, std::string_view content) { return joined({{&tag, 1}, varint(content.size()), content}); }
std::string record(std::string_view data) {
  const std::string length = raw<std::uint64_t>(data.size());
  return joined({length, raw(checksum(length)), data, raw(checksum(data))});
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}
std::string event(std::string_view content) { return record(joined({"\x09", raw(wall_time()), content})); }

}  // namespace

TensorBoardLog::TensorBoardLog(std::string folder, TensorBoardOptions options, Where where)
    : options_(options), where_(where) {
  if (options.every < 1) fail<ValueError>(where, "tensorboard_log: every must be >= 1, got {}", options.every);
  std::error_code error;
  fs::create_directories(folder, error);
  std::FILE* file = nullptr;
  for (int n = 0; !error && !file; ++n) {  // two logs of one process and second need different names
    path_ =
        (fs::path(folder) / fmt::format("events.out.tfevents.{:.0f}.wengert.{}.{}", wall_time(), getpid(), n)).string();
    file = std::fopen(path_.c_str(), "wbx");
    if (!file && errno != EEXIST) error = {errno, std::generic_category()};
  }
  if (!file)
    FileTask{"tensorboard_log", path_.empty() ? folder : path_, where}.fail("cannot be made: {}", error.message());
  file_ = std::shared_ptr<void>(file, [](std::FILE* f) { std::fclose(f); });
  const std::string first = event(nested(0x1a, "brain.Event:2"));
  std::fwrite(first.data(), 1, first.size(), file);
  std::fflush(file);
}

void TensorBoardLog::add(std::string_view tag, double value, std::int64_t step) {
  const std::string summary = nested(0x0a, joined({nested(0x0a, tag), "\x15", raw(static_cast<float>(value))}));
  const std::string bytes = event(joined({"\x10", varint(static_cast<std::uint64_t>(step)), nested(0x2a, summary)}));
  auto* const file = static_cast<std::FILE*>(file_.get());
  if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || std::fflush(file) != 0)
    FileTask{"tensorboard_log", path_, where_}.fail("cannot be written: {}", std::strerror(errno));
}

void TensorBoardLog::operator()(const FitEvent& e) {
  if (e.end) return;
  if (e.end_of_epoch) {
    for (const History::Column& c : e.history.columns)
      if (c.name != "epoch" && c.name != "step" && std::isfinite(c.values.back()))
        add(joined({"epoch/", c.name}), c.values.back(), e.epoch);
    return;
  }
  if (e.step % options_.every != 0) return;
  add("step/loss", e.batch_loss, e.step);
  if (std::isfinite(e.lr)) add("step/lr", e.lr, e.step);
  if (std::isfinite(e.gradient_norm)) add("step/gradient_norm", e.gradient_norm, e.step);
}

}  // namespace wengert::train
