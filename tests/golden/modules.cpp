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

// The extents of a convolution, as PyTorch's attribute: one number, or one for each axis.
template <int rank>
nn::Extent<rank> extent(const ModuleCase& c, const char* attr) {
  return nn::Extent<rank>(c.attrs.shape(attr));
}

template <int rank>
void conv(ModuleCase& c) {
  nn::ConvLayerOptions<rank> o{.stride = extent<rank>(c, "stride"),
                               .padding = extent<rank>(c, "padding"),
                               .dilation = extent<rank>(c, "dilation"),
                               .groups = c.attrs.integer("groups"),
                               .bias = c.attrs.flag("bias"),
                               .dtype = c.dtype};
  if (c.attrs.has("padding_mode")) {
    const std::map<std::string, PadMode> modes{{"zeros", PadMode::constant},
                                               {"reflect", PadMode::reflect},
                                               {"replicate", PadMode::replicate},
                                               {"circular", PadMode::circular}};
    o.padding_mode = modes.at(c.attrs.text("padding_mode"));
  }
  c.run(nn::Conv<rank>(c.attrs.integer("in_channels"), c.attrs.integer("out_channels"), extent<rank>(c, "kernel_size"),
                       o));
}
template <int rank>
void conv_transpose(ModuleCase& c) {
  c.run(nn::ConvTranspose<rank>(c.attrs.integer("in_channels"), c.attrs.integer("out_channels"),
                                extent<rank>(c, "kernel_size"),
                                {.stride = extent<rank>(c, "stride"),
                                 .padding = extent<rank>(c, "padding"),
                                 .output_padding = extent<rank>(c, "output_padding"),
                                 .dilation = extent<rank>(c, "dilation"),
                                 .groups = c.attrs.integer("groups"),
                                 .bias = c.attrs.flag("bias"),
                                 .dtype = c.dtype}));
}

std::optional<double> maybe_number(const ModuleCase& c, const char* attr) {
  if (!c.attrs.given(attr)) return {};
  return c.attrs.number(attr);
}
template <int rank>
void batch_norm(ModuleCase& c) {
  c.run(
      nn::BatchNorm<rank>(c.attrs.integer("num_features"), {.eps = c.attrs.number("eps"),
                                                            .momentum = maybe_number(c, "momentum"),
                                                            .affine = c.attrs.flag("affine"),
                                                            .track_running_stats = c.attrs.flag("track_running_stats"),
                                                            .dtype = c.dtype}));
}
template <int rank>
void instance_norm(ModuleCase& c) {
  if (c.attrs.has("track_running_stats") && c.attrs.flag("track_running_stats"))
    throw Unsupported("InstanceNorm with running statistics");
  if (c.attrs.has("momentum")) c.attrs.at("momentum");  // of the running statistics
  c.run(nn::InstanceNorm<rank>(c.attrs.integer("num_features"),
                               {.eps = c.attrs.number("eps"), .affine = c.attrs.flag("affine"), .dtype = c.dtype}));
}
void layer_norm(ModuleCase& c) {
  c.run(nn::LayerNorm(c.attrs.shape("normalized_shape"), {.eps = c.attrs.number("eps"),
                                                          .elementwise_affine = c.attrs.flag("elementwise_affine"),
                                                          .bias = c.has_state("bias"),
                                                          .dtype = c.dtype}));
}
void embedding(ModuleCase& c) {
  nn::EmbeddingOptions o{.dtype = c.dtype};
  if (c.attrs.given("padding_idx")) o.padding_index = c.attrs.integer("padding_idx");
  c.run(nn::Embedding(c.attrs.integer("num_embeddings"), c.attrs.integer("embedding_dim"), o));
}

// A row builds the layer of ours from the attributes and runs the case with it.
const std::map<std::string, ModuleRow> rows{
    {"Linear",
     [](ModuleCase& c) {
       c.run(nn::Linear(c.attrs.integer("in_features"), c.attrs.integer("out_features"),
                        {.bias = c.attrs.flag("bias"), .dtype = c.dtype}));
     }},
    {"Bilinear",
     [](ModuleCase& c) {
       const bool bias = c.attrs.has("bias") ? c.attrs.flag("bias") : c.has_state("bias");
       c.run(nn::Bilinear(c.attrs.integer("in1_features"), c.attrs.integer("in2_features"),
                          c.attrs.integer("out_features"), {.bias = bias, .dtype = c.dtype}),
             [](const nn::Bilinear& f, const Args& in, nn::Mode) -> Results { return f(in["input1"], in["input2"]); });
     }},
    {"Conv1d", conv<1>},
    {"Conv2d", conv<2>},
    {"Conv3d", conv<3>},
    {"ConvTranspose1d", conv_transpose<1>},
    {"ConvTranspose2d", conv_transpose<2>},
    {"ConvTranspose3d", conv_transpose<3>},
    {"BatchNorm1d", batch_norm<1>},
    {"BatchNorm2d", batch_norm<2>},
    {"BatchNorm3d", batch_norm<3>},
    {"InstanceNorm1d", instance_norm<1>},
    {"InstanceNorm2d", instance_norm<2>},
    {"InstanceNorm3d", instance_norm<3>},
    {"LayerNorm", layer_norm},
    {"GroupNorm",
     [](ModuleCase& c) {
       c.run(nn::GroupNorm(c.attrs.integer("num_groups"), c.attrs.integer("num_channels"),
                           {.eps = c.attrs.number("eps"), .affine = c.attrs.flag("affine"), .dtype = c.dtype}));
     }},
    {"Embedding", embedding},
    {"PReLU",
     [](ModuleCase& c) {
       if (c.attrs.has("init")) c.attrs.at("init");  // the state says more
       c.run(nn::PRelu(c.attrs.integer("num_parameters"), {.dtype = c.dtype}));
     }},
};

}  // namespace

std::vector<std::string> run_module(const Json& one, const Data& data) {
  const std::string kind = one.at("module");
  const auto& table = rows.contains(kind) ? rows : sequence_rows();
  const auto row = table.find(kind);
  if (row == table.end()) throw Unsupported("no layer " + kind);
  ModuleCase c(one, data);
  try {
    row->second(c);
  } catch (const Unsupported&) {
    throw;
  } catch (const std::exception& e) {
    c.wrong.push_back(e.what());
  }
  // An attribute that the row never looked at may be one that it does not know; null and false ask for nothing.
  auto unread = c.attrs.unread();
  std::erase_if(unread, [&](const std::string& name) {
    const Json& value = one.at("attrs")[name];
    return value.is_null() || value == false;
  });
  if (!unread.empty()) throw Unsupported(fmt::format("{}: {}", kind, fmt::join(unread, ", ")));
  return std::move(c.wrong);
}

}  // namespace golden
