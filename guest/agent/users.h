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
// The name of a user, or its number.
void users_name(int root, uid_t uid, char *name, size_t size);
