// Trains two networks on handwritten digits: one fully connected, one convolutional. Both are plain structs.
//
//   digits                    the 1,797 digits of 8 x 8 pixels that are embedded in the library
//   digits --data FOLDER      MNIST, as idx files, plain or gzip
//
// Writes the trained models (*.safetensors), the curves of loss and accuracy (loss.svg) and the graph of the loss
// (graph.svg).

#include "common/plot.h"
#include "common/progress.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <wengert/wengert.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

using namespace wengert;

// --- the models -----------------------------------------------------------------------------------------------------

struct Mlp {
  nn::Linear first, second, output;

  Tensor operator()(const Tensor& x) const { return output(relu(second(relu(first(x))))); }
};

struct Cnn {
  std::int64_t side;  // of the images
  nn::Conv2d first, second;
  nn::Linear hidden, output;

  Tensor operator()(const Tensor& x) const {
    Tensor image = reshape(x, {-1, 1, side, side});
    image = max_pool(relu(first(image)), {2, 2});
    image = max_pool(relu(second(image)), {2, 2});
    return output(relu(hidden(flatten(image, 1))));
  }
};

Mlp make_mlp(std::int64_t side) { return {.first{side * side, 128}, .second{128, 128}, .output{128, 10}}; }

Cnn make_cnn(std::int64_t side) {
  const auto pooled = side / 4;  // halved twice
  return {.side = side,
          .first{1, 32, 3, {.padding = 1}},
          .second{32, 64, 3, {.padding = 1}},
          .hidden{64 * pooled * pooled, 128},
          .output{128, 10}};
}

// --- training -------------------------------------------------------------------------------------------------------

struct Options {
  std::string data, model = "both", out = ".";
  int epochs = 0, threads = 0;
  std::int64_t batch = 32;
  double lr = 0;
  std::uint64_t seed = 1;
};

struct Images {
  data::Dataset train, validation, test;
  std::int64_t side;
};

struct Record {
  std::string name;
  common::Curve batch_loss, loss, accuracy;
};

template <class Model>
constexpr double usual_lr = 5e-3;
template <>
constexpr double usual_lr<Mlp> = 1e-2;

// What the model takes the images for.
template <class Model>
nn::Confusion evaluate(const Model& model, const data::Dataset& images) {
  no_grad off;
  nn::Confusion confusion(10);
  for (auto [x, y] : data::batches(images, {.batch_size = 256})) confusion.update(model(x), y);
  return confusion;
}

template <class Model>
Record train(Model& model, const std::string& name, const Images& images, const Options& options) {
  Record record;
  record.name = name;
  const double lr = options.lr ? options.lr : usual_lr<Model>;
  optim::Adam adam{model, {.lr = lr, .weight_decay = 1e-3}};
  Rng rng{options.seed};
  const auto rows = images.train.size();
  const std::int64_t steps = options.epochs * ((rows + options.batch - 1) / options.batch);
  std::int64_t step = 0;
  common::Progress progress(options.epochs * rows, "images");
  progress.say("   epoch      loss   validation   images/s    left");

  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    double sum = 0;
    std::int64_t seen = 0;
    for (auto [x, y] : data::batches(images.train, {.batch_size = options.batch, .shuffle = rng})) {
      auto [loss, grads] = value_and_grad([x = x, y = y](const Model& m) { return nn::cross_entropy(m(x), y); }, model);
      adam.lr = lr * (1 + std::cos(M_PI * static_cast<double>(step++) / static_cast<double>(steps))) / 2;
      adam.step(model, grads);

      sum += loss.item() * static_cast<double>(x.size(0)), seen += x.size(0);
      record.batch_loss.add(epoch - 1 + static_cast<double>(seen) / static_cast<double>(rows), loss.item());
      progress.advance(x.size(0));
    }
    const double loss = sum / static_cast<double>(rows), accuracy = 100 * evaluate(model, images.validation).accuracy();
    record.loss.add(epoch, loss), record.accuracy.add(epoch, accuracy);
    progress.say(fmt::format("  {:>3}/{:<3} {:9.4f} {:10.2f} % {:>10} {:>7}", epoch, options.epochs, loss, accuracy,
                             common::grouped(static_cast<std::int64_t>(progress.per_second())),
                             common::clock_time(progress.seconds_left())));
    if (!std::isfinite(loss)) throw std::runtime_error("the loss is no number any more; try a smaller --lr");
  }
  fmt::print("\n  trained in {:.1f} s\n", progress.seconds());
  return record;
}

// --- what is left behind --------------------------------------------------------------------------------------------

class Folder {
 public:
  explicit Folder(const std::string& path) : path_(path) { std::filesystem::create_directories(path_); }

  std::string operator/(const std::string& name) const { return (path_ / name).lexically_normal().string(); }

 private:
  std::filesystem::path path_;
};

template <class Model>
void draw(const Model& model, const Images& images, const std::string& path) {
  const auto [x, y] = data::batches(images.test, {.batch_size = 32})[0];
  try {
    write_svg(nn::cross_entropy(model(x), y), path, model, {.names = {{"images", x}, {"labels", y}}});
    fmt::print("  {} shows the graph of the loss\n", path);
  } catch (const FileError& e) {
    const std::string_view what = e.what();
    fmt::print("  {} was not drawn: {}\n", path, what.substr(0, what.find('\n')));
  }
}

void plot(std::vector<Record> records, const std::string& path) {
  common::Panel loss{.title = "Training loss", .logarithmic = true, .number_format = "10^{%T}"};
  common::Panel accuracy{.title = "Accuracy on validation images", .number_format = "%g %%"};
  for (Record& r : records) {
    r.batch_loss.faint = true, r.loss.name = r.accuracy.name = r.name;
    r.batch_loss.colour = r.loss.colour = r.accuracy.colour = static_cast<int>(&r - records.data());
  }
  for (const Record& r : records) loss.curves.push_back(r.batch_loss);  // behind the others
  for (const Record& r : records) loss.curves.push_back(r.loss), accuracy.curves.push_back(r.accuracy);
  // Single batches of almost no loss, and first epochs of no use, would squeeze everything else.
  for (const Record& r : records)
    loss.low = std::min(loss.low, *std::min_element(r.loss.y.begin(), r.loss.y.end()) / 5);
  for (const common::Curve& c : accuracy.curves)
    accuracy.low = std::min({accuracy.low, std::floor(c.y[c.y.size() / 8]), 99.});
  if (common::plot(path, {loss, accuracy})) fmt::print("  {} shows loss and accuracy\n", path);
  else fmt::print("  {} was not drawn: it needs gnuplot (Debian: apt-get install gnuplot-nox)\n", path);
}

template <class Model>
Record run(Model model, const std::string& name, const Images& images, const Options& options, const Folder& out) {
  fmt::print("\n{}, {} parameters\n\n", name, common::grouped(num_parameters(model)));
  Record record = train(model, name, images, options);
  const auto confusion = evaluate(model, images.test);
  const double part = confusion.accuracy();
  fmt::print("  {} of {} test images are right: {:.2f} %\n\n{}\n",
             std::llround(part * static_cast<double>(confusion.total())), confusion.total(), 100 * part,
             to_string(confusion));

  std::string file = name + ".safetensors";
  std::transform(file.begin(), file.end(), file.begin(), [](unsigned char c) { return std::tolower(c); });
  save(out / file, model, {{"test_accuracy", fmt::format("{:.4f}", confusion.accuracy())}});
  fmt::print("  {} holds the model\n", out / file);
  draw(model, images, out / "graph.svg");
  return record;
}

// --- the program ----------------------------------------------------------------------------------------------------

// A fixed part of the images is held out for the test, and a fixed tenth of the others for validation: neither depends
// on --seed.
Images read_images(const std::string& folder) {
  Rng fixed{2024};
  const data::Split all =
      folder.empty() ? data::split(data::digits(), {.test = 0.2, .shuffle = fixed}) : data::mnist(folder);
  const auto [train, validation] = data::split(all.train, {.test = 0.1, .shuffle = fixed});
  const auto side = std::llround(std::sqrt(train.x.size(1)));
  return {train, validation, all.test, side};
}

const CLI::Validator positive(
    [](std::string& text) {
      double number = 0;
      const bool ok = CLI::detail::lexical_cast(text, number) && number > 0;
      return ok ? std::string() : "must be a number above 0, got " + text;
    },
    "");

Options parse(int argc, char** argv) {
  Options o;
  CLI::App app{"Trains networks on handwritten digits."};
  app.add_option("--data", o.data, "folder with MNIST as idx files; without it, the embedded 8 x 8 digits")
      ->check(CLI::ExistingDirectory);
  app.add_option("--model", o.model, "mlp, cnn or both")
      ->check(CLI::IsMember({"mlp", "cnn", "both"}))
      ->capture_default_str();
  app.add_option("--epochs", o.epochs, "passes over the training images [30; MNIST 8]")->check(positive);
  app.add_option("--batch", o.batch, "images in a step")->check(positive)->capture_default_str();
  app.add_option("--lr", o.lr, "learning rate of Adam at first, falling to 0 along a cosine [MLP 0.01, CNN 0.005]")
      ->check(positive);
  app.add_option("--seed", o.seed, "of weights and shuffling")->capture_default_str();
  app.add_option("--threads", o.threads, "threads to use [all]; results do not depend on it")->check(positive);
  app.add_option("--out", o.out, "folder for models and pictures")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e));
  }
  if (!o.epochs) o.epochs = o.data.empty() ? 30 : 8;
  return o;
}

int main(int argc, char** argv) try {
  const Options options = parse(argc, argv);
  if (options.threads) set_threads(options.threads);
  const Images images = read_images(options.data);
  const Folder out(options.out);
  fmt::print("{} images of {} x {} pixels to train on, {} for validation, {} for the test; {} threads\n",
             common::grouped(images.train.size()), images.side, images.side, common::grouped(images.validation.size()),
             common::grouped(images.test.size()), threads());

  std::vector<Record> records;
  seed(options.seed);
  if (options.model != "cnn") records.push_back(run(make_mlp(images.side), "MLP", images, options, out));
  if (options.model != "mlp") records.push_back(run(make_cnn(images.side), "CNN", images, options, out));
  plot(records, out / "loss.svg");
} catch (const std::exception& e) {
  fmt::print(stderr, "digits: {}\n", e.what());
  return 1;
}
