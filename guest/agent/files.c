#include "files.h"

#include <fcntl.h>

static int write_all(int fd, const char *content, size_t length) {
  while (length > 0) {
    ssize_t put = write(fd, content, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    content += put, length -= put;
  }
  return 0;
}

int write_file(const char *path, const char *content) {
  cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
  return fd < 0 ? -1 : write_all(fd, content, strlen(content));
}

int create_file(const char *path, const void *content, size_t length) {
  cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return fd < 0 ? -1 : write_all(fd, content, length);
}
