// One turn of the agent's loop: what came of requests, of the workload's processes and of their ends.
#pragma once

// Has signals come through a descriptor. 0, or -1.
int serve_prepare(void);
// Waits for something to happen, for `pause` milliseconds at most (less than nothing: without end), and handles it.
void serve_turn(int pause);
