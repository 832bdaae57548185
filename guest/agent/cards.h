// The machine's network cards: their places on the bus, and the driver, which is bound to those only that are used.
#pragma once
#include "common.h"

enum { CARDS_MAXIMUM = 8, CARDS_NAME = 16 };

// Loads nothing and binds nothing by itself: `place` counts the machine's cards in the order of the bus.
// Leaves the interface's name in `name`.
int cards_bind(unsigned place, char name[CARDS_NAME], struct failure *failure);
// Takes the interface away, with its addresses and routes.
int cards_unbind(unsigned place, struct failure *failure);
