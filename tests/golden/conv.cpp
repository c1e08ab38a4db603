#include "golden.h"

namespace golden {

void add_conv(Table& table) {
  const Call convolution = [](const Args& a) {
    return Results(conv(a.input(), a["weight"], a.maybe("bias"),
                        {a.shape("stride"), a.shape("padding"), a.shape("dilation"), a.integer("groups")}));
  };
  const Call transposed = [](const Args& a) {
    return Results(conv_transpose(
        a.input(), a["weight"], a.maybe("bias"),
        {a.shape("stride"), a.shape("padding"), a.shape("output_padding"), a.shape("dilation"), a.integer("groups")}));
  };
  for (const char* name : {"conv1d", "conv2d", "conv3d"}) table[name] = convolution;
  for (const char* name : {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}) table[name] = transposed;
  for (const char* name : {"max_pool1d", "max_pool2d", "max_pool3d"})
    table[name] = [](const Args& a) {
      return Results(max_pool(a.input(), a.shape("kernel_size"),
                              {a.shape("stride"), a.shape("padding"), a.shape("dilation"), a.flag("ceil_mode")}));
    };
  for (const char* name : {"avg_pool1d", "avg_pool2d", "avg_pool3d"})
    table[name] = [](const Args& a) {
      return Results(
          avg_pool(a.input(), a.shape("kernel_size"),
                   {a.shape("stride"), a.shape("padding"), a.flag("ceil_mode"), a.flag("count_include_pad")}));
    };
  for (const char* name : {"adaptive_avg_pool1d", "adaptive_avg_pool2d"})
    table[name] = [](const Args& a) { return Results(adaptive_avg_pool(a.input(), a.shape("output_size"))); };
  table["adaptive_max_pool2d"] = [](const Args& a) {
    return Results(adaptive_max_pool(a.input(), a.shape("output_size")));
  };
  table["unfold"] = [](const Args& a) {
    return Results(
        unfold(a.input(), a.shape("kernel_size"), {a.shape("stride"), a.shape("padding"), a.shape("dilation")}));
  };
  table["fold"] = [](const Args& a) {
    return Results(fold(a.input(), a.shape("output_size"), a.shape("kernel_size"),
                        {a.shape("stride"), a.shape("padding"), a.shape("dilation")}));
  };
  table["interpolate"] = [](const Args& a) {
    const std::string mode = a.text("mode");
    const InterpolateOptions options{mode == "nearest"   ? Interpolation::nearest
                                     : mode == "area"    ? Interpolation::area
                                     : mode == "bicubic" ? Interpolation::cubic
                                                         : Interpolation::linear,
                                     a.flag("align_corners")};
    if (a.given("size")) return Results(interpolate(a.input(), a.shape("size"), options));
    return Results(
        interpolate_by(a.input(), std::span<const double>(a.at("scale_factor").get<std::vector<double>>()), options));
  };
}

}  // namespace golden
