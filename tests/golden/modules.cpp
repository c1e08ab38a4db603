#include "modules.h"

#include <fmt/ranges.h>

// Layers, with the state that PyTorch's have: outputs, gradients and running statistics, step by step.

namespace golden {

const Tensor& loaded(const Data& data, const Json& name) {
  static std::map<std::string, std::map<std::string, Tensor>> files;
  if (!data.broken.empty()) return find(data, name);  // our loader takes no part of a file that is broken
  auto [file, fresh] = files.try_emplace(data.path);
  if (fresh)
    for (const NamedTensor& t : load_tensors(data.path).tensors) file->second.emplace(t.name, t.tensor);
  const auto found = file->second.find(name.get<std::string>());
  if (found == file->second.end()) throw std::runtime_error("the data file has no tensor " + name.get<std::string>());
  return found->second;
}

ModuleCase::ModuleCase(const Json& one, const Data& data)
    : dtype(one.at("dtype") == "F64" ? float64 : float32), attrs(one.at("attrs"), {}), one_(one), data_(data) {}

Args ModuleCase::inputs(const Json& step) {
  tracked_.clear();
  std::vector<std::pair<std::string, Tensor>> all;
  for (const Json& entry : step.at("inputs")) {
    const std::string name = entry.at("arg");
    Tensor t = find(data_, entry.at("tensor"));
    if (entry.value("bool", false)) t = to(t, boolean);
    if (entry.contains("grad")) {
      t = t.track();
      tracked_.push_back({name, {t, entry["grad"]}});
    }
    all.emplace_back(name, t);
  }
  return {none_, std::move(all)};
}

void ModuleCase::compare_results(const Json& step, const Results& y) {
  const Json& outputs = step.at("outputs");
  if (y.size() != outputs.size()) {
    wrong.push_back(fmt::format("step {}: {} results, wanted {}", step_, y.size(), outputs.size()));
    return;
  }
  Tensor inner;
  for (std::size_t k = 0; k < y.size(); ++k) {
    compare(fmt::format("output {}", k), y[k], outputs[k].at("tensor"));
    if (!outputs[k].contains("v") || !y[k].tracked()) continue;
    const Tensor s = sum(y[k] * find(data_, outputs[k]["v"]));
    inner = inner.defined() ? inner + s : s;
  }
  if (inner.defined()) backward(inner);
  for (const auto& [name, entry] : tracked_) compare_gradient(name, entry.first, entry.second);
}

void ModuleCase::compare_gradient(const std::string& what, const Tensor& x, const Json& want) {
  const Tensor g = x.grad();
  compare("gradient of " + what, g.defined() ? g : zeros(x.shape(), x.dtype()), want);
}

void ModuleCase::compare(const std::string& what, const Tensor& got, const Json& want) {
  const auto d = difference(got, find(data_, want), {one_.at("rtol").get<double>()});
  if (!d.empty()) wrong.push_back(fmt::format("step {}: {}: {}", step_, what, d));
}

namespace {

using Row = void (*)(ModuleCase&);

// A row builds the layer of ours from the attributes and runs the case with it.
const std::map<std::string, Row> rows{
    {"Linear",
     [](ModuleCase& c) {
       c.run(nn::Linear(c.attrs.integer("in_features"), c.attrs.integer("out_features"),
                        {.bias = c.attrs.flag("bias"), .dtype = c.dtype}));
     }},
};

}  // namespace

std::vector<std::string> run_module(const Json& one, const Data& data) {
  const auto row = rows.find(one.at("module"));
  if (row == rows.end()) throw Unsupported("no layer " + one.at("module").get<std::string>());
  ModuleCase c(one, data);
  try {
    row->second(c);
  } catch (const Unsupported&) {
    throw;
  } catch (const std::exception& e) {
    c.wrong.push_back(e.what());
  }
  // An attribute that the row never looked at may be one that it does not know.
  const auto unread = c.attrs.unread();
  if (!unread.empty())
    throw Unsupported(fmt::format("{}: {}", one["module"].get<std::string>(), fmt::join(unread, ", ")));
  return std::move(c.wrong);
}

}  // namespace golden
