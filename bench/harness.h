#pragma once

// What the benchmarks share: a command line, timing, one JSON line per measured case.

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// --list | --case NAME[*] --threads N --samples N --ms N
struct Options {
  bool list = false;
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

inline Options parse(int argc, char** argv) {
  Options o;
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

/// As many samples as asked for, each of so many calls that it lasts long enough.
template <class F>
Stat measure(const Options& o, F&& f, int warm_up = 3) {
  sample(f, warm_up);
  long n = 1;
  for (double ns; (ns = sample(f, n) * static_cast<double>(n)) < o.ms * 1e6;)
    n = std::max(n + 1,
                 static_cast<long>(static_cast<double>(n) * std::min(10.0, 1.1 * o.ms * 1e6 / std::max(ns, 1.0))));
  std::vector<double> ns;
  for (int s = 0; s < o.samples; ++s) ns.push_back(sample(f, n));
  return summarize(std::move(ns));
}

inline double peak_rss_mib() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return static_cast<double>(u.ru_maxrss) / 1024;
}

inline double rss_bytes() {
  long pages = 0, resident = 0;
  if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%ld %ld", &pages, &resident) != 2) resident = 0;
    std::fclose(f);
  }
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// `extra` is a formatted list of further members, or empty.
inline void emit(const Options& o, std::string_view name, const Stat& s, std::string_view extra = "") {
  fmt::print(
      "{{\"lib\":\"wengert\",\"case\":\"{}\",\"threads\":{},\"min_ns\":{:.1f},\"median_ns\":{:.1f},\"samples\":{}{}{}}}"
      "\n",
      name, o.threads, s.min_ns, s.median_ns, s.samples, extra.empty() ? "" : ",", extra);
  std::fflush(stdout);
}

inline std::string peak_rss() { return fmt::format("\"peak_rss_mib\":{:.1f}", peak_rss_mib()); }

/// Measures and emits.
template <class F>
void report(const Options& o, const std::string& name, F&& f) {
  const Stat s = measure(o, f);
  emit(o, name, s, peak_rss());
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
