// golden [DIR] [NAME...]: runs the cases of a golden folder - operators, composite functions, optimizers, schedules,
// clipping, modules, training runs - or only those of the named operators. Ends with "golden: P passed, F failed, U
// unsupported, of T"; the status is 0 when F = 0 and T > 0. Without DIR: ../shared/golden beside the checkout if there
// is one, else the repository's own cases.

#include "golden.h"

#include <fmt/color.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace fs = std::filesystem;
using namespace golden;

namespace {

struct Count {
  int cases = 0, passed = 0, failed = 0, unsupported = 0;
  void add(const Count& c) { cases += c.cases, passed += c.passed, failed += c.failed, unsupported += c.unsupported; }
};

std::string text_of(const Json& one, const char* key) {
  return one.is_object() && one.contains(key) && one[key].is_string() ? one[key].get<std::string>() : std::string();
}

struct Runner;

// How the cases of one kind of file are run, and where they (or else the file) name what is tested.
struct Kind {
  const char* name;
  std::vector<std::string> (*run)(const Runner&, const Json& one, const Json& file, const Data&);
  const char* cases = "cases";
};
extern const std::map<std::string, Kind> kinds;

struct Runner {
  Table operators, functions;
  std::set<std::string> only, seen;  // operators
  Count total;
  std::map<std::string, std::vector<std::string>> reasons;  // why unsupported: the cases

  void run_folder(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".json" && entry.path().filename() != "manifest.json")
        files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::vector<std::string> others;
    for (const fs::path& file : files) try {
        const Json all = read_json(file.string());
        const std::string kind = all.value("kind", "");
        if (kinds.contains(kind)) run_file(file, all, kinds.at(kind));
        else others.push_back(file.stem().string());
      } catch (const std::exception& e) {  // not even its cases can be counted
        fmt::print("\nFAILED {}: {}\n", file.filename().string(), e.what());
        ++total.cases, ++total.failed;
      }
    if (!others.empty()) fmt::print("\nNot run here: {}.\n", fmt::join(others, ", "));
  }

  void run_file(const fs::path& file, const Json& all, const Kind& kind) {
    Data data;
    std::vector<std::string> messages;
    try {
      data = read_data((file.parent_path() / all.at("data").get<std::string>()).string());
    } catch (const std::exception& e) {  // the cases will fail for want of tensors
      messages.push_back(fmt::format("FAILED {}: {}", file.filename().string(), e.what()));
    }
    std::map<std::string, Count> counts;
    std::vector<std::string> order;
    for (const Json& one : all.at(kind.cases)) {
      const std::string own = text_of(one, kind.name), name = own.empty() ? text_of(all, kind.name) : own;
      if (!only.empty() && !only.contains(name)) continue;
      if (!counts.contains(name)) order.push_back(name);
      Count& count = counts[name];
      ++count.cases;
      run_case(one, name, [&] { return kind.run(*this, one, all, data); }, count, messages);
    }
    seen.insert(order.begin(), order.end());
    if (order.empty()) return;
    fmt::print("\n{:<34}{:>8}{:>8}{:>8}{:>13}\n", file.stem().string(), "cases", "passed", "failed", "unsupported");
    Count sum;
    auto line = [](const std::string& name, const Count& c) {
      auto shown = [](int n) { return n ? std::to_string(n) : std::string("."); };
      fmt::print("{:<34}{:>8}{:>8}{:>8}{:>13}\n", name, c.cases, shown(c.passed), shown(c.failed),
                 shown(c.unsupported));
    };
    for (const std::string& name : order) line("  " + name, counts[name]), sum.add(counts[name]);
    line("  = " + file.stem().string(), sum);
    for (const std::string& m : messages) fmt::print("{}\n", m);
    total.add(sum);
  }

  template <class F>
  void run_case(const Json& one, const std::string& name, F&& run, Count& count, std::vector<std::string>& messages) {
    std::string id = text_of(one, "id");
    if (id.empty()) id = name + "/" + text_of(one, "dtype");
    try {
      if (name.empty()) throw std::runtime_error("a case that does not say what it tests");
      const auto wrong = run();
      ++(wrong.empty() ? count.passed : count.failed);
      for (const std::string& w : wrong) messages.push_back(fmt::format("FAILED {}: {}", id, w));
    } catch (const Unsupported& e) {
      ++count.unsupported;
      reasons[e.what()].push_back(id);
    } catch (const std::exception& e) {
      ++count.failed;
      messages.push_back(fmt::format("FAILED {}: {}", id, e.what()));
    }
  }
};

Call row_of(const Table& table, const Json& name) {
  const auto row = table.find(name.get<std::string>());
  if (row == table.end()) throw Unsupported("no operator for " + name.get<std::string>());
  return row->second;
}

const std::map<std::string, Kind> kinds{
    {"ops",
     {"op", [](const Runner& r, const Json& one, const Json&,
               const Data& data) { return run_operator(one, data, row_of(r.operators, one["op"])); }}},
    {"autograd",
     {"function", [](const Runner& r, const Json& one, const Json&,
                     const Data& data) { return run_function(one, data, row_of(r.functions, one["function"])); }}},
    {"optim",
     {"optimizer", [](const Runner&, const Json& one, const Json& file,
                      const Data& data) { return run_optimizer(one, file, data); }}},
    {"schedulers",
     {"scheduler", [](const Runner&, const Json& one, const Json& file,
                      const Data& data) { return run_scheduler(one, file, data); }}},
    {"clip",
     {"function", [](const Runner&, const Json& one, const Json& file,
                     const Data& data) { return run_clipping(one, file, data); }}},
    {"modules",
     {"module", [](const Runner&, const Json& one, const Json&, const Data& data) { return run_module(one, data); }}},
    {"train",
     {"model",
      [](const Runner&, const Json& one, const Json& file, const Data& data) { return run_training(one, file, data); },
      "runs"}},
};

fs::path default_folder() {
  const fs::path source = GOLDEN_SOURCE, beside = source / "../shared/golden";
  return fs::exists(beside / "manifest.json") ? beside : source / "tests/golden";
}

}  // namespace

int main(int argc, char** argv) try {
  Runner runner;
  fs::path folder;
  for (int i = 1; i < argc; ++i) {
    if (fs::is_directory(argv[i])) folder = argv[i];
    else runner.only.insert(argv[i]);
  }
  if (folder.empty()) folder = default_folder();
  for (auto add : {add_unary, add_binary, add_reduce, add_shape, add_linalg, add_nn, add_conv, add_loss})
    add(runner.operators);
  add_functions(runner.functions);
  runner.run_folder(folder);
  for (const std::string& name : runner.only)
    if (!runner.seen.contains(name)) throw std::runtime_error(name + " is neither a folder nor has cases");

  if (!runner.reasons.empty()) fmt::print("\nUnsupported:\n");
  for (const auto& [reason, ids] : runner.reasons) fmt::print("  {}: {}\n", reason, fmt::join(ids, ", "));
  const Count& t = runner.total;
  fmt::print("\ngolden: {} passed, {} failed, {} unsupported, of {}\n", t.passed, t.failed, t.unsupported, t.cases);
  return t.failed > 0 || t.cases == 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "golden: {}\n", e.what());
  return 2;
}
