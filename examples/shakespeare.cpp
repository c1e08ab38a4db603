// Two networks that write like what they have read, character by character: an LSTM and a small transformer.
//
//   shakespeare                              a few sonnets that are part of this file
//   shakespeare --data FOLDER                tinyshakespeare.txt in that folder
//   shakespeare --model lstm --minutes 15
//
// Prints the loss on text held back, in nats for each character, and a sample; writes the curves (shakespeare.svg) and
// the trained models (*.safetensors).

#include "common/plot.h"
#include "common/progress.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <wengert/wengert.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace wengert;

// Shakespeare, sonnets 18, 116 and 29.
constexpr std::string_view sonnets = R"(Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date:
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd;
And every fair from fair sometime declines,
By chance or nature's changing course untrimm'd;
But thy eternal summer shall not fade
Nor lose possession of that fair thou owest;
Nor shall Death brag thou wander'st in his shade,
When in eternal lines to time thou growest:
So long as men can breathe or eyes can see,
So long lives this, and this gives life to thee.

Let me not to the marriage of true minds
Admit impediments. Love is not love
Which alters when it alteration finds,
Or bends with the remover to remove:
O no! it is an ever-fixed mark
That looks on tempests and is never shaken;
It is the star to every wandering bark,
Whose worth's unknown, although his height be taken.
Love's not Time's fool, though rosy lips and cheeks
Within his bending sickle's compass come:
Love alters not with his brief hours and weeks,
But bears it out even to the edge of doom.
If this be error and upon me proved,
I never writ, nor no man ever loved.

When, in disgrace with fortune and men's eyes,
I all alone beweep my outcast state
And trouble deaf heaven with my bootless cries
And look upon myself and curse my fate,
Wishing me like to one more rich in hope,
Featured like him, like him with friends possess'd,
Desiring this man's art and that man's scope,
With what I most enjoy contented least;
Yet in these thoughts myself almost despising,
Haply I think on thee, and then my state,
Like to the lark at break of day arising
From sullen earth, sings hymns at heaven's gate;
For thy sweet love remember'd such wealth brings
That then I scorn to change my state with kings.
)";

struct Options {
  std::string data, model = "both", out = ".";
  std::int64_t hidden = 0, layers = 0, heads = 4, context = 0, batch = 32, steps = 0, sample = 400;
  double minutes = 0, lr = 0, dropout = -1, temperature = 0.8;
  std::uint64_t seed = 1;
  int threads = 0;
};

// --- the text -------------------------------------------------------------------------------------------------------

// Characters as numbers; a tenth is held back.
struct Text {
  std::string alphabet;
  Tensor train, validation;  // [length] int64

  explicit Text(std::string_view text) {
    std::array<std::int64_t, 256> number{};
    for (const char c : text) number[static_cast<unsigned char>(c)] = 1;
    for (int c = 0; c < 256; ++c)
      if (number[static_cast<std::size_t>(c)]) {
        number[static_cast<std::size_t>(c)] = static_cast<std::int64_t>(alphabet.size());
        alphabet += static_cast<char>(c);
      }
    std::vector<std::int64_t> all;
    for (const char c : text) all.push_back(number[static_cast<unsigned char>(c)]);
    const auto length = static_cast<std::int64_t>(all.size()), kept = length - length / 10;
    const Tensor numbers = from(all, {length});
    train = clone(slice(numbers, 0, 0, kept)), validation = clone(slice(numbers, 0, kept, length));
  }
  std::int64_t size() const { return static_cast<std::int64_t>(alphabet.size()); }
};

std::string read(const std::string& folder) {
  if (folder.empty()) return std::string(sonnets);
  const auto path = std::filesystem::path(folder) / "tinyshakespeare.txt";
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

// Windows of `length` characters of n streams that read on from window to window, and the characters that follow each.
class Streams {
 public:
  Streams(const Tensor& text, std::int64_t n, std::int64_t length)
      : text_(text), n_(n), length_(std::min(length, (text.size(0) - 1) / n)), each_((text.size(0) - 1) / n) {
    if (length_ < 1) throw std::runtime_error("the text is too short for so many streams; try a smaller --batch");
  }
  std::int64_t windows() const { return (each_ - shift_) / length_; }
  bool ended() const { return window_ >= windows(); }
  std::int64_t characters() const { return n_ * length_; }
  // Begins again, not quite at the beginning.
  void restart(std::int64_t shift) { window_ = 0, shift_ = shift % std::max<std::int64_t>(1, each_ - length_ + 1); }

  struct Window {
    Tensor x, y;  // [n, length]
  };
  Window next() {
    const std::int64_t at = shift_ + window_++ * length_;
    const auto cut = [&](std::int64_t from) {
      const Tensor streams = reshape(slice(text_, 0, from, from + n_ * each_), {n_, each_});
      return contiguous(narrow(streams, 1, at, length_));
    };
    return {cut(0), cut(1)};
  }

 private:
  Tensor text_;
  std::int64_t n_, length_, each_, shift_ = 0, window_ = 0;
};

// --- the models -----------------------------------------------------------------------------------------------------

// What a model remembers of the windows before.
struct Memory {
  Tensor h, c;
};

// Both map numbers [n, length] to logits [n, length, size of the alphabet].
struct CharLstm {
  nn::Embedding embedding;
  nn::Lstm rnn;
  nn::Linear output;

  Tensor operator()(const Tensor& x, Memory& memory, nn::Mode mode) const {
    const Recurrent r = rnn(embedding(transpose(x)), {.h = memory.h, .c = memory.c, .mode = mode});
    memory = {r.h.detach(), r.c.detach()};
    return transpose(output(r.output), 0, 1);
  }
};

struct CharTransformer {
  nn::Embedding embedding;
  nn::LearnedPositions positions;
  nn::TransformerEncoder encoder;
  nn::LayerNorm norm;
  nn::Linear output;

  Tensor operator()(const Tensor& x, Memory&, nn::Mode mode) const {
    return output(norm(encoder(positions(embedding(x)), {.causal = true, .mode = mode})));
  }
};

CharLstm make_lstm(const Options& o, std::int64_t size) {
  return {.embedding{size, o.hidden / 4 + 1},
          .rnn{o.hidden / 4 + 1, o.hidden, {.num_layers = o.layers, .dropout = o.dropout}},
          .output{o.hidden, size}};
}
CharTransformer make_transformer(const Options& o, std::int64_t size) {
  return {.embedding{size, o.hidden},
          .positions{o.context, o.hidden},
          .encoder{o.layers,
                   o.hidden,
                   o.heads,
                   {.dim_feedforward = 4 * o.hidden,
                    .dropout = o.dropout,
                    .activation = nn::Activation::gelu,
                    .norm_first = true}},
          .norm{o.hidden},
          .output{o.hidden, size}};
}

Tensor loss_of(const auto& model, const Streams::Window& w, Memory& memory, nn::Mode mode) {
  const Tensor logits = model(w.x, memory, mode);
  return nn::cross_entropy(reshape(logits, {-1, logits.size(-1)}), reshape(w.y, {-1}));
}

// Nats for each character of the text held back, `most` windows at most.
double evaluate(const auto& model, const Text& text, const Options& o, std::int64_t most) {
  no_grad off;
  const std::int64_t streams = std::clamp<std::int64_t>(text.validation.size(0) / (2 * o.context), 1, o.batch);
  Streams held_back(text.validation, streams, o.context);
  Memory memory;
  double sum = 0;
  const std::int64_t n = std::min(held_back.windows(), most);
  for (std::int64_t i = 0; i < n; ++i) sum += loss_of(model, held_back.next(), memory, nn::eval).item();
  return sum / static_cast<double>(n);
}

// Characters drawn one after the other; `temperature` below 1 prefers the likely ones.
std::string write(const auto& model, const Text& text, const Options& o) {
  no_grad off;
  Rng rng{o.seed};
  std::vector<std::int64_t> all{std::max<std::int64_t>(0, static_cast<std::int64_t>(text.alphabet.find('\n')))};
  Memory memory;
  for (std::int64_t i = 0; i < o.sample; ++i) {
    // The LSTM remembers; the transformer reads again.
    const auto back = memory.h.defined() ? 1 : std::min<std::int64_t>(o.context, static_cast<std::int64_t>(all.size()));
    const Tensor x = from(std::vector(all.end() - back, all.end()), {1, back});
    const Tensor logits = select(select(model(x, memory, nn::eval), 0, 0), 0, -1);
    const auto p = softmax(logits * (1 / o.temperature)).template to_vector<float>();
    double left = static_cast<double>(rng.bits() >> 11) * 0x1p-53;
    std::size_t c = 0;
    while (c + 1 < p.size() && (left -= p[c]) > 0) ++c;
    all.push_back(static_cast<std::int64_t>(c));
  }
  std::string s;
  for (const auto c : all) s += text.alphabet[static_cast<std::size_t>(c)];
  return s;
}

// --- training -------------------------------------------------------------------------------------------------------

struct Record {
  common::Curve step_loss, loss;
};

Record train(auto& model, const std::string& name, const Text& text, const Options& o) {
  Record record;
  record.loss.name = name;
  optim::AdamW adam{model, {.lr = o.lr, .beta2 = 0.99, .weight_decay = 0.1}};
  Streams streams(text.train, o.batch, o.context);
  Rng rng{o.seed};
  Memory memory;
  common::Progress progress(o.steps * streams.characters(), "characters");
  progress.say("    step      loss   validation   characters/s    left");
  double smooth = 0;
  const double warm_up = std::min(100.0, static_cast<double>(o.steps) / 10);
  const std::int64_t every = std::max<std::int64_t>(1, o.steps / 20);
  for (std::int64_t step = 0; step < o.steps; ++step) {
    const double part = std::max(static_cast<double>(step) / static_cast<double>(o.steps),
                                 o.minutes > 0 ? progress.seconds() / (60 * o.minutes) : 0);
    if (part >= 1) break;
    if (streams.ended()) {
      streams.restart(static_cast<std::int64_t>(rng.bits() % static_cast<std::uint64_t>(o.context)));
      memory = {};
    }
    const auto window = streams.next();
    Memory next = memory;
    auto [loss, grads] = value_and_grad(
        [&](const auto& m) { return next = memory, loss_of(m, window, next, nn::training(rng)); }, model);
    memory = next;
    optim::clip_norm(grads, 1.0);
    // Up along a line, down along a cosine to a tenth.
    adam.lr = o.lr * std::min(1.0, static_cast<double>(step + 1) / warm_up) * (0.55 + 0.45 * std::cos(M_PI * part));
    adam.step(model, grads);

    const double value = loss.item();
    if (!std::isfinite(value)) throw std::runtime_error("the loss is no number any more; try a smaller --lr");
    smooth = step ? 0.95 * smooth + 0.05 * value : value;
    record.step_loss.add(static_cast<double>(step + 1), value);
    progress.advance(streams.characters());
    if ((step + 1) % every) continue;
    record.loss.add(static_cast<double>(step + 1), evaluate(model, text, o, 20));
    progress.say(fmt::format("  {:>6} {:9.4f} {:12.4f} {:>14} {:>7}", step + 1, smooth, record.loss.y.back(),
                             common::grouped(static_cast<std::int64_t>(progress.per_second())),
                             common::clock_time(progress.seconds_left())));
  }
  fmt::print("\n  trained in {:.1f} s\n", progress.seconds());
  return record;
}

template <class Model>
Record run(Model model, const std::string& name, const Text& text, const Options& o) {
  fmt::print("\n{}, {} parameters\n\n", name, common::grouped(num_parameters(model)));
  Record record = train(model, name, text, o);
  const double loss = evaluate(model, text, o, std::int64_t(1) << 40);
  fmt::print("  {:.4f} nats for each character of the text held back\n\n{}\n\n", loss, write(model, text, o));
  const auto path = (std::filesystem::path(o.out) / (name + ".safetensors")).lexically_normal().string();
  save(path, model, {{"validation_loss", fmt::format("{:.4f}", loss)}});
  fmt::print("  {} holds the model\n", path);
  return record;
}

// --- the program ----------------------------------------------------------------------------------------------------

void plot(std::vector<Record> records, const std::string& path) {
  common::Panel panel{.title = "Nats for each character: training (pale), text held back", .x_label = "step"};
  for (std::size_t i = 0; i < records.size(); ++i) {
    records[i].step_loss.faint = true;
    records[i].step_loss.colour = records[i].loss.colour = static_cast<int>(i);
  }
  for (const Record& r : records) panel.curves.push_back(r.step_loss);
  for (const Record& r : records) panel.curves.push_back(r.loss);
  if (common::plot(path, {panel})) fmt::print("  {} shows the losses\n", path);
  else fmt::print("  {} was not drawn: it needs gnuplot (Debian: apt-get install gnuplot-nox)\n", path);
}

Options parse(int argc, char** argv) {
  Options o;
  CLI::App app{"Trains networks that write text, character by character."};
  app.add_option("--data", o.data, "folder with tinyshakespeare.txt; without it, three sonnets")
      ->check(CLI::ExistingDirectory);
  app.add_option("--model", o.model, "lstm, transformer or both")
      ->check(CLI::IsMember({"lstm", "transformer", "both"}))
      ->capture_default_str();
  app.add_option("--hidden", o.hidden, "size of the state [lstm 256, transformer 128]")->check(CLI::PositiveNumber);
  app.add_option("--layers", o.layers, "[lstm 2, transformer 4]")->check(CLI::PositiveNumber);
  app.add_option("--heads", o.heads, "of the transformer")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--context", o.context, "characters in a window [lstm 64, transformer 96]")
      ->check(CLI::PositiveNumber);
  app.add_option("--batch", o.batch, "windows in a step")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--steps", o.steps, "[with --data 4000, else 300]")->check(CLI::PositiveNumber);
  app.add_option("--minutes", o.minutes, "ends after so many, whatever is left to do")->check(CLI::PositiveNumber);
  app.add_option("--lr", o.lr, "largest learning rate of AdamW [lstm 0.004, transformer 0.002]")
      ->check(CLI::PositiveNumber);
  app.add_option("--dropout", o.dropout, "[lstm 0.1, transformer 0]")->check(CLI::Range(0.0, 0.9));
  app.add_option("--sample", o.sample, "characters to write")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--temperature", o.temperature, "of the sample")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--seed", o.seed, "of weights, dropout and sample")->capture_default_str();
  app.add_option("--threads", o.threads, "threads to use [all]; results do not depend on it")
      ->check(CLI::PositiveNumber);
  app.add_option("--out", o.out, "folder for models and pictures")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e));
  }
  if (!o.steps) o.steps = o.data.empty() ? 300 : 4000;
  return o;
}

Options completed(Options o, std::int64_t hidden, std::int64_t layers, std::int64_t context, double lr,
                  double dropout) {
  if (!o.hidden) o.hidden = hidden;
  if (!o.layers) o.layers = layers;
  if (!o.context) o.context = context;
  if (!(o.lr > 0)) o.lr = lr;
  if (o.dropout < 0) o.dropout = dropout;
  return o;
}

int main(int argc, char** argv) try {
  const Options options = parse(argc, argv);
  if (options.threads) set_threads(options.threads);
  std::filesystem::create_directories(options.out);
  const Text text(read(options.data));
  fmt::print("{} characters of {} kinds to train on, {} held back; {} threads\n", common::grouped(text.train.size(0)),
             text.size(), common::grouped(text.validation.size(0)), threads());
  std::vector<Record> records;
  seed(options.seed);
  if (options.model != "transformer") {
    const Options o = completed(options, 256, 2, 64, 4e-3, 0.1);
    records.push_back(run(make_lstm(o, text.size()), "lstm", text, o));
  }
  if (options.model != "lstm") {
    const Options o = completed(options, 128, 4, 96, 2e-3, 0);
    records.push_back(run(make_transformer(o, text.size()), "transformer", text, o));
  }
  plot(records, (std::filesystem::path(options.out) / "shakespeare.svg").lexically_normal().string());
} catch (const std::exception& e) {
  fmt::print(stderr, "shakespeare: {}\n", e.what());
  return 1;
}
