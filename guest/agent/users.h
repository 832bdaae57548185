// The image's /etc/passwd and /etc/group, read without the C library's name service.
#pragma once
#include <sys/types.h>

#include "common.h"

#define USERS_MAXIMUM_GROUPS 1024

struct identity {
  uid_t uid;
  gid_t gid;
  gid_t groups[USERS_MAXIMUM_GROUPS];  // supplementary
  size_t group_count;
  char home[512];
};

// Resolves `name`, `uid`, `name:group`, `uid:gid`… as Docker does. The image's files are looked up below `root`,
// and so are the symbolic links on the way.
int users_resolve(int root, const char *user, struct identity *identity, struct failure *failure);
// Names of the image's users, sorted by their numbers: those in the first MiB of its list, which is read once.
struct users {
  struct user {
    uid_t uid;
    size_t order;
    char *name;
  } *all;
  size_t count;
};
void users_read(int root, struct users *users);
// NULL if it has no name.
const char *users_name(const struct users *users, uid_t uid);
void users_free(struct users *users);
