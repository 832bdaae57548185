// What the process does at which signal.
#pragma once

void set_actions(void);
