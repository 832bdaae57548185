#include "place.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "../agent/protocol.h"
#include "inode.h"
#include "names.h"
#include "stream.h"

enum { most_tries = 100, most_depth = 3000 };

struct entry {
  uint8_t type;
  mode_t mode;
  uid_t uid;
  gid_t gid;
  struct timespec modified;
  uint64_t size;
  dev_t device;
  char *path, *target;
  const char *name;  // the path's last part
};

struct late_time {
  char *path;
  struct timespec modified;
};

struct placing {
  int destination;
  const struct place_options *options;
  // Directories get their times at the end: what is put into them changes these.
  struct late_time *times;
  size_t time_count, time_slots;
  // The directory of the last entry.
  char *parent_path;
  int parent;
};

static void read_entry(struct reader *fields, struct entry *entry) {
  *entry = (struct entry){.type = read_number(fields, 1)};
  entry->mode = read_number(fields, 4) & 07777;
  entry->uid = read_number(fields, 4);
  entry->gid = read_number(fields, 4);
  entry->modified.tv_sec = read_number(fields, 8);
  entry->modified.tv_nsec = read_number(fields, 4);
  entry->size = read_number(fields, 8);
  unsigned device_major = read_number(fields, 4), device_minor = read_number(fields, 4);
  entry->device = makedev(device_major, device_minor);
  entry->path = read_string(fields, NULL);
  entry->target = read_string(fields, NULL);
  const char *slash = strrchr(entry->path, '/');
  entry->name = slash ? slash + 1 : entry->path;
  if (fields->bad || strlen(entry->path) >= PATH_MAX) stop(FILES_FAILED, "an entry is malformed");
}

static void remove_tree(int parent, const char *name, int depth) {
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) stop_errno("cannot remove %s", name);
  if (depth == most_depth) stop(FILES_TOO_LARGE, "%s is too deep to be removed", name);
  cleanup_close int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return;
  if (fd < 0) stop_errno("cannot open %s", name);
  struct names names cleanup_names = {0};
  names_read(&names, fd);
  for (size_t i = 0; i < names.count; i++) remove_tree(fd, names.list[i], depth + 1);
  if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT) stop_errno("cannot remove %s", name);
}

static void forget_parent(struct placing *placing) {
  free(placing->parent_path);
  if (placing->parent >= 0 && placing->parent != placing->destination) close(placing->parent);
  placing->parent_path = NULL;
  placing->parent = -1;
}

// Makes each directory of `path` that is missing, as one that no entry describes.
static void make_directories(const struct placing *placing, const char *path) {
  cleanup_free char *copy = strdup(path);
  if (!copy) stop(FILES_FAILED, "out of memory");
  for (char *at = copy; *at;) {
    at += strcspn(at, "/");
    char saved = *at;
    *at = 0;
    if (mkdirat(placing->destination, copy, 0755) == 0) {
      const struct place_options *options = placing->options;
      if (options->give_owner && fchownat(placing->destination, copy, options->uid, options->gid, AT_SYMLINK_NOFOLLOW) < 0)
        stop_errno("cannot give %s away", copy);
    } else if (errno != EEXIST) {
      stop_errno("cannot make the directory %s", copy);
    }
    *at = saved;
    at += strspn(at, "/");
  }
}

// The directory that an entry belongs into; links on the way are followed in the present root.
static int open_parent(struct placing *placing, const struct entry *entry) {
  size_t length = entry->name == entry->path ? 0 : entry->name - entry->path - 1;
  if (placing->parent_path && strlen(placing->parent_path) == length &&
      strncmp(placing->parent_path, entry->path, length) == 0)
    return placing->parent;
  forget_parent(placing);
  placing->parent_path = strndup(entry->path, length);
  if (!placing->parent_path) stop(FILES_FAILED, "out of memory");
  if (length == 0) return placing->parent = placing->destination;
  const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  placing->parent = openat(placing->destination, placing->parent_path, flags);
  if (placing->parent < 0 && errno == ENOENT) {
    make_directories(placing, placing->parent_path);
    placing->parent = openat(placing->destination, placing->parent_path, flags);
  }
  if (placing->parent < 0) stop_errno("%s", placing->parent_path);
  return placing->parent;
}

// Makes way for an entry. True if there is a directory already and the entry is one.
static bool make_way(struct placing *placing, const struct entry *entry, int parent) {
  struct stat status;
  if (fstatat(parent, entry->name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) return false;
    stop_errno("%s", entry->path);
  }
  bool is = S_ISDIR(status.st_mode), wanted = entry->type == ENTRY_DIRECTORY;
  if (is && wanted) return true;
  if (placing->options->keep_kind && is != wanted)
    stop(FILES_CONFLICT, is ? "cannot overwrite directory %s with non-directory" : "cannot overwrite non-directory %s with directory",
         entry->path);
  remove_tree(parent, entry->name, 0);
  return false;
}

static void link_to(struct placing *placing, const struct entry *entry, int parent) {
  if (linkat(placing->destination, entry->target, parent, entry->name, 0) == 0) return;
  // Above the destination there is nothing that an archive could mean.
  stop_errno("cannot link %s to %s", entry->path, entry->target);
}

static void fill(int found, const struct entry *entry, struct reader *fields) {
  static uint8_t buffer[256 * 1024];
  size_t count = read_number(fields, 4);
  if (fields->bad || count > (size_t)(fields->end - fields->at) / 16) stop(FILES_FAILED, "an entry is malformed");
  if (entry->type != ENTRY_FILE) return;
  cleanup_close int fd = open_again(found, O_WRONLY | O_NONBLOCK);
  if (fd < 0) stop_errno("cannot open %s", entry->path);
  for (size_t i = 0; i < (count ? count : 1); i++) {
    uint64_t at = count ? read_number(fields, 8) : 0, end = at + (count ? read_number(fields, 8) : entry->size);
    while (at < end) {
      size_t length = end - at < sizeof buffer ? end - at : sizeof buffer;
      take_bytes(buffer, length);
      for (size_t done = 0; done < length;) {
        ssize_t put = pwrite(fd, buffer + done, length - done, at + done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) stop_errno("cannot write %s", entry->path);
        done += put;
      }
      at += length;
    }
  }
  if (count && ftruncate(fd, entry->size) < 0) stop_errno("cannot write %s", entry->path);
}

static int make(struct placing *placing, const struct entry *entry, int parent) {
  switch (entry->type) {
    case ENTRY_FILE: {
      int fd = openat(parent, entry->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
      if (fd >= 0) close(fd);
      return fd < 0 ? -1 : 0;
    }
    case ENTRY_HARD_LINK:
      link_to(placing, entry, parent);
      return 0;
    case ENTRY_SYMBOLIC_LINK:
      return symlinkat(entry->target, parent, entry->name);
    case ENTRY_CHARACTER_DEVICE:
      return mknodat(parent, entry->name, S_IFCHR | 0600, entry->device);
    case ENTRY_BLOCK_DEVICE:
      return mknodat(parent, entry->name, S_IFBLK | 0600, entry->device);
    case ENTRY_DIRECTORY:
      return mkdirat(parent, entry->name, 0700);
    case ENTRY_FIFO:
      return mkfifoat(parent, entry->name, 0600);
    default:
      stop(FILES_FAILED, "%s is of the unknown type %u", entry->path, entry->type);
  }
}

static void set_attributes(int fd, const struct entry *entry, struct reader *fields) {
  size_t count = read_number(fields, 4);
  for (size_t i = 0; i < count && !fields->bad; i++) {
    cleanup_free char *name = read_string(fields, NULL);
    size_t length;
    cleanup_free char *value = read_string(fields, &length);
    if (fields->bad) break;
    // A file system that has none of a kind is not the archive's fault.
    if (setxattr(own_name(fd), name, value, length, 0) < 0 && errno != ENOTSUP && errno != EPERM)
      stop_errno("cannot set %s of %s", name, entry->path);
  }
  if (fields->bad) stop(FILES_FAILED, "an entry is malformed");
}

// In this order: writing and a change of the owner clear a file's capabilities, and its set-user-id bit.
static void describe(struct placing *placing, int fd, const struct entry *entry, struct reader *fields) {
  const struct place_options *options = placing->options;
  uid_t uid = options->give_owner ? options->uid : entry->uid;
  gid_t gid = options->give_owner ? options->gid : entry->gid;
  if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0) stop_errno("cannot give %s away", entry->path);
  set_attributes(fd, entry, fields);
  if (entry->type != ENTRY_SYMBOLIC_LINK && chmod(own_name(fd), entry->mode) < 0)
    stop_errno("cannot set the mode of %s", entry->path);
}

static void set_time(int fd, const char *path, const struct timespec *modified) {
  struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, *modified};
  // A link's own name in /proc leads to the link and no further.
  if (utimensat(AT_FDCWD, own_name(fd), times, 0) < 0) stop_errno("cannot set the time of %s", path);
}

static void remember_time(struct placing *placing, const struct entry *entry) {
  if (placing->time_count == placing->time_slots) {
    placing->time_slots = placing->time_slots ? placing->time_slots * 2 : 64;
    placing->times = realloc(placing->times, placing->time_slots * sizeof *placing->times);
    if (!placing->times) stop(FILES_TOO_LARGE, "there are too many directories");
  }
  char *path = strdup(entry->path);
  if (!path) stop(FILES_TOO_LARGE, "there are too many directories");
  placing->times[placing->time_count++] = (struct late_time){path, entry->modified};
}

static void place(struct placing *placing, const struct entry *entry, struct reader *fields) {
  bool is_destination = !*entry->name;
  int parent = is_destination ? placing->destination : open_parent(placing, entry);
  if (entry->type == ENTRY_WHITEOUT) {
    if (is_destination) stop(FILES_FAILED, "the destination cannot be removed");
    remove_tree(parent, entry->name, 0);
    return;
  }
  if (!is_destination && !make_way(placing, entry, parent)) {
    // A workload may put something else there at the same time.
    for (int tries = 1; make(placing, entry, parent) < 0; tries++) {
      if (errno != EEXIST || tries == most_tries) stop_errno("cannot make %s", entry->path);
      remove_tree(parent, entry->name, 0);
    }
  }
  if (entry->type == ENTRY_HARD_LINK) return;
  cleanup_close int fd = openat(parent, is_destination ? "." : entry->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) < 0) stop_errno("%s", entry->path);
  if (type_of(&status) != entry->type) stop(FILES_CONFLICT, "%s was replaced while it was being written", entry->path);
  fill(fd, entry, fields);
  describe(placing, fd, entry, fields);
  if (entry->type == ENTRY_DIRECTORY)
    remember_time(placing, entry);
  else
    set_time(fd, entry->path, &entry->modified);
}

static void set_late_times(struct placing *placing) {
  for (size_t i = placing->time_count; i-- > 0;) {
    struct late_time *late = &placing->times[i];
    const char *path = *late->path ? late->path : ".";
    cleanup_close int fd = openat(placing->destination, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    // A later entry, or the workload, may have put something else there.
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) set_time(fd, late->path, &late->modified);
    free(late->path);
  }
  free(placing->times);
}

void place_entries(const char *path, const struct place_options *options) {
  struct placing placing = {.options = options, .parent = -1};
  placing.destination = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (placing.destination < 0) stop_errno("%s", path);
  size_t length;
  for (const uint8_t *body; (body = take_record(&length));) {
    struct reader fields = {.at = body, .end = body + length};
    struct entry entry;
    read_entry(&fields, &entry);
    if (entry.type != ENTRY_FILE) forget_parent(&placing);
    place(&placing, &entry, &fields);
    free(entry.path);
    free(entry.target);
  }
  forget_parent(&placing);
  set_late_times(&placing);
}
