#include "users.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "protocol.h"

enum { maximum_line = 64 * 1024, maximum_file = 16 * 1024 * 1024, maximum_fields = 7 };

// How much of the list is read to name the users of all processes, while nobody else is served.
enum { listed_bytes = 1024 * 1024 };

// NULL if there is no such regular file. A fifo or a device in its place must not hold up the agent.
static FILE *open_below(int root, const char *path) {
  struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT};
  cleanup_close int fd = syscall(SYS_openat2, root, path, &how, sizeof how);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > maximum_file) return NULL;
  FILE *file = fdopen(fd, "r");
  if (file) steal_fd(&fd);
  return file;
}

// Splits at colons in place; returns the number of fields.
static int split(char *line, char *fields[maximum_fields]) {
  int count = 0;
  line[strcspn(line, "\n")] = 0;
  while (count < maximum_fields && (fields[count] = strsep(&line, ":"))) count++;
  return count;
}

// -1 if the text is not a number that an id can be.
static int64_t number_of(const char *text) {
  if (!isdigit((unsigned char)*text)) return -1;
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  return *end || errno || value > 0xfffffffe ? -1 : (int64_t)value;
}

// Fills uid, gid and home of the first line whose name is `user`, or whose uid is. `name` gets the user's name.
static bool find_user(int root, const char *user, struct identity *identity, char *name, size_t size) {
  cleanup_file FILE *file = open_below(root, "etc/passwd");
  cleanup_free char *line = NULL;
  size_t line_size = 0;
  int64_t number = number_of(user);
  while (file && getline(&line, &line_size, file) > 0 && line_size < maximum_line) {
    char *fields[maximum_fields];
    int count = split(line, fields);
    if (count < 4) continue;
    int64_t uid = number_of(fields[2]), gid = number_of(fields[3]);
    if (uid < 0 || gid < 0 || (strcmp(fields[0], user) != 0 && uid != number)) continue;
    identity->uid = uid;
    identity->gid = gid;
    if (count > 5) snprintf(identity->home, sizeof identity->home, "%s", fields[5]);
    snprintf(name, size, "%s", fields[0]);
    return true;
  }
  return false;
}

static bool is_member(char *members, const char *name) {
  for (char *member; (member = strsep(&members, ","));)
    if (strcmp(member, name) == 0) return true;
  return false;
}

// With `group`, finds its gid; without, collects the groups that list `name` as a member.
static bool find_groups(int root, const char *group, const char *name, struct identity *identity) {
  cleanup_file FILE *file = open_below(root, "etc/group");
  cleanup_free char *line = NULL;
  size_t line_size = 0;
  while (file && getline(&line, &line_size, file) > 0 && line_size < maximum_line) {
    char *fields[maximum_fields];
    int count = split(line, fields);
    int64_t gid = count < 3 ? -1 : number_of(fields[2]);
    if (gid < 0) continue;
    if (group && strcmp(fields[0], group) == 0) {
      identity->gid = gid;
      return true;
    }
    if (!group && count > 3 && identity->group_count < USERS_MAXIMUM_GROUPS && is_member(fields[3], name))
      identity->groups[identity->group_count++] = gid;
  }
  return !group;
}

int users_resolve(int root, const char *user, struct identity *identity, struct failure *failure) {
  *identity = (struct identity){.home = "/"};
  cleanup_free char *copy = strdup(user);
  if (!copy) return fail(failure, RESULT_FAILED, "out of memory");
  char *group = copy, *name = strsep(&group, ":");
  char found[256] = "";
  if (!*name) name = "0";
  if (!find_user(root, name, identity, found, sizeof found)) {
    int64_t uid = number_of(name);
    if (uid < 0) return fail(failure, RESULT_NO_SUCH_USER, "the image has no user %s", name);
    identity->uid = uid;
  }
  if (!group || !*group) {
    if (*found) find_groups(root, NULL, found, identity);
    return 0;
  }
  if (find_groups(root, group, NULL, identity)) return 0;
  int64_t gid = number_of(group);
  if (gid < 0) return fail(failure, RESULT_NO_SUCH_USER, "the image has no group %s", group);
  identity->gid = gid;
  return 0;
}

static int compare_users(const void *one, const void *other) {
  const struct user *left = one, *right = other;
  if (left->uid != right->uid) return left->uid < right->uid ? -1 : 1;
  return left->order < right->order ? -1 : 1;
}

static void add_user(struct users *users, uid_t uid, const char *name) {
  if ((users->count & (users->count - 1)) == 0) {
    struct user *more = realloc(users->all, (users->count ? users->count * 2 : 1) * sizeof *more);
    if (!more) abort();
    users->all = more;
  }
  struct user user = {.uid = uid, .order = users->count, .name = strdup(name)};
  if (!user.name) abort();
  users->all[users->count++] = user;
}

void users_read(int root, struct users *users) {
  *users = (struct users){0};
  cleanup_file FILE *file = open_below(root, "etc/passwd");
  cleanup_free char *line = NULL;
  size_t line_size = 0, bytes = 0;
  for (ssize_t got; file && bytes < listed_bytes && (got = getline(&line, &line_size, file)) > 0; bytes += got) {
    char *fields[maximum_fields];
    int64_t uid = got < maximum_line && split(line, fields) > 3 ? number_of(fields[2]) : -1;
    if (uid >= 0) add_user(users, uid, fields[0]);
  }
  if (users->count) qsort(users->all, users->count, sizeof *users->all, compare_users);
}

const char *users_name(const struct users *users, uid_t uid) {
  size_t low = 0, high = users->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (users->all[middle].uid < uid)
      low = middle + 1;
    else
      high = middle;
  }
  return low < users->count && users->all[low].uid == uid ? users->all[low].name : NULL;
}

void users_free(struct users *users) {
  for (size_t i = 0; i < users->count; i++) free(users->all[i].name);
  free(users->all);
}
