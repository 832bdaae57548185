#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

pid_t process_id;
int process_memory;
uint32_t guest_memory;

FILE *open_proc(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", process_id, name);
  FILE *file = fopen(path, "re");
  if (file == NULL) fail("%s: %s", path, strerror(errno));
  return file;
}

int open_proc_file(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", process_id, name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) fail("%s: %s", path, strerror(errno));
  return file;
}

void open_process(pid_t id, uint32_t memory) {
  process_id = id;
  guest_memory = memory;
  process_memory = open_proc_file("mem");
}

uint64_t read_word(uint64_t address) {
  uint64_t word = 0;
  return pread(process_memory, &word, sizeof word, (off_t)address) == sizeof word ? word : 0;
}
