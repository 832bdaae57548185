// Does to files what it reads from its standard input, one system call for each line, and answers each with one line:
// `ok`, what was asked for, or the name of the error. A test drives several of these, behind different walls,
// in turns. Files are known by numbers from 0 to 15; words have no blanks.
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static struct {
  int fd;
  char *map;
  size_t length;
} files[16];

static char *words[8];
static char answer[8192];

static const char *word(int index) { return words[index] ? words[index] : ""; }
static long number(int index, int base) { return strtol(word(index), NULL, base); }
static int file_number(void) { return number(1, 10) & 15; }
static int file(void) { return files[file_number()].fd; }

static int open_file(void) {
  int flags = 0;
  bool reads = strchr(word(3), 'r'), writes = strchr(word(3), 'w');
  flags |= reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY;
  if (strchr(word(3), 'c')) flags |= O_CREAT;
  if (strchr(word(3), 'x')) flags |= O_EXCL;
  if (strchr(word(3), 't')) flags |= O_TRUNC;
  if (strchr(word(3), 'a')) flags |= O_APPEND;
  if (strchr(word(3), 'n')) flags |= O_NONBLOCK;
  if (strchr(word(3), 'T')) flags |= O_TMPFILE;
  return files[file_number()].fd = open(word(2), flags, *word(4) ? number(4, 8) : 0644);
}

// Prints what a buffer has up to its first zero; a sign for nothing at all.
static int tell(const char *bytes, ssize_t length) {
  if (length < 0) return -1;
  snprintf(answer, sizeof answer, "%.*s", (int)length, length ? bytes : "(end)");
  return 0;
}

static int append(void) {
  for (long times = number(3, 10); times > 0; times--)
    if (write(file(), word(2), strlen(word(2))) < 0) return -1;
  return 0;
}

static int lock_file(int command) {
  const char *kind = word(2);
  struct flock lock = {.l_type = *kind == 'r' ? F_RDLCK : *kind == 'w' ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET};
  if (*word(3)) lock.l_start = number(3, 10), lock.l_len = number(4, 10);
  return fcntl(file(), command, &lock);
}

static int flock_file(void) {
  const char *kind = word(2);
  return flock(file(), (*kind == 's' ? LOCK_SH : *kind == 'x' ? LOCK_EX : LOCK_UN) | LOCK_NB);
}

static int map_file(void) {
  size_t length = number(2, 10);
  char *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file(), 0);
  if (map == MAP_FAILED) return -1;
  files[file_number()].map = map;
  files[file_number()].length = length;
  return 0;
}

static int tell_status(const struct stat *status) {
  static const char *types[16] = {[1] = "fifo", [2] = "char", [4] = "dir", [6] = "block", [8] = "file", [10] = "link", [12] = "socket"};
  snprintf(answer, sizeof answer, "%s %o %u:%u %lld %u %lld", types[status->st_mode >> 12], status->st_mode & 07777,
           status->st_uid, status->st_gid, (long long)status->st_size, (unsigned)status->st_nlink,
           (long long)status->st_mtim.tv_sec);
  return 0;
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int list(void) {
  DIR *directory = opendir(word(1));
  char *names[512];
  size_t count = 0, used = 0;
  if (!directory) return -1;
  for (struct dirent *entry; (entry = readdir(directory));)
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && count < 512) names[count++] = strdup(entry->d_name);
  closedir(directory);
  qsort(names, count, sizeof *names, compare);
  snprintf(answer, sizeof answer, "(empty)");
  for (size_t i = 0; i < count && used < sizeof answer; i++)
    used += snprintf(answer + used, sizeof answer - used, "%s%s", i ? " " : "", names[i]);
  return 0;
}

static int make_node(void) {
  switch (*word(2)) {
  case 'p': return mknod(word(1), S_IFIFO | number(3, 8), 0);
  case 's': return mknod(word(1), S_IFSOCK | number(3, 8), 0);
  case 'c': return mknod(word(1), S_IFCHR | number(3, 8), makedev(1, 3));
  }
  errno = EINVAL;
  return -1;
}

static int tell_offset(off_t offset) {
  if (offset < 0) return -1;
  snprintf(answer, sizeof answer, "%lld", (long long)offset);
  return 0;
}

static int operate(void) {
  char buffer[4096];
  struct stat status;
  const char *verb = word(0);
  typeof(&files[0]) own = &files[file_number()];
#define is(name) (strcmp(verb, name) == 0)
  if (is("open")) return open_file();
  if (is("close")) return close(file());
  if (is("write")) return write(file(), word(2), strlen(word(2)));
  if (is("pwrite")) return pwrite(file(), word(3), strlen(word(3)), number(2, 10));
  if (is("read")) return tell(buffer, read(file(), buffer, sizeof buffer));
  if (is("pread")) return tell(buffer, pread(file(), buffer, number(3, 10), number(2, 10)));
  if (is("append")) return append();
  if (is("sync")) return fsync(file());
  if (is("seek-end")) return tell_offset(lseek(file(), 0, SEEK_END));
  if (is("hole")) return tell_offset(lseek(file(), number(2, 10), SEEK_HOLE));
  if (is("allocate")) return fallocate(file(), 0, number(2, 10), number(3, 10));
  if (is("ftruncate")) return ftruncate(file(), number(2, 10));
  if (is("fstat")) return fstat(file(), &status) < 0 ? -1 : tell_status(&status);
  if (is("fchmod")) return fchmod(file(), number(2, 8));
  if (is("lock")) return lock_file(F_SETLK);
  if (is("ofd-lock")) return lock_file(F_OFD_SETLK);
  if (is("flock")) return flock_file();
  if (is("map")) return map_file();
  if (is("peek")) return tell(own->map + number(2, 10), number(3, 10));
  if (is("poke")) return memcpy(own->map + number(2, 10), word(3), strlen(word(3))), 0;
  if (is("msync")) return msync(own->map, own->length, MS_SYNC);
  if (is("unmap")) return munmap(own->map, own->length);
  if (is("truncate")) return truncate(word(1), number(2, 10));
  if (is("stat")) return lstat(word(1), &status) < 0 ? -1 : tell_status(&status);
  if (is("rename")) return rename(word(1), word(2));
  if (is("keep")) return renameat2(AT_FDCWD, word(1), AT_FDCWD, word(2), RENAME_NOREPLACE);
  if (is("exchange")) return renameat2(AT_FDCWD, word(1), AT_FDCWD, word(2), RENAME_EXCHANGE);
  if (is("unlink")) return unlink(word(1));
  if (is("rmdir")) return rmdir(word(1));
  if (is("mkdir")) return mkdir(word(1), number(2, 8));
  if (is("link")) return link(word(1), word(2));
  if (is("symlink")) return symlink(word(1), word(2));
  if (is("readlink")) return tell(buffer, readlink(word(1), buffer, sizeof buffer));
  if (is("list")) return list();
  if (is("chmod")) return chmod(word(1), number(2, 8));
  if (is("chown")) return lchown(word(1), number(2, 10), number(3, 10));
  if (is("umask")) return umask(number(1, 8)), 0;
  if (is("mknod")) return make_node();
  if (is("set-attribute")) return lsetxattr(word(1), word(2), word(3), strlen(word(3)), 0);
  if (is("attribute")) return tell(buffer, lgetxattr(word(1), word(2), buffer, sizeof buffer));
  if (is("remove-attribute")) return lremovexattr(word(1), word(2));
  if (is("times")) {
    struct timespec times[2] = {{.tv_sec = number(2, 10)}, {.tv_sec = number(3, 10)}};
    return utimensat(AT_FDCWD, word(1), times, AT_SYMLINK_NOFOLLOW);
  }
  errno = ENOSYS;
  return -1;
}

int main(void) {
  char line[4096];
  umask(0);
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    size_t count = 0;
    memset(words, 0, sizeof words);
    for (char *at = strtok(line, " \n"); at && count < 8; at = strtok(NULL, " \n")) words[count++] = at;
    strcpy(answer, "ok");
    puts(operate() < 0 ? strerrorname_np(errno) : answer);
  }
}
