// A process on ice: what hull-freeze (freeze/) writes of a QEMU that stands still, and hull-thaw (thaw/) makes such a process
// of again. All of it is of one boot of one host: addresses, registers, and the state of its files are as the kernel gave them.
//
//   struct image
//   tables, one after the other, each aligned to 8 bytes (struct table says where)
//   pages, aligned to PAGE
//
// Numbers are the machine's own. Offsets are from the image's beginning.
#pragma once

#include <linux/filter.h>
#include <linux/prctl.h>
#include <stdint.h>
#include <sys/user.h>

#define IMAGE_MAGIC 0x31656369656c7568ULL
#define PAGE 4096UL

// Where hull-thaw is linked to be (build.sh), and what it needs besides: a process must not have anything there.
#define THAW_START 0x10000000UL
#define THAW_END 0x1f000000UL
// Where the image's tables are read, and where the kernel's own pages (vdso) wait.
#define TABLES_PLACE 0x12000000UL
#define TABLES_MOST 0x01000000UL
#define KERNEL_PAGES_PLACE 0x14000000UL
// What tap.c leaves for hull-freeze: a page of struct notes.
#define NOTES_PLACE 0x1f000000UL
#define NOTES_MAGIC 0x7365746f6e706174ULL
#define MOST_DESCRIPTORS 256

// Where hull-thaw has the image's file meanwhile: descriptors of processes are below.
#define HIGH_DESCRIPTOR 1000

struct notes {
  uint64_t magic;
  // What was asked of TUNSETOFFLOAD, by descriptor.
  uint32_t offloads[MOST_DESCRIPTORS];
};

struct table {
  uint64_t offset;
  uint64_t count;
};

enum { PLACE_ANONYMOUS, PLACE_FILE, PLACE_MEMORY, PLACE_KERNEL };

// One mapping.
struct place {
  uint64_t start, end;
  // In the file, or in the guest's memory.
  uint64_t offset;
  uint32_t protection;
  uint16_t kind;
  uint16_t huge;
  uint32_t file;
  uint32_t grows;
};

// Pages that a mapping has of its own; copies share those that they do not write to.
struct run {
  uint64_t start, pages, offset;
  uint64_t protection;
};

// Pages that nobody may touch (MADV_GUARD_INSTALL): glibc 2.42 has them below the stacks of threads.
struct guard {
  uint64_t start, pages;
};

struct file {
  char path[240];
  uint64_t inode, size, seconds, nanoseconds;
};

// Instructions of a filter, as the kernel has it (BPF_MAXINSNS).
#define MOST_FILTER 4096

enum { OPEN_INHERITED, OPEN_PATH, OPEN_MEMORY, OPEN_EVENTS, OPEN_SIGNALS, OPEN_POLL, OPEN_TAP };

struct descriptor {
  int32_t number;
  uint32_t kind;
  // Of open(2), with O_CLOEXEC.
  uint32_t flags;
  // Of a tap: the size of its header, and what was asked of TUNSETOFFLOAD.
  uint32_t header, offload;
  int32_t send_buffer;
  // Count of an eventfd, mask of a signalfd, place in a file.
  uint64_t value;
  char path[208];
};

// One entry of an epoll descriptor.
struct watch {
  int32_t poll, number;
  uint32_t events, unused;
  uint64_t data;
};

// One lock of a file by its descriptor (open file description lock, fcntl(2)).
struct lock {
  int32_t number;
  uint32_t exclusive;
  // The last byte is locked as well; all there will be if it is EVERYTHING.
  uint64_t first, last;
};
#define EVERYTHING 0x7fffffffffffffffUL

struct action {
  uint64_t signal, handler, flags, restorer, mask;
};

struct thread {
  struct user_regs_struct registers;
  uint64_t mask;
  // The floating point state, as in the frame of a signal.
  uint64_t state, state_bytes;
  // Where the kernel writes 0 when it ends; what it looks through then; its restartable sequences.
  uint64_t clear, robust, robust_bytes, sequences;
  uint32_t sequences_bytes, sequences_mark;
  uint32_t id, unused;
  char name[16];
};

// What a copy will touch of its memory (src/wall/vm/template/working-set.ts): a file of its own, which comes after the image.
struct touched {
  uint64_t start;
  uint32_t pages, written;
};
#define MOST_TOUCHED 8192

#define MOST_GENERATIONS 4

struct image {
  uint64_t magic;
  // Bytes from the beginning that hold no pages.
  uint64_t tables_bytes;
  struct table places, runs, guards, files, descriptors, watches, locks, actions, threads, filter;
  // Descriptors of the guest's memory, and of this image, as they are handed to thaw.
  uint32_t memory, self;
  struct prctl_mm_map addresses;
  // Where the guest's memory holds the number of its generation (vmgenid). Offsets.
  uint64_t generation_count;
  uint64_t generations[MOST_GENERATIONS];
};
