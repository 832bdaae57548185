// Mounts of the second phase: layers, the writable disk, the overlay over them, and what a root has on top.
#pragma once
#include "common.h"

#define MOUNTS_ROOT "/root"
// The disk that a new workload gets, and what the files that are bound over the image's have in them.
#define MOUNTS_FRESH "/fresh"
#define MOUNTS_FILES "/f"

// At boot: everything that needs no image.
int mounts_prepare(void);
// `fresh`: the workload has nothing on its disk yet, which is then the one that was mounted at boot.
int mounts_root(unsigned layers, bool fresh, struct failure *failure);
// Opens a file in the image; links on the way stay in it.
int mounts_open_file(int root, const char *path, int flags);
// Opens the place for a mount in the image, which is made if it is missing; links on the way stay in it.
int mounts_open_target(int root, const char *path, bool directory);
// Gives the root its /dev; returns a descriptor of its terminals' directory.
int mounts_devices(int root, struct failure *failure);
// Binds a file of the given content over the one at `path` in the image, which is made if it is missing.
int mounts_bind_file(int root, const char *path, const char *content, size_t length, struct failure *failure);
bool mounts_is_bound(const char *path);
// Gives a file that was bound other content.
int mounts_rewrite_file(const char *path, const char *content, size_t length, struct failure *failure);
// Descriptors of the directory of what was changed, and of each layer, the top one first.
int mounts_open_upper(void);
const int *mounts_open_layers(void);
size_t mounts_layer_count(void);
// Mounts that depend on the name spaces of who makes them, and are nowhere yet.
struct mounts_entry {
  int proc, sys, lone_sys, groups, queues;
};
struct mounts_terms {
  int root;
  bool read_only, alone, terminal;
};
// In the first process's new name spaces.
int mounts_prepare_entry(struct mounts_entry *entry);
// The finished root with all that is mounted in it, as a tree for `mounts_enter`.
int mounts_root_tree(void);
// In the first process: makes the root the only thing to be seen, with the prepared mounts in it.
int mounts_enter(const struct mounts_entry *entry, const struct mounts_terms *terms, struct failure *failure);
void mounts_take_down(void);
