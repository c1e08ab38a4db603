#include "wengert/train/logs.h"

#include "files.h"
#include "support.h"
#include "wengert/train/progress.h"

#include <cmath>
#include <cstdio>
#include <cstring>

using namespace wengert;
using test::contains;
using test::message;

namespace {

train::History table(std::vector<std::vector<double>> rows) {
  train::History h({"epoch", "step", "seconds", "lr", "loss", "accuracy"});
  for (const auto& row : rows) h.add(row);
  return h;
}
train::FitEvent event(const train::History& h) {
  return {.epochs = 9, .gradient_norm = std::nan(""), .lr = 0.5, .seconds_left = 75, .history = h};
}

// What a bar writes.
std::string printed(int columns, const std::vector<train::FitEvent>& events) {
  std::FILE* file = std::tmpfile();
  train::ProgressBar bar(file, columns);
  for (const train::FitEvent& e : events) bar(e);
  std::string text(static_cast<std::size_t>(std::ftell(file)), ' ');
  std::rewind(file);
  REQUIRE(std::fread(text.data(), 1, text.size(), file) == text.size());
  std::fclose(file);
  return text;
}

template <class T>
T number(const std::string& bytes, std::size_t at) {
  T x;
  std::memcpy(&x, bytes.data() + at, sizeof x);
  return x;
}

}  // namespace

TEST_CASE("csv log: a line for each epoch, and a training that goes on replaces what it does again") {
  const TemporaryFolder folder;
  const std::string path = folder / "log.csv", names = "epoch,step,seconds,lr,loss,accuracy\n";
  const train::History two = table({{1, 10, 0.5, 0.1, 2.5, 0.25}, {2, 20, 1, 0.1, 1.5, 0.5}});
  train::CsvLog log(path);
  train::FitEvent e = event(two);
  log(e);
  CHECK(read_bytes(path).empty());  // steps are not logged
  e.end_of_epoch = true;
  log(e);
  CHECK(read_bytes(path) == names + "1,10,0.5,0.1,2.5,0.25\n2,20,1,0.1,1.5,0.5\n");

  // Killed in the middle of epoch 3 of a run whose last file is that of epoch 1.
  const train::History again = table({{2, 20, 1, 0.1, 1.25, 0.5}});
  train::FitEvent resumed = event(again);
  resumed.end_of_epoch = true;
  train::CsvLog more(path, {.append = true});
  more(resumed);
  CHECK(read_bytes(path) == names + "1,10,0.5,0.1,2.5,0.25\n2,20,1,0.1,1.25,0.5\n");

  train::History other({"epoch", "loss"});
  other.add({1, 2});
  train::FitEvent wrong = event(other);
  wrong.end_of_epoch = true;
  train::CsvLog bad(path, {.append = true});
  CHECK(contains(message<FileError>([&] { bad(wrong); }), "has the columns"));
  train::CsvLog nowhere(folder / "none/log.csv");
  CHECK_THROWS_AS(nowhere(e), FileError);
}

TEST_CASE("history: a picture has a panel for each last word, names are escaped, and NaN leaves a gap") {
  train::History h({"epoch", "loss", "validation loss", "a<b", "nothing"});
  h.add({1, 100, 90, 1, std::nan("")});
  h.add({2, std::nan(""), 2, 2, std::nan("")});
  h.add({3, 1, 2, 3, std::nan("")});
  const std::string svg = h.svg();
  CHECK(contains(svg, "validation loss"));
  CHECK(contains(svg, "a&lt;b"));
  CHECK_FALSE(contains(svg, "nothing"));
  CHECK_FALSE(contains(svg, "nan"));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(contains(train::History({"epoch", "loss"}).svg(), "</svg>"));
  train::History constant({"epoch", "loss"});
  constant.add({1, 0});
  CHECK_FALSE(contains(constant.svg(), "nan"));
  const TemporaryFolder folder;
  h.write_svg(folder / "h.svg"), h.write_csv(folder / "h.csv");
  CHECK(read_bytes(folder / "h.svg") == svg);
  CHECK(contains(read_bytes(folder / "h.csv"), "epoch,loss,validation loss,a<b,nothing\n1,100,90,1,nan\n"));
}

TEST_CASE("progress bar: a bar on a terminal, plain lines else") {
  const train::History h = table({{2, 20, 1, 0.1, 1.5, 0.5}});
  train::FitEvent step = event(h), epoch = step, end = step;
  step.epoch = epoch.epoch = 2, step.batch = 5, step.batches = 10, step.loss = 1.25, step.rows_per_second = 12345;
  epoch.end_of_epoch = true, epoch.rows_per_second = 12345, end.end = true;
  const std::string plain = printed(0, {step, epoch, end});
  CHECK(contains(plain, "epoch 2/9   lr 0.1"));
  CHECK(contains(plain, "loss 1.5"));
  CHECK(contains(plain, "accuracy 0.5"));
  CHECK(contains(plain, "12,345/s   1:15 left"));
  CHECK_FALSE(contains(plain, "\r"));
  CHECK_FALSE(contains(plain, "\033"));
  const std::string bar = printed(80, {step, epoch, end});
  CHECK(contains(bar, "█"));
  CHECK(contains(bar, "epoch 2/9  5/10  loss 1.25"));
  CHECK(contains(bar, "\r\033[K" + plain));
  CHECK(contains(printed(20, {step}), "\repoch 2/9  5/10  lo\033[K"));
}

TEST_CASE("tensorboard log: records with lengths and masked checksums, one for each number") {
  const TemporaryFolder folder;
  const train::History h = table({{1, 10, 0.5, 0.1, 2.5, 0.25}});
  train::TensorBoardLog log(folder / "runs/1", {.every = 2}), second(folder / "runs/1");
  CHECK(log.path() != second.path());
  train::FitEvent step = event(h), epoch = step;
  step.step = 3;
  log(step);  // not one of every two
  step.step = 300, step.batch_loss = 0.75;
  log(step);
  epoch.end_of_epoch = true, epoch.epoch = 1;
  log(epoch);
  const std::string bytes = read_bytes(log.path());
  std::vector<std::string> records;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto n = number<std::uint64_t>(bytes, at);
    REQUIRE(at + 16 + n <= bytes.size());
    records.push_back(bytes.substr(at + 12, n));
    at += 16 + n;
  }
  REQUIRE(records.size() == 1 + 2 + 4);  // version; loss and rate; seconds, lr, loss, accuracy
  CHECK(contains(records[0], "brain.Event:2"));
  // The length 24 of a version record, and its checksum as TensorFlow writes it.
  CHECK(number<std::uint64_t>(bytes, 0) == 24);
  CHECK(number<std::uint32_t>(bytes, 8) == 0x224b7fa3);
  CHECK(contains(records[1], "step/loss"));
  CHECK(number<float>(records[1], records[1].size() - 4) == 0.75f);
  CHECK(records[1][9] == '\x10');
  CHECK(records[1].substr(10, 2) == "\xac\x02");  // 300, seven bits at a time
  CHECK(contains(records[6], "epoch/accuracy"));
}
