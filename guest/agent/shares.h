// What is mounted in the workload's root from outside of the image: directories and files of the host, and tmpfs.
#pragma once
#include "fields.h"

// Mounts each of the list, in its order, below `root`.
int shares_mount(int root, struct reader *fields, bool *any, struct failure *failure);
void shares_take_down(void);
