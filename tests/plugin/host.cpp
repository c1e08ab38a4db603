// host CASE PLUGIN [LIBRARY COPY]: a program that is not linked against the library opens a plug-in that is. A case
// that fails says why, and ends with status 1.

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <string_view>
#include <thread>

namespace {

void demand(bool holds, const std::string& what) {
  if (holds) return;
  std::printf("%s\n", what.c_str());
  std::exit(1);
}

/// A library, open for as long as this lives.
class Opened {
 public:
  explicit Opened(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_) demand(false, dlerror());
  }
  Opened(const Opened&) = delete;
  ~Opened() { demand(dlclose(handle_) == 0, "dlclose failed"); }

  template <class F>
  F* function(const char* name) const {
    void* found = dlsym(handle_, name);
    demand(found, std::string("no function ") + name);
    return reinterpret_cast<F*>(found);
  }

 private:
  void* handle_;
};

double loss_of(const Opened& plugin) {
  const double loss = plugin.function<double()>("train")();
  demand(loss > 0 && loss < 1, "the loss after training is " + std::to_string(loss));
  return loss;
}

void in_thread(auto&& f) { std::thread(f).join(); }

void reopened(const char* path) {
  const double first = loss_of(Opened(path));
  for (int i = 0; i < 3; ++i) demand(loss_of(Opened(path)) == first, "another loss after it was opened again");
}

// One thread is there before the library is, others come later.
void threads(const char* path) {
  std::promise<const Opened*> opened;
  std::thread early([&, plugin = opened.get_future()]() mutable { loss_of(*plugin.get()); });
  const Opened plugin(path);
  opened.set_value(&plugin);
  std::thread late([&] { loss_of(plugin); });
  loss_of(plugin);
  early.join(), late.join();
}

// What a thread leaves to be destroyed at its end is destroyed after the library was closed.
void closed_first(const char* path) {
  for (int i = 0; i < 3; ++i) in_thread([&] { loss_of(Opened(path)); });
}

void given_back(const char* path) {
  const Opened plugin(path);
  const auto reserved = plugin.function<long long()>("reserved");
  in_thread([&] { loss_of(plugin); });
  const auto before = reserved();
  for (int i = 0; i < 50; ++i) in_thread([&] { loss_of(plugin); });
  demand(reserved() == before, "50 threads took " + std::to_string(reserved() - before) + " bytes and kept them");
}

// By the names that C++ gives to functions.
void use_pool(const Opened& library) {
  const auto allocate = library.function<void*(std::size_t)>("_ZN7wengert6detail8allocateEm");
  const auto deallocate = library.function<void(void*, std::size_t)>("_ZN7wengert6detail10deallocateEPvm");
  for (const std::size_t bytes : {64, 1000, 100000}) deallocate(allocate(bytes), bytes);
}

// A copy of the library under another name is a library of its own.
void copied(const char* path, const char* library, const char* copy) {
  const Opened first(library), second(copy), plugin(path);
  const auto use = [&] { use_pool(first), use_pool(second), loss_of(plugin); };
  use();
  in_thread(use);
}

}  // namespace

int main(int, char** argv) {
  const std::string_view name = argv[1];
  if (name == "reopened") reopened(argv[2]);
  else if (name == "threads") threads(argv[2]);
  else if (name == "closed_first") closed_first(argv[2]);
  else if (name == "given_back") given_back(argv[2]);
  else if (name == "copied") copied(argv[2], argv[3], argv[4]);
  else demand(false, "no such case");
}
