#include "walk.h"

#include <fcntl.h>
#include <limits.h>

#include "../agent/protocol.h"
#include "inode.h"
#include "lower.h"
#include "names.h"
#include "stream.h"

struct walk {
  const struct files_places *layer;  // NULL in a plain tree
  bool with_data;
  char path[PATH_MAX];  // of the present file, relative to where the walk began
  size_t path_length;
};

static void put_entry(struct walk *walk, int fd, const struct stat *status, uint8_t type, const char *target,
                      const struct segment *segments, size_t count) {
  struct writer writer cleanup_writer = {0};
  struct stat below;
  bool has_below = walk->layer && lower_find(walk->layer, walk->path, &below);
  bool opaque = walk->layer && type == ENTRY_DIRECTORY && is_opaque(fd);
  write_entry(&writer, fd, status, type, walk->path, target, segments, count, opaque, has_below ? &below : NULL);
  put_record(&writer);
}

// Exactly as many bytes as the entry promised: a file that grows is cut off, one that shrinks is filled up.
static void put_data(int fd, const struct segment *segments, size_t count) {
  static uint8_t buffer[256 * 1024];
  for (size_t i = 0; i < count; i++) {
    uint64_t at = segments[i].offset, end = at + segments[i].length;
    while (at < end) {
      size_t wanted = end - at < sizeof buffer ? end - at : sizeof buffer;
      ssize_t got = pread(fd, buffer, wanted, at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) stop_errno("cannot read a file");
      if (got == 0) break;
      put_bytes(buffer, got);
      at += got;
    }
    put_zeros(end - at);
  }
}

static void put_file(struct walk *walk, int fd, const struct stat *found) {
  if (!walk->with_data) return put_entry(walk, fd, found, ENTRY_FILE, "", NULL, 0);
  cleanup_close int file = open_again(fd, O_RDONLY);
  struct stat status;
  if (file < 0 || fstat(file, &status) < 0) stop_errno("cannot open %s", walk->path);
  struct segment whole = {0, status.st_size}, *segments;
  size_t count = find_segments(file, &status, &segments);
  put_entry(walk, fd, &status, ENTRY_FILE, "", segments, count);
  put_data(file, count ? segments : &whole, count ? count : 1);
}

static void put_symbolic_link(struct walk *walk, int fd, const struct stat *status) {
  char target[PATH_MAX];
  ssize_t length = readlinkat(fd, "", target, sizeof target - 1);
  if (length < 0) stop_errno("cannot read the link %s", walk->path);
  target[length] = 0;
  put_entry(walk, fd, status, ENTRY_SYMBOLIC_LINK, target, NULL, 0);
}

static void put_whiteout(struct walk *walk, const struct stat *status) {
  put_entry(walk, -1, status, ENTRY_WHITEOUT, "", NULL, 0);
}

static void visit(struct walk *walk, int parent, const char *name);

// Goes on with `name` below the present path, and comes back.
static void descend(struct walk *walk, int parent, const char *name, void (*action)(struct walk *, int, const char *)) {
  size_t before = walk->path_length;
  int added = snprintf(walk->path + before, sizeof walk->path - before, "%s%s", before ? "/" : "", name);
  if (before + added >= sizeof walk->path) stop(FILES_TOO_LARGE, "%.200s… has a name of more than %d bytes", walk->path, PATH_MAX - 1);
  walk->path_length += added;
  action(walk, parent, name);
  walk->path_length = before;
  walk->path[before] = 0;
}

// A directory that hides the image's: what the image had in it and is not there any more counts as removed.
static void visit_hidden(struct walk *walk, int parent, const char *name) {
  struct stat status;
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 || !lower_find(walk->layer, walk->path, &status)) return;
  put_whiteout(walk, &status);
}

static void visit_directory(struct walk *walk, int fd) {
  if (walk->layer && !walk->with_data && is_opaque(fd)) {
    struct names hidden cleanup_names = {0};
    lower_names(walk->layer, walk->path, &hidden);
    for (size_t i = 0; i < hidden.count; i++) descend(walk, fd, hidden.list[i], visit_hidden);
  }
  struct names names cleanup_names = {0};
  names_read(&names, fd);
  names_sort(&names);
  for (size_t i = 0; i < names.count; i++) descend(walk, fd, names.list[i], visit);
}

static void visit(struct walk *walk, int parent, const char *name) {
  cleanup_close int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;
  if (fd < 0 && errno == ENOENT) return;
  if (fd < 0 || fstat(fd, &status) < 0) stop_errno("cannot open %s", walk->path);
  if (walk->layer && is_whiteout(&status)) return put_whiteout(walk, &status);
  uint8_t type = type_of(&status);
  // A socket is nothing without the process behind it, and no archive has a word for it.
  if (!type) return;
  const char *first = seen_before(&status, walk->path);
  if (first) return put_entry(walk, fd, &status, ENTRY_HARD_LINK, first, NULL, 0);
  if (type == ENTRY_FILE) return put_file(walk, fd, &status);
  if (type == ENTRY_SYMBOLIC_LINK) return put_symbolic_link(walk, fd, &status);
  put_entry(walk, fd, &status, type, "", NULL, 0);
  if (type == ENTRY_DIRECTORY) visit_directory(walk, fd);
}

// Where a link leads, as far as it leads anywhere.
static void resolve(const char *path, char target[PATH_MAX]) {
  char link[PATH_MAX], parent[PATH_MAX];
  if (realpath(path, target)) return;
  ssize_t length = readlink(path, link, sizeof link - 1);
  link[length < 0 ? 0 : length] = 0;
  snprintf(parent, sizeof parent, "%s", path);
  char *slash = strrchr(parent, '/');
  if (slash) *slash = 0;
  if (*link == '/' || !realpath(*parent ? parent : "/", target)) {
    snprintf(target, PATH_MAX, "%s", link);
    return;
  }
  size_t used = strlen(target);
  int added = snprintf(target + used, PATH_MAX - used, "%s%s", used > 1 ? "/" : "", link);
  if (added >= (int)(PATH_MAX - used)) target[used] = 0;
}

void walk_status(const char *path) {
  static char target[PATH_MAX];
  struct stat status;
  if (lstat(path, &status) < 0) stop_errno("%s", path);
  if (S_ISLNK(status.st_mode)) resolve(path, target);
  struct writer writer cleanup_writer = {0};
  // Sockets have a status, too.
  uint8_t type = type_of(&status);
  write_entry(&writer, -1, &status, type ? type : ENTRY_FIFO, "", target, NULL, 0, false, NULL);
  put_record(&writer);
  put_end();
}

void walk_tree(const char *path) {
  static struct walk walk = {.with_data = true};
  struct stat status;
  if (lstat(path, &status) < 0) stop_errno("%s", path);
  visit(&walk, AT_FDCWD, path);
  put_end();
}

void walk_layer(const struct files_places *places, bool with_data) {
  static struct walk walk;
  walk.layer = places;
  walk.with_data = with_data;
  visit(&walk, AT_FDCWD, "/");
  put_end();
}
