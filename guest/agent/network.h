// The workload's network: interfaces on the machine's cards, their addresses, routes.
#pragma once
#include "fields.h"

// Makes the network what the fields say: what is new is made, what is gone is taken away, what is the same is left
// alone. Called again when it changes. A failure leaves what was done until then.
int network_apply(struct reader *fields, struct failure *failure);
// Sets kernel parameters, named as the files below /proc/sys are.
int network_parameters(struct reader *fields, struct failure *failure);
