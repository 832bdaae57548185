// The workload's network: interfaces on the machine's cards, their addresses, routes.
#pragma once
#include "fields.h"

// At boot, if the kernel's arguments say so (HULL_CARD): the first card is ready for a workload's network, up, without
// addresses, and silent. Something has to be behind it whenever the machine is copied.
int network_prepare(void);
// Makes the network what the fields say: what is new is made, what is gone is taken away, what is the same is left
// alone. Called again when it changes. A failure leaves what was done until then.
int network_apply(struct reader *fields, struct failure *failure);
// Whether any card is used.
bool network_is_used(void);
// Takes the addresses and routes away again, which are all that a prepared card has got.
void network_withdraw(void);
// From now on no card can be.
void network_close(void);
// Sets kernel parameters, named as the files below /proc/sys are.
int network_parameters(struct reader *fields, struct failure *failure);
