// Where the guest's memory holds the number of its generation (vmgenid).
#pragma once
#include "../image.h"

// The number's 16 bytes are in hexadecimal, as the memory holds them.
void find_generation(struct image *image, const char *digits);
