#include "wengert/autodiff/base/pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define WENGERT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WENGERT_ASAN 1
#endif
#endif
#ifdef WENGERT_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) (void)0
#define ASAN_UNPOISON_MEMORY_REGION(p, n) (void)0
#endif

namespace wengert::detail {
namespace {

constexpr std::size_t unit = 64;                    // alignment and smallest block
constexpr std::size_t huge = std::size_t{1} << 21;  // a huge page: one fault in place of 512
constexpr std::size_t region_size = 4 * huge;       // what does not fill a huge page is cut from a region of some
constexpr std::size_t slab = 256 * 1024;            // small blocks are cut from slabs, which are cut from regions
constexpr std::size_t small_classes = 16;           // multiples of the unit
constexpr std::size_t beside = 256;  // in larger classes, so that a body and numbers that fill a power of two fit well
constexpr std::size_t small_limit = 16 * 1024 + beside;
constexpr int class_count = small_classes + 4 * 38;
#ifdef WENGERT_ASAN
constexpr std::size_t between = 64;  // blocks: poisoned, so that running over the end of one is seen
#else
constexpr std::size_t between = 0;
#endif
constexpr std::int64_t portion = 65536;  // what a thread took and gave reaches the common count in portions

// Multiples of 64 up to 1 KiB, then four classes for each doubling: no more than a quarter is lost.
int class_of(std::size_t bytes) {
  if (bytes <= small_classes * unit) return bytes == 0 ? 0 : static_cast<int>((bytes - 1) / unit);
  const std::size_t last = std::max(bytes - beside, small_classes * unit + 1) - 1;
  const int doubling = std::bit_width(last) - 11;     // 0 for (1 KiB, 2 KiB]
  const auto quarter = (last >> (doubling + 8)) - 4;  // 0..3
  return 16 + 4 * doubling + static_cast<int>(quarter);
}
constexpr std::size_t size_of_class(int c) {
  if (c < 16) return unit * static_cast<std::size_t>(c + 1);
  return (static_cast<std::size_t>(5 + (c - 16) % 4) << ((c - 16) / 4 + 8)) + beside;
}

struct Free {
  Free* next;
};
struct List {
  Free* head = nullptr;
  int count = 0;
  void push(void* p) {
    auto* f = static_cast<Free*>(p);
    f->next = head;
    head = f;
    ++count;
  }
  void* pop() {
    Free* f = head;
    head = f->next;
    __builtin_prefetch(head);  // who takes one mostly takes more
    --count;
    return f;
  }
};

// How many free blocks a thread keeps of one class before half of them go to the common store: half a mebibyte.
constexpr auto limits = [] {
  std::array<int, class_count> limit{};
  for (int c = 0; c < class_count; ++c)
    limit[std::size_t(c)] =
        static_cast<int>(std::clamp<std::size_t>((std::size_t{1} << 19) / size_of_class(c), 4, 8192));
  return limit;
}();

// Memory whose beginning has been cut into blocks.
struct Region {
  std::byte* begin = nullptr;
  std::size_t cut = region_size;
};

// Huge pages are not only fewer faults: in single pages of 4 KiB, as they happen to lie, two tensors that the second
// cache could hold together drive each other out of it.
struct Store {
  std::mutex mutex;
  std::array<List, class_count> lists;
  std::vector<Region> regions;  // of blocks; new ones are cut from the last
  Region slabs;                 // never given back
  std::atomic<std::int64_t> in_use{0}, peak{0}, reserved{0}, system_allocations{0};

  void account(std::int64_t bytes) {
    const auto now = in_use.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    auto seen = peak.load(std::memory_order_relaxed);
    while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
  }
  void* from_system(std::size_t bytes) {
    void* p = nullptr;
    if (posix_memalign(&p, bytes < huge ? unit : huge, bytes)) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (bytes >= huge) madvise(p, bytes, MADV_HUGEPAGE);  // where that is not granted, nothing is lost
#endif
    reserved.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
    system_allocations.fetch_add(1, std::memory_order_relaxed);
    return p;
  }
  Region new_region() {
    auto* p = static_cast<std::byte*>(from_system(region_size));
    ASAN_POISON_MEMORY_REGION(p, region_size);
    return {p, 0};
  }
  static void* cut(Region& from, std::size_t bytes) {
    void* p = from.begin + from.cut;
    from.cut += bytes + between;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    return p;
  }
  static bool holds(const Region& r, std::size_t bytes) { return r.cut + bytes + between <= region_size; }

  void* new_slab() {
    std::lock_guard lock(mutex);
    if (!holds(slabs, slab)) slabs = new_region();
    return cut(slabs, slab);
  }
  void* new_block(std::size_t bytes) {
    if (bytes >= huge) return from_system(bytes);
    std::lock_guard lock(mutex);
    if (regions.empty() || !holds(regions.back(), bytes)) regions.push_back(new_region());
    return cut(regions.back(), bytes);
  }
  void give_back(void* p, std::size_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    std::free(p);
    reserved.fetch_sub(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
  }
  void trim();
};

// Blocks of huge pages go back one by one, regions once all their blocks are free.
void Store::trim() {
  std::lock_guard lock(mutex);
  std::ranges::sort(regions, {}, &Region::begin);
  const auto region_of = [&](void* block) {
    return std::ranges::upper_bound(regions, static_cast<std::byte*>(block), {}, &Region::begin) - regions.begin() - 1;
  };
  std::vector<std::size_t> held(regions.size());
  for (std::size_t r = 0; r < regions.size(); ++r) held[r] = regions[r].cut;
  const int first = class_of(small_limit) + 1, whole = class_of(huge);  // in slabs | in regions | in huge pages
  for (int c = first; c < whole; ++c)
    for (Free* f = lists[c].head; f; f = f->next) held[region_of(f)] -= size_of_class(c) + between;

  for (int c = first; c < class_count; ++c) {
    List parts;
    while (lists[c].count) {
      void* p = lists[c].pop();
      if (c >= whole) give_back(p, size_of_class(c));
      else if (held[region_of(p)]) parts.push(p);
    }
    lists[c] = parts;
  }
  std::vector<Region> kept;
  for (std::size_t r = 0; r < regions.size(); ++r)
    if (held[r]) kept.push_back(regions[r]);
    else give_back(regions[r].begin, region_size);
  regions = kept;
}

Store& store() {
  static auto* s = new Store;  // never destroyed: tensors with static storage may outlive any order of destruction
  return *s;
}

struct Cache {
  std::array<List, class_count> lists;
  std::int64_t unreported = 0;

  void refill(int c, std::size_t size) {
    Store& s = store();
    List& mine = lists[c];
    {
      std::lock_guard lock(s.mutex);
      List& common = s.lists[c];
      const int wanted = size >= small_limit ? 1 : limits[c] / 2;
      while (common.count && mine.count < wanted) mine.push(common.pop());
    }
    if (mine.count) return;
    if (size > small_limit) return mine.push(s.new_block(size));
    auto* p = static_cast<std::byte*>(s.new_slab());
    for (std::size_t at = slab / size; at-- > 0;) mine.push(p + at * size);
  }
  void spill(int c, int keep) {
    Store& s = store();
    std::lock_guard lock(s.mutex);
    while (lists[c].count > keep) s.lists[c].push(lists[c].pop());
  }
  void account(std::int64_t bytes) {
    unreported += bytes;
    if (unreported > portion || unreported < -portion) report();
  }
  void report() {
    store().account(unreported);
    unreported = 0;
  }
  void empty() {
    for (int c = 0; c < class_count; ++c)
      if (lists[c].count) spill(c, 0);
    report();
  }
};

// The cache is on the heap: thread-local storage of a library that a program opens by dlopen comes out of a few hundred
// bytes that glibc keeps for all of them. The flag is trivially destructible, so it can be read after the cache is
// gone.
[[gnu::tls_model("initial-exec")]] constinit thread_local Cache* cache_of_thread = nullptr;
[[gnu::tls_model("initial-exec")]] constinit thread_local bool thread_ends = false;

struct Owner {
  ~Owner() {
    thread_ends = true;
    if (!cache_of_thread) return;
    cache_of_thread->empty();
    delete std::exchange(cache_of_thread, nullptr);
  }
};
[[gnu::noinline]] Cache* make_cache() {
  if (thread_ends) return nullptr;
  thread_local Owner owner;
  return cache_of_thread = new (std::nothrow) Cache;
}
Cache* cache() { return cache_of_thread ? cache_of_thread : make_cache(); }

[[gnu::noinline]] void* allocate_any(std::size_t bytes) {
  const int c = class_of(bytes);
  if (c >= class_count) throw std::bad_alloc();
  const std::size_t size = size_of_class(c);
  Cache* mine = cache();
  if (!mine) {  // the thread is being taken down, or there is no memory for a cache
    store().account(static_cast<std::int64_t>(size));
    return store().new_block(size);
  }
  if (!mine->lists[c].count) mine->refill(c, size);
  mine->account(static_cast<std::int64_t>(size));
  void* p = mine->lists[c].pop();
  ASAN_UNPOISON_MEMORY_REGION(static_cast<std::byte*>(p) + sizeof(Free), size - sizeof(Free));
  return p;
}

[[gnu::noinline]] void deallocate_any(void* block, std::size_t bytes) noexcept {
  const int c = class_of(bytes);
  const std::size_t size = size_of_class(c);
  ASAN_POISON_MEMORY_REGION(static_cast<std::byte*>(block) + sizeof(Free), size - sizeof(Free));
  Cache* mine = cache();
  if (!mine) {
    Store& s = store();
    s.account(-static_cast<std::int64_t>(size));
    std::lock_guard lock(s.mutex);
    return s.lists[c].push(block);
  }
  mine->account(-static_cast<std::int64_t>(size));
  mine->lists[c].push(block);
  if (mine->lists[c].count > limits[c]) mine->spill(c, limits[c] / 2);
}

}  // namespace

// Nodes and small values come straight from the thread's list; all else is a call of its own, so that this needs no
// registers saved.
void* allocate(std::size_t bytes) {
  const std::size_t c = (bytes - 1) / unit;
  Cache* mine = cache_of_thread;
  if (c >= small_classes || !mine || !mine->lists[c].head || mine->unreported > portion) [[unlikely]]
    return allocate_any(bytes);
  mine->unreported += static_cast<std::int64_t>((c + 1) * unit);
  void* p = mine->lists[c].pop();
  ASAN_UNPOISON_MEMORY_REGION(static_cast<std::byte*>(p) + sizeof(Free), (c + 1) * unit - sizeof(Free));
  return p;
}

void deallocate(void* block, std::size_t bytes) noexcept {
  const std::size_t c = (bytes - 1) / unit;
  Cache* mine = cache_of_thread;
  if (c >= small_classes || !mine || mine->lists[c].count >= limits[c] || mine->unreported < -portion) [[unlikely]]
    return deallocate_any(block, bytes);
  ASAN_POISON_MEMORY_REGION(static_cast<std::byte*>(block) + sizeof(Free), (c + 1) * unit - sizeof(Free));
  mine->unreported -= static_cast<std::int64_t>((c + 1) * unit);
  mine->lists[c].push(block);
}

}  // namespace wengert::detail

namespace wengert {

MemoryStats memory_stats() {
  if (auto* c = detail::cache()) c->report();
  auto& s = detail::store();
  return {s.in_use.load(), s.peak.load(), s.reserved.load(), s.system_allocations.load()};
}

void reset_peak_memory() {
  if (auto* c = detail::cache()) c->report();
  auto& s = detail::store();
  s.peak.store(s.in_use.load());
}

std::int64_t detail::exchange_peak(std::int64_t to) {
  if (auto* c = cache()) c->report();
  auto& s = store();
  return s.peak.exchange(std::max(to, s.in_use.load()));
}

void trim() {
  if (auto* c = detail::cache()) c->empty();
  detail::store().trim();
}

}  // namespace wengert
