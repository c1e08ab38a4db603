#pragma once

// The golden runner: reads a folder of reference cases (README.md) and executes them through the vocabulary. One table
// for each family maps the names used there to calls of ours.

#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

#include <nlohmann/json.hpp>

#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace golden {

using namespace wengert;
using Json = nlohmann::json;

/// The tensors of a file; for one that cannot be read, what is wrong with it.
struct Data {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> broken;
  std::string path;
  /// Throws when there is no such tensor.
  const Tensor& at(const std::string& name) const;
};

/// A case that the library does not cover, and why.
struct Unsupported : std::runtime_error {
  using runtime_error::runtime_error;
};

/// All tensors of a safetensors file. Throws when it is not one.
Data read_data(const std::string& path);
Json read_json(const std::string& path);

/// What a call receives: tensors by the names of their arguments, and attributes. An absent one is an error of the
/// case.
class Args {
 public:
  Args(const Json& attrs, std::vector<std::pair<std::string, Tensor>> tensors)
      : attrs_(attrs), tensors_(std::move(tensors)) {}

  const Tensor& operator[](const std::string& name) const;
  const Tensor& input() const { return (*this)["input"]; }
  const Tensor& other() const { return (*this)["other"]; }
  /// Undefined when it was not given.
  Tensor maybe(const std::string& name) const;
  /// Every tensor of a list argument.
  std::vector<Tensor> list(const std::string& name) const;

  bool has(const std::string& attr) const { return attrs_.contains(attr); }
  bool given(const std::string& attr) const { return !at(attr).is_null(); }
  const Json& at(const std::string& attr) const;
  double number(const std::string& attr) const;
  double number(const std::string& attr, double otherwise) const { return given(attr) ? number(attr) : otherwise; }
  int integer(const std::string& attr) const { return at(attr).get<int>(); }
  bool flag(const std::string& attr) const { return at(attr).get<bool>(); }
  std::string text(const std::string& attr) const { return at(attr).get<std::string>(); }
  /// Attribute `dim` as a list of axes. A scalar has none, though PyTorch lets it be reduced along axis 0 and -1.
  Shape axes() const { return input().rank() ? shape("dim") : Shape(); }
  /// A list of integers; one integer is a list of one, null an empty list.
  Shape shape(const std::string& attr) const;
  std::vector<std::int64_t> integers(const std::string& attr) const;
  /// Attributes and tensors that the call never looked at.
  std::vector<std::string> unread() const;

 private:
  const Json& attrs_;
  std::vector<std::pair<std::string, Tensor>> tensors_;
  mutable std::set<std::string> read_;
};

/// One tensor or several.
struct Results : std::vector<Tensor> {
  Results(Tensor t) { push_back(std::move(t)); }
  Results(std::initializer_list<Tensor> t) : vector(t) {}
  Results(std::vector<Tensor> t) : vector(std::move(t)) {}
};
/// A scalar as a vector of one, and back: the library has no axis 0 of a scalar, PyTorch has.
inline Tensor lifted(const Tensor& x) { return x.rank() ? x : reshape(x, {1}); }
inline Tensor lowered(const Tensor& y, const Tensor& x) { return x.rank() ? y : reshape(y, Shape()); }

using Call = Results (*)(const Args&);
using Table = std::map<std::string, Call>;

void add_unary(Table&);
void add_binary(Table&);
void add_reduce(Table&);
void add_shape(Table&);
void add_linalg(Table&);
void add_nn(Table&);
void add_conv(Table&);
void add_loss(Table&);
/// The functions of autograd.json.
void add_functions(Table&);

/// The rule of README.md, "How to compare".
struct Rule {
  double rtol;
  bool relative = false;
  bool zero_for_nan = false;  ///< at a kink where we document a slope of zero and PyTorch has none
};
/// How a tensor differs from the one that was wanted; empty when it does not.
std::string difference(const Tensor& got, const Tensor& want, const Rule&);
/// A tensor by its name.
const Tensor& find(const Data&, const Json& name);

/// What went wrong in a case, one sentence each; empty when it passed. Throws Unsupported.
std::vector<std::string> run_operator(const Json& one, const Data&, Call);
std::vector<std::string> run_function(const Json& one, const Data&, Call);
/// The same for the cases of optim.json (whose file describes the problems), schedulers.json and clip.json.
std::vector<std::string> run_optimizer(const Json& one, const Json& file, const Data&);
std::vector<std::string> run_scheduler(const Json& one, const Json& file, const Data&);
std::vector<std::string> run_clipping(const Json& one, const Json& file, const Data&);
/// A case of modules.json: a layer, its state, and steps.
std::vector<std::string> run_module(const Json& one, const Data&);
/// One of the runs of a file train_*.json.
std::vector<std::string> run_training(const Json& one, const Json& file, const Data&);

}  // namespace golden
