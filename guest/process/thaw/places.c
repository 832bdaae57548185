#include "places.h"

#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "report.h"
#include "system.h"
#include "tables.h"

static long open_file(const struct file *file) {
  struct stat status;
  long opened = check(call(SYS_openat, AT_FDCWD, file->path, O_RDONLY | O_CLOEXEC), "open", file->path);
  check(call(SYS_fstat, opened, &status), "stat", file->path);
  if (status.st_ino != file->inode || (uint64_t)status.st_size != file->size || status.st_mtime != file->seconds ||
      status.st_mtime_nsec != file->nanoseconds)
    fail("it is another file:", file->path, 0);
  return opened;
}

long map(uint64_t start, uint64_t bytes, uint64_t protection, long flags, long file, uint64_t offset) {
  long result = call(SYS_mmap, start, bytes, protection, flags | MAP_PRIVATE | MAP_FIXED, file, offset);
  if (result != (long)start) fail("mmap", "", result);
  return result;
}

void drop(uint64_t start, uint64_t end) {
  if (start < end) check(call(SYS_munmap, start, end - start), "munmap", "");
}

// The main thread's stack grows by itself; here, all of what it may need is there at once.
#define STACK_ROOM (8UL << 20)

// The kernel shows a command line to others only where it lies in memory without a file.
static int is_in_stack(const struct run *run) {
  return run->start <= image->addresses.arg_start && image->addresses.arg_start < run->start + run->pages * PAGE;
}

static void read_run(const struct run *run, long self) {
  uint64_t bytes = run->pages * PAGE;
  for (uint64_t done = 0; done < bytes;) {
    long count = check(call(SYS_pread64, self, run->start + done, bytes - done, run->offset + done), "read", "");
    if (count == 0) fail("the image is cut short", "", 0);
    done += (uint64_t)count;
  }
}

// Of kernels from 6.13 on, whatever the headers are of.
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static void place_guards(void) {
  const struct guard *guards = table(&image->guards);
  for (uint64_t i = 0; i < image->guards.count; i++)
    check(call(SYS_madvise, guards[i].start, guards[i].pages * PAGE, MADV_GUARD_INSTALL), "guard", "");
}

void map_places(long self) {
  const struct place *places = table(&image->places);
  const struct file *files = table(&image->files);
  const struct run *runs = table(&image->runs);
  long opened = -1;
  uint32_t which = 0;
  for (uint64_t i = 0; i < image->places.count; i++) {
    const struct place *place = &places[i];
    uint64_t bytes = place->end - place->start;
    switch (place->kind) {
      case PLACE_ANONYMOUS:
        if (place->grows && (i == 0 || places[i - 1].end + STACK_ROOM < place->start))
          map(place->start - STACK_ROOM, STACK_ROOM, place->protection, MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        map(place->start, bytes, place->protection, MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        break;
      case PLACE_FILE:
        if (opened < 0 || which != place->file) {
          if (opened >= 0) call(SYS_close, opened);
          which = place->file;
          opened = open_file(&files[which]);
        }
        map(place->start, bytes, place->protection, 0, opened, place->offset);
        break;
      case PLACE_MEMORY:
        map(place->start, bytes, place->protection, MAP_NORESERVE, image->memory, place->offset);
        break;
    }
    if (place->huge) call(SYS_madvise, place->start, bytes, MADV_HUGEPAGE);
  }
  if (opened >= 0) call(SYS_close, opened);
  for (uint64_t i = 0; i < image->runs.count; i++)
    if (is_in_stack(&runs[i]))
      read_run(&runs[i], self);
    else
      map(runs[i].start, runs[i].pages * PAGE, runs[i].protection, MAP_NORESERVE, self, runs[i].offset);
  place_guards();
}
