// Calls of the kernel, without a C library.
#pragma once
#include <stddef.h>
#include <sys/syscall.h>

static inline long call6(long number, long one, long two, long three, long four, long five, long six) {
  register long r10 __asm__("r10") = four;
  register long r8 __asm__("r8") = five;
  register long r9 __asm__("r9") = six;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(one), "S"(two), "d"(three), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#define CALL(number, one, two, three, four, five, six, ...) \
  call6(number, (long)(one), (long)(two), (long)(three), (long)(four), (long)(five), (long)(six))
#define call(...) CALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

// The compiler uses them, too.
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int byte, size_t count);
