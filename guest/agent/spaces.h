// The network name spaces: the agent's own, which has the machine's cards, and one with a loopback interface only, for
// a workload without a network. Who is in the latter does not see a card that was made ready before anybody knew.
#pragma once

// At boot: makes the second one.
int spaces_prepare(void);
// Puts the calling process into the one without cards, and back.
int spaces_enter_lone(void);
int spaces_leave_lone(void);
