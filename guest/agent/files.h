// Whole small files.
#pragma once
#include "common.h"

int write_file(const char *path, const char *content);
// Mode of what is made follows the process's umask.
int create_file(const char *path, const void *content, size_t length);
