// The processes behind the wall, as they are numbered there.
#pragma once
#include "fields.h"

void listing_write(struct writer *writer);
