#pragma once

// What the benchmarks share: a command line, timing, one JSON line per measured case.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// One number of /proc/self/status, in MiB. Unlike getrusage it knows nothing of the program that started this one.
inline double status_mib(std::string_view key) {
  double mib = 0;
  char line[256];
  std::FILE* f = std::fopen("/proc/self/status", "r");
  while (f && std::fgets(line, sizeof line, f))
    if (std::string_view(line).starts_with(key)) mib = std::strtod(line + key.size(), nullptr) / 1024;
  if (f) std::fclose(f);
  return mib;
}
inline double rss_mib() { return status_mib("VmRSS:"); }
inline double peak_rss_mib() { return status_mib("VmHWM:"); }
/// Of the program before it did anything: kept by the first call.
inline double start_rss_mib() {
  static const double mib = rss_mib();
  return mib;
}

/// --list | --case NAME[*] --threads N --samples N --ms N
struct Options {
  bool list = false;
  std::string lib = "wengert";
  std::string wanted = "*";  ///< a name, or the beginning of names with a star
  int threads = 1;
  int samples = 15;
  double ms = 30;  ///< at least this long is one sample

  bool wants(std::string_view name) const {
    if (wanted == "all" || wanted == name) return true;
    return wanted.ends_with('*') && name.starts_with(std::string_view(wanted).substr(0, wanted.size() - 1));
  }
};

[[noreturn]] inline void usage(const char* program) {
  fmt::print(stderr, "usage: {} --list | [--case NAME or 'BEGINNING*'] [--threads N] [--samples N] [--ms N]\n",
             program);
  std::exit(2);
}

inline Options parse(int argc, char** argv, std::string_view lib = "wengert") {
  Options o;
  o.lib = lib;
  start_rss_mib();
  for (int i = 1; i < argc; ++i) {
    const std::string_view key = argv[i];
    auto number = [&](auto& to) {
      if (++i >= argc) usage(argv[0]);
      const auto [end, error] = std::from_chars(argv[i], argv[i] + std::strlen(argv[i]), to);
      if (error != std::errc() || *end || !(to >= 1)) usage(argv[0]);
    };
    if (key == "--list") o.list = true;
    else if (key == "--case" && i + 1 < argc) o.wanted = argv[++i];
    else if (key == "--threads") number(o.threads);
    else if (key == "--samples") number(o.samples);
    else if (key == "--ms") number(o.ms);
    else usage(argv[0]);
  }
  return o;
}

struct Stat {
  double min_ns = 0, median_ns = 0;
  int samples = 0;
};

inline Stat summarize(std::vector<double> ns) {
  if (ns.empty()) return {};
  std::sort(ns.begin(), ns.end());
  return {ns.front(), ns[ns.size() / 2], static_cast<int>(ns.size())};
}

inline double now_ns() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Nanoseconds per call over n calls.
template <class F>
double sample(F&& f, long n) {
  const double start = now_ns();
  for (long i = 0; i < n; ++i) f();
  return (now_ns() - start) / static_cast<double>(n);
}

/// So many that a sample lasts long enough; the first calls are warm-up, unless one alone takes very long.
template <class F>
long calls_per_sample(const Options& o, F&& f) {
  for (int i = 0; i < 3; ++i)
    if (sample(f, 1) > 100e6 * o.ms) return 1;
  long n = 1;
  for (double ns; (ns = sample(f, n) * static_cast<double>(n)) < o.ms * 1e6;)
    n = std::max(n + 1,
                 static_cast<long>(static_cast<double>(n) * std::min(10.0, 1.1 * o.ms * 1e6 / std::max(ns, 1.0))));
  return n;
}

template <class F>
Stat measure(const Options& o, F&& f) {
  const long n = calls_per_sample(o, f);
  std::vector<double> ns;
  for (int s = 0; s < o.samples; ++s) ns.push_back(sample(f, n));
  return summarize(std::move(ns));
}

/// Several that are compared: in turns, so that whatever else the machine does hits all of them alike.
inline std::vector<Stat> measure_in_turns(const Options& o, const std::vector<std::function<void()>>& rivals) {
  std::vector<long> n;
  for (const auto& f : rivals) n.push_back(calls_per_sample(o, f));
  std::vector<std::vector<double>> ns(rivals.size());
  for (int s = 0; s < o.samples; ++s)
    for (std::size_t i = 0; i < rivals.size(); ++i) ns[i].push_back(sample(rivals[i], n[i]));
  std::vector<Stat> stats;
  for (auto& each : ns) stats.push_back(summarize(std::move(each)));
  return stats;
}

/// `extra` is a formatted list of further members, or empty.
inline void emit(const Options& o, std::string_view name, const Stat& s, std::string_view extra = "") {
  fmt::print(
      "{{\"lib\":\"{}\",\"case\":\"{}\",\"threads\":{},\"min_ns\":{:.1f},\"median_ns\":{:.1f},\"samples\":{}{}{}}}"
      "\n",
      o.lib, name, o.threads, s.min_ns, s.median_ns, s.samples, extra.empty() ? "" : ",", extra);
  std::fflush(stdout);
}

inline std::string peak_rss() {
  return fmt::format("\"peak_rss_mib\":{:.1f},\"start_rss_mib\":{:.1f}", peak_rss_mib(), start_rss_mib());
}

/// Measures and emits.
template <class F>
void report(const Options& o, const std::string& name, F&& f) {
  const Stat s = measure(o, f);
  emit(o, name, s, peak_rss());
}

/// A graph made, walked back and released, over and over: nanoseconds per operator.
struct Phases {
  std::vector<double> forward, backward, release, total;
};
template <class Make, class Walk>
Phases phases(int length, int times, Make&& make, Walk&& walk) {
  Phases p;
  for (int s = 0; s < times; ++s) {
    const double t0 = now_ns();
    auto y = make();
    const double t1 = now_ns();
    walk(y);
    const double t2 = now_ns();
    {
      const auto gone = std::move(y);
    }
    const double t3 = now_ns();
    if (s < times / 30) continue;  // warm-up
    p.forward.push_back((t1 - t0) / length);
    p.backward.push_back((t2 - t1) / length);
    p.release.push_back((t3 - t2) / length);
    p.total.push_back((t3 - t0) / length);
  }
  return p;
}

inline void report_chain(const Options& o, const std::string& name, const Phases& p) {
  emit(o, name + "_fwd_per_op", summarize(p.forward));
  emit(o, name + "_bwd_per_op", summarize(p.backward));
  emit(o, name + "_free_per_op", summarize(p.release));
  emit(o, name + "_total_per_op", summarize(p.total));
}

/// A chain of a million: does it live, and what does it weigh?
inline void report_deep(const Options& o, const std::string& what, const Phases& p, double heap, double rss) {
  emit(o, "deep_" + what + "_1e6", summarize(p.total),
       fmt::format("\"fwd_ns_per_op\":{:.1f},\"bwd_ns_per_op\":{:.1f},\"free_ns_per_op\":{:.1f},"
                   "\"heap_bytes_per_op\":{:.1f},\"rss_bytes_per_op\":{:.1f}",
                   p.forward[0], p.backward[0], p.release[0], heap, rss));
}

/// The same work per operator or row, whatever the size: one point of a curve of growth.
template <class F>
void report_growth(const Options& o, const std::string& name, std::int64_t n, F&& f) {
  const auto each = static_cast<double>(n);
  const Stat s = measure(o, f);
  emit(o, fmt::format("growth_{}_{}", name, n), {s.min_ns / each, s.median_ns / each, s.samples},
       fmt::format("\"n\":{},{}", n, peak_rss()));
}

struct Case {
  std::string name;
  std::function<void(const Options&)> run;
};

/// The exit status of the program.
inline int run(const std::vector<Case>& cases, const Options& o) {
  int ran = 0;
  for (const Case& c : cases) {
    if (!o.wants(c.name)) continue;
    ++ran;
    if (o.list) fmt::print("{}\n", c.name);
    else c.run(o);
  }
  if (!ran) fmt::print(stderr, "no such case: {}; --list names them\n", o.wanted);
  return ran ? 0 : 2;
}

}  // namespace bench
