#include "inode.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "../agent/protocol.h"
#include "stream.h"

enum { maximum_segments = 16384, smallest_saving = 64 * 1024, attribute_bytes = 65536 };

const char *own_name(int fd) {
  static char names[4][16];
  static unsigned next;
  char *name = names[next++ % 4];
  snprintf(name, sizeof names[0], "%d", fd);
  return name;
}

int open_again(int fd, int flags) { return open(own_name(fd), flags | O_CLOEXEC | O_NOCTTY); }

bool is_whiteout(const struct stat *status) { return S_ISCHR(status->st_mode) && status->st_rdev == 0; }

bool is_opaque(int fd) {
  char value[2];
  return getxattr(own_name(fd), "trusted.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y';
}

uint8_t type_of(const struct stat *status) {
  switch (status->st_mode & S_IFMT) {
    case S_IFREG:
      return ENTRY_FILE;
    case S_IFLNK:
      return ENTRY_SYMBOLIC_LINK;
    case S_IFCHR:
      return ENTRY_CHARACTER_DEVICE;
    case S_IFBLK:
      return ENTRY_BLOCK_DEVICE;
    case S_IFDIR:
      return ENTRY_DIRECTORY;
    case S_IFIFO:
      return ENTRY_FIFO;
    default:
      return 0;
  }
}

struct link {
  dev_t device;
  ino_t inode;
  char *path;
};
static struct link *links;
static size_t link_count, link_slots;

static struct link *find_link(dev_t device, ino_t inode) {
  size_t at = (inode * 0x9e3779b97f4a7c15u ^ device) & (link_slots - 1);
  while (links[at].path && (links[at].inode != inode || links[at].device != device)) at = (at + 1) & (link_slots - 1);
  return &links[at];
}

static void grow_links(void) {
  struct link *old = links;
  size_t old_slots = link_slots;
  link_slots = old_slots ? old_slots * 2 : 1024;
  links = must_allocate(link_slots * sizeof *links);
  for (size_t i = 0; i < old_slots; i++)
    if (old[i].path) *find_link(old[i].device, old[i].inode) = old[i];
  free(old);
}

const char *seen_before(const struct stat *status, const char *path) {
  if (status->st_nlink < 2 || S_ISDIR(status->st_mode)) return NULL;
  if (link_count * 2 >= link_slots) grow_links();
  struct link *link = find_link(status->st_dev, status->st_ino);
  if (link->path) return link->path;
  *link = (struct link){status->st_dev, status->st_ino, strdup(path)};
  if (!link->path) stop(FILES_TOO_LARGE, "there are too many hard links");
  link_count++;
  return NULL;
}

size_t find_segments(int fd, const struct stat *status, struct segment **segments) {
  static struct segment found[maximum_segments];
  size_t count = 0;
  *segments = found;
  if ((uint64_t)status->st_blocks * 512 + smallest_saving > (uint64_t)status->st_size) return 0;
  for (off_t at = 0; at < status->st_size;) {
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    if (hole < 0 || data >= status->st_size) return 0;
    if (hole > status->st_size || count == maximum_segments - 2) hole = status->st_size;
    found[count++] = (struct segment){data, hole - data};
    at = hole;
  }
  // Nothing but a hole, or a hole at the end: an empty segment says where the end is.
  if (count == 0 || found[count - 1].offset + found[count - 1].length < (uint64_t)status->st_size)
    found[count++] = (struct segment){status->st_size, 0};
  if (count == 1 && found[0].offset == 0) return 0;
  return count;
}

// What overlayfs keeps for itself, and labels of another system's security module, are not the file's.
static bool is_kept(const char *name) {
  if (strncmp(name, "security.", 9) == 0) return strcmp(name, "security.capability") == 0;
  return strncmp(name, "user.", 5) == 0 || strncmp(name, "system.posix_acl_", 17) == 0;
}

static int compare_names(const void *one, const void *other) { return strcmp(*(char *const *)one, *(char *const *)other); }

static void write_attributes(struct writer *writer, int fd) {
  static char names[attribute_bytes], value[attribute_bytes];
  const char *kept[256];
  size_t count = 0, written = 0;
  ssize_t length = listxattr(own_name(fd), names, sizeof names);
  for (const char *name = names; name < names + length && count < 256; name += strlen(name) + 1)
    if (is_kept(name)) kept[count++] = name;
  qsort(kept, count, sizeof *kept, compare_names);
  size_t count_at = writer->used;
  write_number(writer, 0, 4);
  for (size_t i = 0; i < count; i++) {
    ssize_t size = getxattr(own_name(fd), kept[i], value, sizeof value);
    if (size < 0) continue;
    write_string(writer, kept[i]);
    write_number(writer, size, 4);
    write_bytes(writer, value, size);
    written++;
  }
  for (int i = 0; i < 4; i++) writer->data[count_at + i] = written >> (8 * i);
}

static void write_below(struct writer *writer, const struct stat *below) {
  static const struct stat nothing;
  const struct stat *status = below ? below : &nothing;
  write_number(writer, below ? type_of(below) : 0, 1);
  write_number(writer, status->st_mode & 07777, 4);
  write_number(writer, status->st_uid, 4);
  write_number(writer, status->st_gid, 4);
  write_number(writer, status->st_mtim.tv_sec, 8);
  write_number(writer, status->st_mtim.tv_nsec, 4);
  write_number(writer, S_ISREG(status->st_mode) ? status->st_size : 0, 8);
}

void write_entry(struct writer *writer, int fd, const struct stat *status, uint8_t type, const char *path,
                 const char *target, const struct segment *segments, size_t segment_count, bool opaque,
                 const struct stat *below) {
  bool device = type == ENTRY_CHARACTER_DEVICE || type == ENTRY_BLOCK_DEVICE;
  write_number(writer, type, 1);
  write_number(writer, status->st_mode & 07777, 4);
  write_number(writer, status->st_uid, 4);
  write_number(writer, status->st_gid, 4);
  write_number(writer, status->st_mtim.tv_sec, 8);
  write_number(writer, status->st_mtim.tv_nsec, 4);
  write_number(writer, type == ENTRY_FILE ? status->st_size : 0, 8);
  write_number(writer, device ? major(status->st_rdev) : 0, 4);
  write_number(writer, device ? minor(status->st_rdev) : 0, 4);
  write_string(writer, path);
  write_string(writer, target);
  write_number(writer, segment_count, 4);
  for (size_t i = 0; i < segment_count; i++) {
    write_number(writer, segments[i].offset, 8);
    write_number(writer, segments[i].length, 8);
  }
  if (type == ENTRY_HARD_LINK || type == ENTRY_WHITEOUT || fd < 0)
    write_number(writer, 0, 4);
  else
    write_attributes(writer, fd);
  write_number(writer, opaque, 1);
  write_below(writer, below);
}
