#include "generation.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "report.h"

// It is alone in a page of the guest's memory (QEMU, docs/specs/vmgenid.rst), where the guest's kernel looks for it; the kernel's own
// copy is elsewhere, and has to stay what it was.
#define GENERATION_OFFSET 40

static bool is_generation(const unsigned char *page, const unsigned char *number) {
  static const unsigned char zeros[PAGE];
  return memcmp(page + GENERATION_OFFSET, number, 16) == 0 && memcmp(page, zeros, GENERATION_OFFSET) == 0 &&
         memcmp(page + GENERATION_OFFSET + 16, zeros, PAGE - GENERATION_OFFSET - 16) == 0;
}

void find_generation(struct image *image, const char *digits) {
  unsigned char number[16];
  char name[32];
  struct stat status;
  for (size_t i = 0; i < sizeof number; i++)
    if (sscanf(digits + 2 * i, "%2hhx", &number[i]) != 1) fail("the generation %s has no 16 bytes", digits);
  snprintf(name, sizeof name, "fd/%u", guest_memory);
  int file = open_proc_file(name);
  if (fstat(file, &status) < 0) fail("the guest's memory: %s", strerror(errno));
  unsigned char *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) fail("the guest's memory: %s", strerror(errno));
  // What is a hole must stay one: looking at it would fill it.
  for (off_t at = 0; (at = lseek(file, at, SEEK_DATA)) >= 0;) {
    off_t end = lseek(file, at, SEEK_HOLE);
    for (; at < end; at += PAGE)
      if (is_generation(memory + at, number)) {
        if (image->generation_count == MOST_GENERATIONS) fail("the guest's memory is full of its generation");
        image->generations[image->generation_count++] = (uint64_t)at + GENERATION_OFFSET;
      }
  }
  munmap(memory, (size_t)status.st_size);
  close(file);
  if (image->generation_count == 0) fail("the guest's memory does not hold its generation");
}
