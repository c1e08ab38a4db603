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
}

}  // namespace golden
