#include "modules.h"
#include "options.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <fmt/ranges.h>

#include <charconv>
#include <functional>
#include <sstream>
#include <variant>

// Whole training runs. A file describes its network in lines: layers and functions in order, "Conv2d conv0 1 4 kernel 3
// padding 1 no bias", or formulas of x, "x = x + relu(BatchNorm2d bn1(Conv2d conv1 4 4 kernel 3 (x)))".

namespace golden {
namespace schedule = optim::schedule;
namespace {

/// A parameter that is added to x.
struct Added {
  Param value;
  Tensor operator()(const Tensor& x) const { return x + value; }
};

// Every layer that a line may name: one more here, and one more row in layer_rows.
using Layer = std::variant<Added, nn::Linear, nn::Conv1d, nn::Conv2d, nn::Conv3d, nn::BatchNorm1d, nn::BatchNorm2d,
                           nn::BatchNorm3d, nn::LayerNorm, nn::GroupNorm, nn::Embedding, nn::PRelu, nn::Lstm,
                           nn::TransformerEncoderLayer>;

struct Part {
  std::string name;  // in the state
  Layer layer;
};
struct Network {
  std::vector<Part> parts;
};

template <class L>
Tensor call(const L& layer, const Tensor& x, [[maybe_unused]] nn::Mode mode) {
  if constexpr (requires { layer(x, mode).output; }) return layer(x, mode).output;
  else if constexpr (requires { layer(x, mode); }) return layer(x, mode);
  else return layer(x);
}

/// "parts.3.layer.weight" as it is called in the state: "fc.weight".
std::string state_name(const Network& net, std::string_view path) {
  const std::size_t dot = path.find('.', 6), rest = path.find('.', dot + 1);
  const std::string own(path.substr(rest + 1));
  const std::string& part = net.parts[std::stoul(std::string(path.substr(6, dot - 6)))].name;
  return own == "value" ? part : part + "." + own;
}

/// The words of a layer or function. Those that nobody asked for are not understood.
class Words {
 public:
  Words(std::vector<std::string> words, const Json& init, const Data& data, DType type)
      : dtype(type), words_(std::move(words)), used_(words_.size()), init_(init), data_(data) {}

  DType dtype;

  const std::string& operator[](std::size_t i) {
    if (i >= words_.size()) throw Unsupported("too few words in: " + text());
    used_[i] = true;
    return words_[i];
  }
  std::int64_t integer(std::size_t i) {
    const std::string& w = (*this)[i];
    std::int64_t n = 0;
    const auto end = std::from_chars(w.data(), w.data() + w.size(), n).ptr;
    if (end != w.data() + w.size()) throw Unsupported("no number, " + w + ", in: " + text());
    return n;
  }
  bool number_at(std::size_t i) const {
    return i < words_.size() && words_[i].find_first_not_of("0123456789") == std::string::npos;
  }
  /// What follows a keyword.
  std::string after(const std::string& key, const std::string& otherwise) {
    for (std::size_t i = 0; i + 1 < words_.size(); ++i)
      if (words_[i] == key) return used_[i] = true, (*this)[i + 1];
    return otherwise;
  }
  std::int64_t integer_after(const std::string& key, std::int64_t otherwise) {
    return std::stoll(after(key, std::to_string(otherwise)));
  }
  /// Do these words occur, one after the other?
  bool has(std::initializer_list<std::string> phrase) {
    const auto found = std::search(words_.begin(), words_.end(), phrase.begin(), phrase.end());
    if (found == words_.end()) return false;
    std::fill_n(used_.begin() + (found - words_.begin()), phrase.size(), true);
    return true;
  }
  /// Of a tensor of this layer's state.
  Shape shape(const std::string& tensor) { return state((*this)[1] + "." + tensor); }
  Shape state(const std::string& name) const {
    if (!init_.contains(name)) throw std::runtime_error("the state has no tensor " + name);
    return find(data_, init_[name]).shape();
  }
  bool has_state(const std::string& tensor) { return init_.contains((*this)[1] + "." + tensor); }
  void all_understood() const {
    for (std::size_t i = 0; i < words_.size(); ++i)
      if (!used_[i]) throw Unsupported("not understood: " + words_[i] + " in: " + text());
  }
  std::string text() const { return fmt::format("{}", fmt::join(words_, " ")); }
  const std::vector<std::string>& all() const { return words_; }

 private:
  std::vector<std::string> words_;
  std::vector<bool> used_;
  const Json& init_;
  const Data& data_;
};

using Function = std::function<Tensor(const Network&, const Tensor&, nn::Mode)>;
using LayerRow = Layer (*)(Words&);

template <int rank>
Layer conv(Words& w) {
  w.has({"with", "bias"});
  return nn::Conv<rank>(w.integer(2), w.integer(3), w.integer_after("kernel", 0),
                        {.stride = w.integer_after("stride", 1),
                         .padding = w.integer_after("padding", 0),
                         .dilation = w.integer_after("dilation", 1),
                         .groups = w.integer_after("groups", 1),
                         .bias = !w.has({"no", "bias"}),
                         .dtype = w.dtype});
}
template <int rank>
Layer batch_norm(Words& w) {
  w.has({"train"});
  return nn::BatchNorm<rank>(w.number_at(2) ? w.integer(2) : w.shape("weight")[0], {.dtype = w.dtype});
}

const std::map<std::string, LayerRow> layer_rows{
    {"Linear",
     [](Words& w) -> Layer {
       return nn::Linear(w.integer(2), w.integer(3), {.bias = !w.has({"no", "bias"}), .dtype = w.dtype});
     }},
    {"Conv1d", conv<1>},
    {"Conv2d", conv<2>},
    {"Conv3d", conv<3>},
    {"BatchNorm1d", batch_norm<1>},
    {"BatchNorm2d", batch_norm<2>},
    {"BatchNorm3d", batch_norm<3>},
    {"LayerNorm", [](Words& w) -> Layer { return nn::LayerNorm(w.integer(2), {.dtype = w.dtype}); }},
    {"GroupNorm", [](Words& w) -> Layer { return nn::GroupNorm(w.integer(2), w.integer(3), {.dtype = w.dtype}); }},
    {"Embedding", [](Words& w) -> Layer { return nn::Embedding(w.integer(2), w.integer(3), {.dtype = w.dtype}); }},
    {"PReLU", [](Words& w) -> Layer { return nn::PRelu(w.number_at(2) ? w.integer(2) : 1, {.dtype = w.dtype}); }},
    {"LSTM",
     [](Words& w) -> Layer {
       w.has({"1", "layer"}), w.has({"zero", "initial", "state"});
       return nn::Lstm(w.integer(2), w.integer(3), {.batch_first = w.has({"batch_first"}), .dtype = w.dtype});
     }},
    {"TransformerEncoderLayer",
     [](Words& w) -> Layer {
       const std::string activation = w.after("activation", "relu");
       return nn::TransformerEncoderLayer(
           w.integer_after("d_model", 0), w.integer_after("nhead", 0),
           {.dim_feedforward = w.integer_after("ff", 0),
            .dropout = std::stod(w.after("dropout", "0")),
            .activation = activation == "gelu" ? nn::Activation::gelu : nn::Activation::relu,
            .batch_first = w.has({"batch_first"}),
            .norm_first = w.after("norm_first", "False") == "True",
            .dtype = w.dtype});
     }},
    {"add",
     [](Words& w) -> Layer {  // add parameter pos [8,16]
       if (w[1] != "parameter" || w[3].empty()) throw Unsupported("not understood: " + w.text());
       return Added{zeros(w.state(w[2]), w.dtype)};
     }},
};

Function pointwise(Tensor (*f)(Operand)) {
  return [f](const Network&, const Tensor& x, nn::Mode) { return f(x); };
}
Shape axes_from(const std::string& list) {
  Shape axes;
  std::istringstream in(list);
  for (std::string one; std::getline(in, one, ',');) axes.push_back(std::stoll(one));
  return axes;
}

const std::map<std::string, Function (*)(Words&)> function_rows{
    {"relu", [](Words&) { return pointwise(relu); }},
    {"tanh", [](Words&) { return pointwise(tanh); }},
    {"sigmoid", [](Words&) { return pointwise(sigmoid); }},
    {"gelu", [](Words&) { return pointwise(gelu); }},
    {"silu", [](Words&) { return pointwise(silu); }},
    {"mish", [](Words&) { return pointwise(mish); }},
    {"selu", [](Words&) { return pointwise(selu); }},
    {"softplus", [](Words&) { return pointwise(softplus); }},
    {"elu", [](Words&) -> Function { return [](const Network&, const Tensor& x, nn::Mode) { return elu(x); }; }},
    {"leaky_relu",
     [](Words&) -> Function { return [](const Network&, const Tensor& x, nn::Mode) { return leaky_relu(x); }; }},
    {"max_pool2d",
     [](Words& w) -> Function {
       const std::int64_t k = w.integer(1), s = w.integer_after("stride", 0), p = w.integer_after("padding", 0);
       return [=](const Network&, const Tensor& x, nn::Mode) { return max_pool(x, {k, k}, {.stride = {s}, .padding = {p}}); };
     }},
    {"avg_pool2d",
     [](Words& w) -> Function {
       const std::int64_t k = w.integer(1), s = w.integer_after("stride", k), p = w.integer_after("padding", 0);
       return [=](const Network&, const Tensor& x, nn::Mode) {
         return avg_pool(x, {k, k}, {.stride = {s, s}, .padding = {p, p}});
       };
     }},
    {"flatten",
     [](Words& w) -> Function {
       const int first = w.has({"from", "dim"}) ? int(w.integer(3)) : 1;
       return [=](const Network&, const Tensor& x, nn::Mode) { return flatten(x, first); };
     }},
    {"mean",
     [](Words& w) -> Function {
       if (!w.has({"over", "dim"}) && !w.has({"over", "dims"})) throw Unsupported("not understood: " + w.text());
       return [axes = axes_from(w[3])](const Network&, const Tensor& x, nn::Mode) { return mean(x, axes); };
     }},
};

/// Reads lines of `layers` into a network and what it computes.
class Reader {
 public:
  Reader(const Json& file, const Data& data, DType dtype) : file_(file), data_(data), dtype_(dtype) {
    for (const std::string line : file.at("layers")) {
      cut(line);
      if (tokens_.size() > 2 && tokens_[1] == "=") {
        if (tokens_[0] != "x") throw Unsupported("a formula of something else than x: " + line);
        at_ = 2;
      }
      steps.push_back(sum_of_terms());
      if (at_ != tokens_.size()) throw Unsupported("not understood: " + tokens_[at_] + " in: " + line);
    }
  }

  Network net;
  std::vector<Function> steps;

 private:
  // Words, and ( ) + = by themselves. A comma at the end of a word is none.
  void cut(const std::string& line) {
    tokens_.clear(), at_ = 0;
    std::string word;
    auto end = [&] {
      while (word.ends_with(',')) word.pop_back();
      if (!word.empty()) tokens_.push_back(std::move(word));
      word.clear();
    };
    for (char c : line) {
      if (c == ' ') end();
      else if (c == '(' || c == ')' || c == '+' || c == '=') end(), tokens_.push_back(std::string(1, c));
      else word += c;
    }
    end();
  }
  bool is(const char* token) const { return at_ < tokens_.size() && tokens_[at_] == token; }

  Function sum_of_terms() {
    Function all = term();
    while (is("+")) {
      ++at_;
      all = [a = std::move(all), b = term()](const Network& n, const Tensor& x, nn::Mode m) {
        return a(n, x, m) + b(n, x, m);
      };
    }
    return all;
  }
  Function term() {
    std::vector<std::string> words;
    Function operand;
    for (; at_ < tokens_.size() && !is("+") && !is(")") && !is("="); ++at_) {
      if (!is("(")) {
        words.push_back(tokens_[at_]);
        continue;
      }
      ++at_;
      if (at_ + 1 < tokens_.size() && tokens_[at_ + 1] == ")" && !is("x")) words.push_back(tokens_[at_++]);  // a note
      else operand = sum_of_terms();
      if (!is(")")) throw Unsupported("brackets do not match in the formula of " + words.front());
    }
    if (words.empty()) throw Unsupported("a formula that stops early");
    if (words.size() == 1 && words[0] == "x") return [](const Network&, const Tensor& x, nn::Mode) { return x; };
    Function f = step(words);
    if (!operand) return f;
    return [f = std::move(f), g = std::move(operand)](const Network& n, const Tensor& x, nn::Mode m) {
      return f(n, g(n, x, m), m);
    };
  }

  // A layer, which joins the network, or a function.
  Function step(std::vector<std::string> words) {
    if (words.back() == "same") {  // as the last layer of this kind, but for its name
      auto before = last_.find(words[0]);
      if (before == last_.end() || words.size() != 3) throw Unsupported("as which one? " + words[0]);
      const std::string name = words[1];
      words = before->second, words[1] = name;
    }
    last_[words[0]] = words;
    Words w(words, file_.at("init"), data_, dtype_);
    const std::string kind = w[0];
    if (const auto row = function_rows.find(kind); row != function_rows.end()) {
      Function f = row->second(w);
      w.all_understood();
      return f;
    }
    const auto row = layer_rows.find(kind);
    if (row == layer_rows.end()) throw Unsupported("no layer " + kind);
    const std::size_t index = net.parts.size();
    Layer layer = row->second(w);
    net.parts.push_back({kind == "add" ? w[2] : w[1], std::move(layer)});
    w.all_understood();
    return [index](const Network& n, const Tensor& x, nn::Mode mode) {
      return std::visit([&](const auto& l) { return call(l, x, mode); }, n.parts[index].layer);
    };
  }

  const Json& file_;
  const Data& data_;
  DType dtype_;
  std::vector<std::string> tokens_;
  std::size_t at_ = 0;
  std::map<std::string, std::vector<std::string>> last_;
};

// "cross_entropy, reduction mean, label_smoothing 0.1"
std::function<Tensor(const Tensor& y, const Tensor& target)> loss_of(const std::string& text) {
  std::vector<std::string> phrases;
  std::istringstream in(text);
  for (std::string one; std::getline(in, one, ',');) phrases.push_back(one.substr(one.find_first_not_of(' ')));
  nn::CrossEntropyOptions options;
  for (std::size_t i = 1; i < phrases.size(); ++i) {
    if (phrases[i] == "reduction mean") options.reduction = nn::Reduction::mean;
    else if (phrases[i] == "reduction sum") options.reduction = nn::Reduction::sum;
    else if (phrases[i].starts_with("label_smoothing ")) options.label_smoothing = std::stod(phrases[i].substr(16));
    else throw Unsupported("not understood: " + phrases[i] + " of the loss " + text);
  }
  if (phrases[0] == "cross_entropy")
    return [=](const Tensor& y, const Tensor& target) { return nn::cross_entropy(y, target, options); };
  if (phrases[0] == "cross_entropy over all batch*time positions")
    return [=](const Tensor& y, const Tensor& target) {
      return nn::cross_entropy(reshape(y, {-1, y.size(-1)}), reshape(target, {-1}), options);
    };
  if ((phrases[0] == "mse" || phrases[0] == "mse_loss") && options.label_smoothing == 0)
    return [=](const Tensor& y, const Tensor& target) { return nn::mse(y, to(target, y.dtype()), options.reduction); };
  throw Unsupported("no loss " + text);
}

// "lr of step k (from 0) = lr * min(1, (k+1)/8)"
optim::Schedule schedule_of(const Json& text, double lr) {
  if (text.is_null()) return schedule::Constant{lr};
  const std::string start = "lr of step k (from 0) = lr * min(1, (k+1)/", all = text;
  if (!all.starts_with(start) || !all.ends_with(")")) throw Unsupported("no schedule: " + all);
  return schedule::Constant{lr} * schedule::WarmUp{std::stoll(all.substr(start.size()))};
}

struct Trained {
  std::vector<double> losses, norms;
  Tensor first_output;
  std::map<std::string, Tensor> first_grads;
  std::map<int, std::map<std::string, Tensor>> states;
};

template <class M>
std::map<std::string, Tensor> named_copy(const Network& net, const M& model) {
  std::map<std::string, Tensor> all;
  for_each_tensor(model, [&](std::string_view path, const auto& t) { all[state_name(net, path)] = clone(t.detach()); });
  return all;
}

template <template <class> class Optimizer, class Options>
Trained train(const Json& file, const Json& run, const Data& data, Network& net, const std::vector<Function>& steps) {
  Options options;
  set_options(options, file.at("optimizer_attrs"));
  Optimizer<Network> optimizer(net, options);
  const auto schedule = schedule_of(file.at("lr_schedule"), options.lr);
  const auto loss_between = loss_of(file.at("loss"));
  const DType dtype = run.at("dtype") == "F64" ? float64 : float32;
  Rng rng{1};
  Trained t;
  const int count = file.at("steps");
  for (int k = 0; k < count; ++k) {
    const Json& batch = file.at("batches").at(std::size_t(k));
    const Tensor x = find(data, batch.at("x")), y = find(data, batch.at("y"));
    auto [loss, grads] = value_and_grad(
        [&](const Network& n) {
          Tensor h = is_float(x.dtype()) ? to(x, dtype) : x;
          for (const Function& f : steps) h = f(n, h, nn::training(rng));
          if (k == 0) t.first_output = h.detach();
          return loss_between(h, y);
        },
        net);
    t.losses.push_back(loss.item());
    const auto limit = file.at("clip_grad_norm");
    if (k == 0) t.first_grads = named_copy(net, grads);
    t.norms.push_back(
        optim::clip_norm(grads, limit.is_null() ? 1e300 : limit.get<double>(),
                         {.norm_type = file.at("clip_norm_type").is_null() ? 2 : number(file.at("clip_norm_type"))}));
    optimizer.lr = schedule(k);
    optimizer.step(net, grads);
    if (run.at("state_after").contains(std::to_string(k + 1))) t.states[k + 1] = named_copy(net, net);
  }
  return t;
}

using Train = Trained (*)(const Json&, const Json&, const Data&, Network&, const std::vector<Function>&);
const std::map<std::string, Train> optimizer_rows{
    {"SGD", train<optim::Sgd, optim::SgdOptions>},
    {"Adam", train<optim::Adam, optim::AdamOptions>},
    {"AdamW", train<optim::AdamW, optim::AdamWOptions>},
    {"RMSprop", train<optim::RmsProp, optim::RmsPropOptions>},
    {"Adagrad", train<optim::Adagrad, optim::AdagradOptions>},
};

}  // namespace

std::vector<std::string> run_training(const Json& run, const Json& file, const Data& data) {
  const DType dtype = run.at("dtype") == "F64" ? float64 : float32;
  Reader reader(file, data, dtype);
  Network& net = reader.net;
  load_state(
      net, file.at("init"), data, [&](std::string_view path) { return state_name(net, path); },
      [&](const Tensor& t) { return is_float(t.dtype()) ? to(t, dtype) : t; });
  const auto row = optimizer_rows.find(file.at("optimizer"));
  if (row == optimizer_rows.end()) throw Unsupported("no optimizer " + file["optimizer"].get<std::string>());
  const Trained t = row->second(file, run, data, net, reader.steps);

  std::vector<std::string> wrong;
  const double rtol = run.at("rtol_loss");
  auto compare = [&](const std::string& what, const Tensor& got, const Tensor& want, double tolerance) {
    const auto d = difference(got, want, {tolerance});
    if (!d.empty()) wrong.push_back(what + ": " + d);
  };
  auto path = [](const std::vector<double>& x) { return from(x, {std::int64_t(x.size())}); };
  compare("loss", path(t.losses), find(data, run.at("loss")), rtol);
  if (run.contains("rtol_loss_first10"))
    compare("first ten losses", slice(path(t.losses), 0, 0, 10), slice(find(data, run["loss"]), 0, 0, 10),
            run["rtol_loss_first10"]);
  compare("grad_norm", path(t.norms), find(data, run.at("grad_norm")), rtol);
  compare("output_step0", t.first_output, find(data, run.at("output_step0")), rtol);
  auto compare_all = [&](const std::string& what, const std::map<std::string, Tensor>& got, const Json& want) {
    for (const auto& [name, tensor] : want.items()) {
      if (const auto found = got.find(name); found == got.end()) wrong.push_back(what + ": there is no " + name);
      else compare(what + ": " + name, found->second, find(data, tensor), rtol);
    }
  };
  compare_all("grads_step0", t.first_grads, run.at("grads_step0"));
  for (const auto& [step, tensors] : run.at("state_after").items()) {
    const auto found = t.states.find(std::stoi(step));
    if (found == t.states.end()) wrong.push_back("state_after: there are fewer steps than " + step);
    else compare_all("state after step " + step, found->second, tensors);
  }
  return wrong;
}

}  // namespace golden
