#include "lower.h"

#include <fcntl.h>

#include "../agent/protocol.h"
#include "inode.h"
#include "stream.h"

enum finding { ABSENT, HIDDEN, FOUND };

// Looks one layer through. HIDDEN: what layers below have at the path is not to be seen. `fd` gets a descriptor of what
// is found; `last` tells that nothing below contributes to it.
static enum finding look(int layer, const char *path, struct stat *status, int *fd, bool *last) {
  cleanup_close int at = openat(layer, ".", O_PATH | O_CLOEXEC);
  *last = false;
  if (at < 0 || fstat(at, status) < 0) stop_errno("cannot open a layer");
  for (path += strspn(path, "/"); *path;) {
    size_t length = strcspn(path, "/");
    cleanup_free char *name = strndup(path, length);
    path += length;
    path += strspn(path, "/");
    int next = name ? openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (next < 0 && errno != ENOENT && errno != ENOTDIR) stop_errno("cannot open %s in a layer", name);
    if (next < 0) return *last ? HIDDEN : ABSENT;
    close(at);
    at = next;
    if (fstat(at, status) < 0) stop_errno("cannot look at a layer");
    if (is_whiteout(status) || (*path && !S_ISDIR(status->st_mode))) return HIDDEN;
    if (S_ISDIR(status->st_mode) && is_opaque(at)) *last = true;
  }
  if (!S_ISDIR(status->st_mode)) *last = true;
  *fd = steal_fd(&at);
  return FOUND;
}

bool lower_find(const struct files_places *places, const char *path, struct stat *status) {
  for (size_t i = 0; i < places->lower_count; i++) {
    cleanup_close int fd = -1;
    bool last;
    enum finding finding = look(places->lowers[i], path, status, &fd, &last);
    if (finding != ABSENT) return finding == FOUND;
  }
  return false;
}

void lower_names(const struct files_places *places, const char *path, struct names *names) {
  for (size_t i = 0; i < places->lower_count; i++) {
    cleanup_close int fd = -1;
    bool last;
    struct stat status;
    enum finding finding = look(places->lowers[i], path, &status, &fd, &last);
    if (finding == HIDDEN || (finding == FOUND && !S_ISDIR(status.st_mode))) break;
    if (finding == FOUND) names_read(names, fd);
    if (last) break;
  }
  names_sort(names);
}
