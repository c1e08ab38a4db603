#include "wengert/autodiff/inspect/graphviz.h"

#include "wengert/autodiff/base/fail.h"

#ifndef WENGERT_GRAPHVIZ

std::string wengert::svg_of(std::string_view, Where where) {
  fail<FileError>(
      where,
      "write_svg: this wengert was built with -Dgraphviz=disabled; use write_dot(y, \"graph.dot\"), then run "
      "dot -Tsvg graph.dot -o graph.svg");
}

#else

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>

extern char** environ;

namespace wengert {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

std::string message(int error) { return std::generic_category().message(error); }

// Has no name and disappears with its last descriptor. Files rather than pipes: nobody waits for anybody.
File scratch_file(Where where) {
  std::FILE* f = std::tmpfile();
  if (!f) fail<FileError>(where, "write_svg: no temporary file could be made: {}", message(errno));
  ::fcntl(::fileno(f), F_SETFD, FD_CLOEXEC);
  return {f, std::fclose};
}

struct Redirections {
  posix_spawn_file_actions_t actions;
  Redirections(int in, int out, int err) {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out, 1);
    ::posix_spawn_file_actions_adddup2(&actions, err, 2);
  }
  ~Redirections() { ::posix_spawn_file_actions_destroy(&actions); }
  Redirections(const Redirections&) = delete;
};

// The exit status as a shell shows it; nothing when the program ignores SIGCHLD and nobody can know.
int status_of(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string content(std::FILE* f) {
  std::string s;
  std::array<char, 4096> piece;
  std::rewind(f);
  while (const std::size_t n = std::fread(piece.data(), 1, piece.size(), f)) s.append(piece.data(), n);
  return s;
}

// The first lines of what dot had to say.
std::string said(std::FILE* f) {
  std::string s = content(f).substr(0, 600);
  while (!s.empty() && s.back() == '\n') s.pop_back();
  return s;
}

}  // namespace

std::string svg_of(std::string_view text, Where where) {
  const File in = scratch_file(where), out = scratch_file(where), err = scratch_file(where);
  if (std::fwrite(text.data(), 1, text.size(), in.get()) != text.size() || std::fflush(in.get()) != 0)
    fail<FileError>(where, "write_svg: a temporary file could not be written: {}", message(errno));
  std::rewind(in.get());

  const Redirections redirections(::fileno(in.get()), ::fileno(out.get()), ::fileno(err.get()));
  std::string program = "dot", format = "-Tsvg";
  const std::array<char*, 3> arguments{program.data(), format.data(), nullptr};
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, program.c_str(), &redirections.actions, nullptr, arguments.data(), environ);
  if (error == ENOENT)
    fail<FileError>(
        where,
        "write_svg: the program dot was not found on PATH; install graphviz (Debian: apt-get install graphviz), or use "
        "write_dot");
  if (error) fail<FileError>(where, "write_svg: the program dot could not be started: {}", message(error));
  if (const int status = status_of(child))
    fail<FileError>(where, "write_svg: dot ended with status {}: {}", status, said(err.get()));
  std::string svg = content(out.get());
  if (svg.find("</svg>") == svg.npos) fail<FileError>(where, "write_svg: dot wrote no picture: {}", said(err.get()));
  return svg;
}

}  // namespace wengert

#endif
