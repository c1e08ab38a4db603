#include "golden.h"

namespace golden {

#define ROW(name, call) t[#name] = [](const Args& a) -> Results { return call; }

namespace {

// The library finds the number of spatial axes in the attributes' or the weight's shape, so one call serves 1d to 3d.
Tensor convolved(const Args& a) {
  return conv(a.input(), a["weight"], a.maybe("bias"),
              {.stride = a.shape("stride"),
               .padding = a.shape("padding"),
               .dilation = a.shape("dilation"),
               .groups = a.integer("groups")});
}
Tensor transposed(const Args& a) {
  return conv_transpose(a.input(), a["weight"], a.maybe("bias"),
                        {.stride = a.shape("stride"),
                         .padding = a.shape("padding"),
                         .output_padding = a.shape("output_padding"),
                         .dilation = a.shape("dilation"),
                         .groups = a.integer("groups")});
}
Tensor largest(const Args& a) {
  return max_pool(a.input(), a.shape("kernel_size"),
                  {.stride = a.shape("stride"),
                   .padding = a.shape("padding"),
                   .dilation = a.shape("dilation"),
                   .ceil_mode = a.flag("ceil_mode")});
}
Tensor averaged(const Args& a) {
  return avg_pool(a.input(), a.shape("kernel_size"),
                  {.stride = a.shape("stride"),
                   .padding = a.shape("padding"),
                   .ceil_mode = a.flag("ceil_mode"),
                   .count_padding = a.flag("count_include_pad")});
}
UnfoldOptions windows(const Args& a) {
  return {.stride = a.shape("stride"), .padding = a.shape("padding"), .dilation = a.shape("dilation")};
}

Tensor interpolated(const Args& a) {
  const std::string mode = a.text("mode");
  InterpolateOptions options{.align_corners = a.given("align_corners") && a.flag("align_corners")};
  if (mode.ends_with("linear")) options.mode = Interpolation::linear;
  else if (mode == "bicubic") options.mode = Interpolation::cubic;
  else if (mode == "area") options.mode = Interpolation::area;
  else if (mode != "nearest") throw Unsupported("interpolate: mode " + mode);
  if (a.given("size")) return interpolate(a.input(), a.shape("size"), options);
  std::vector<double> factors;
  const Json& given = a.at("scale_factor");
  if (given.is_number()) factors.assign(std::size_t(a.input().rank() - 2), given.get<double>());
  else factors = given.get<std::vector<double>>();
  return interpolate_by(a.input(), factors, options);
}

}  // namespace

void add_conv(Table& t) {
  for (const char* d : {"1d", "2d", "3d"}) {
    auto set = [&](const std::string& name, Call call) { t[name + d] = call; };
    set("conv", [](const Args& a) -> Results { return convolved(a); });
    set("conv_transpose", [](const Args& a) -> Results { return transposed(a); });
    set("max_pool", [](const Args& a) -> Results { return largest(a); });
    set("avg_pool", [](const Args& a) -> Results { return averaged(a); });
    set("adaptive_avg_pool",
        [](const Args& a) -> Results { return adaptive_avg_pool(a.input(), a.shape("output_size")); });
    set("adaptive_max_pool",
        [](const Args& a) -> Results { return adaptive_max_pool(a.input(), a.shape("output_size")); });
  }
  ROW(unfold, unfold(a.input(), a.shape("kernel_size"), windows(a)));
  ROW(fold, fold(a.input(), a.shape("output_size"), a.shape("kernel_size"), windows(a)));
  ROW(interpolate, interpolated(a));
}

}  // namespace golden
