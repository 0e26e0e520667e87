#include "allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

thread_local uint64_t g_made = 0;
std::atomic<int64_t> g_live{0};

void* counted(size_t size) {
  ++g_made;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  ++g_live;
  return memory;
}

void release(void* memory) {
  if (memory == nullptr) return;
  --g_live;
  std::free(memory);
}

}  // namespace

namespace sluice::testing {
uint64_t allocations() { return g_made; }
int64_t live_allocations() { return g_live; }
}  // namespace sluice::testing

void* operator new(size_t size) { return counted(size); }
void* operator new[](size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t) noexcept { release(memory); }

// Sanitizers bring their own malloc.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" {
void* __libc_malloc(size_t size);             // NOLINT: glibc's own names
void* __libc_calloc(size_t n, size_t size);   // NOLINT
void* __libc_realloc(void* at, size_t size);  // NOLINT
void* malloc(size_t size) {
  ++g_made;
  return __libc_malloc(size);
}
void* calloc(size_t n, size_t size) {
  ++g_made;
  return __libc_calloc(n, size);
}
void* realloc(void* at, size_t size) {
  ++g_made;
  return __libc_realloc(at, size);
}
}
#endif
