#include "modules.h"

// Rows of modules.cpp for layers of sequences.

namespace golden {
namespace {

template <class Layer>
void recurrent_layer(ModuleCase& c) {
  const bool relu = c.attrs.has("nonlinearity") && c.attrs.text("nonlinearity") == "relu";
  c.run(Layer(c.attrs.integer("input_size"), c.attrs.integer("hidden_size"),
              {.num_layers = c.attrs.integer("num_layers"),
               .bias = c.attrs.flag("bias"),
               .batch_first = c.attrs.flag("batch_first"),
               .bidirectional = c.attrs.flag("bidirectional"),
               .relu = relu,
               .dtype = c.dtype}),
        [](const Layer& f, const Args& in, nn::Mode mode) -> Results {
          const Recurrent r = f(in.input(), {.h = in.maybe("h0"), .c = in.maybe("c0"), .mode = mode});
          if (r.c.defined()) return {r.output, r.h, r.c};
          return {r.output, r.h};
        });
}

template <class Cell>
void recurrent_cell(ModuleCase& c) {
  const bool relu = c.attrs.has("nonlinearity") && c.attrs.text("nonlinearity") == "relu";
  c.run(Cell(c.attrs.integer("input_size"), c.attrs.integer("hidden_size"),
             {.bias = c.attrs.flag("bias"), .relu = relu, .dtype = c.dtype}),
        [](const Cell& f, const Args& in, nn::Mode) -> Results {
          if constexpr (std::is_same_v<Cell, nn::LstmCell>) {
            const nn::LstmState s = f(in.input(), {in.maybe("h0"), in.maybe("c0")});
            return {s.h, s.c};
          } else {
            return f(in.input(), in.maybe("h0"));
          }
        });
}

void multi_head_attention(ModuleCase& c) {
  nn::MultiHeadAttentionOptions o{.bias = c.attrs.flag("bias"),
                                  .dropout = c.attrs.number("dropout"),
                                  .batch_first = c.attrs.flag("batch_first"),
                                  .dtype = c.dtype};
  if (c.attrs.has("kdim")) o.key_size = c.attrs.integer("kdim");
  if (c.attrs.has("vdim")) o.value_size = c.attrs.integer("vdim");
  c.run(nn::MultiHeadAttention(c.attrs.integer("embed_dim"), c.attrs.integer("num_heads"), o),
        [](const nn::MultiHeadAttention& f, const Args& in, nn::Mode mode) -> Results {
          const Attention a = f(in["query"], in["key"], in["value"],
                                {.mask = in.maybe("attn_mask"),
                                 .key_padding_mask = in.maybe("key_padding_mask"),
                                 .need_weights = true,
                                 .mode = mode});
          return {a.output, a.weights};
        });
}

nn::TransformerOptions transformer_options(ModuleCase& c) {
  return {.dim_feedforward = c.attrs.integer("dim_feedforward"),
          .dropout = c.attrs.number("dropout"),
          .activation = c.attrs.text("activation") == "gelu" ? nn::Activation::gelu : nn::Activation::relu,
          .eps = c.attrs.number("layer_norm_eps"),
          .batch_first = c.attrs.flag("batch_first"),
          .norm_first = c.attrs.flag("norm_first"),
          .dtype = c.dtype};
}

}  // namespace

const std::map<std::string, ModuleRow>& sequence_rows() {
  static const std::map<std::string, ModuleRow> rows{
      {"RNN", recurrent_layer<nn::Rnn>},
      {"GRU", recurrent_layer<nn::Gru>},
      {"LSTM", recurrent_layer<nn::Lstm>},
      {"RNNCell", recurrent_cell<nn::RnnCell>},
      {"GRUCell", recurrent_cell<nn::GruCell>},
      {"LSTMCell", recurrent_cell<nn::LstmCell>},
      {"MultiheadAttention", multi_head_attention},
      {"TransformerEncoderLayer",
       [](ModuleCase& c) {
         c.run(
             nn::TransformerEncoderLayer(c.attrs.integer("d_model"), c.attrs.integer("nhead"), transformer_options(c)),
             [](const nn::TransformerEncoderLayer& f, const Args& in, nn::Mode mode) -> Results {
               return f(in["src"], {.mask = in.maybe("src_mask"), .mode = mode});
             });
       }},
      {"TransformerDecoderLayer",
       [](ModuleCase& c) {
         c.run(
             nn::TransformerDecoderLayer(c.attrs.integer("d_model"), c.attrs.integer("nhead"), transformer_options(c)),
             [](const nn::TransformerDecoderLayer& f, const Args& in, nn::Mode mode) -> Results {
               return f(in["tgt"], in["memory"], {.mask = in.maybe("tgt_mask"), .mode = mode});
             });
       }},
  };
  return rows;
}

}  // namespace golden
