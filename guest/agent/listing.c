#include "listing.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>

#include "protocol.h"
#include "users.h"
#include "workload.h"

struct row {
  unsigned inner_pid, parent, uid;
  char name[64], command[512];
};

// False for a process that is gone or outside of the workload.
static bool read_row(const char *pid, struct row *row) {
  char path[300], line[256];
  snprintf(path, sizeof path, "/proc/%s/status", pid);
  cleanup_file FILE *status = fopen(path, "re");
  unsigned outer;
  *row = (struct row){0};
  while (status && fgets(line, sizeof line, status)) {
    if (sscanf(line, "Name:\t%63[^\n]", row->name) == 1) continue;
    if (sscanf(line, "PPid: %u", &row->parent) == 1 || sscanf(line, "Uid: %u", &row->uid) == 1) continue;
    if (sscanf(line, "NSpid: %u %u", &outer, &row->inner_pid) == 2) break;
  }
  if (!row->inner_pid) return false;
  row->parent = workload_inner_pid(row->parent);
  snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
  cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? 0 : read(fd, row->command, sizeof row->command - 1);
  if (length <= 0) {
    snprintf(row->command, sizeof row->command, "[%s]", row->name);
    return true;
  }
  for (ssize_t i = 0; i < length - 1; i++)
    if (!row->command[i]) row->command[i] = ' ';
  return true;
}

void listing_write(struct writer *writer) {
  size_t count_at = writer->used;
  uint32_t count = 0;
  write_number(writer, 0, 4);
  struct users users;
  users_read(workload_root(), &users);
  DIR *directory = opendir("/proc");
  // A row takes less than 1 KiB; a guest with more processes than fit gets those with the lowest numbers.
  for (struct dirent *entry; directory && (entry = readdir(directory)) && writer->used < LIMIT_RESPONSE_BYTES - 1024;) {
    struct row row;
    char user[256];
    if (!isdigit((unsigned char)entry->d_name[0]) || !read_row(entry->d_name, &row)) continue;
    const char *name = users_name(&users, row.uid);
    name ? snprintf(user, sizeof user, "%s", name) : snprintf(user, sizeof user, "%u", row.uid);
    write_number(writer, row.inner_pid, 4);
    write_number(writer, row.parent, 4);
    write_string(writer, user);
    write_string(writer, row.command);
    count++;
  }
  if (directory) closedir(directory);
  users_free(&users);
  for (int i = 0; i < 4; i++) writer->data[count_at + i] = count >> (8 * i);
}
