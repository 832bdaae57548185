// The pages that the process will touch (src/wall/vm/template/working-set.ts).
#pragma once

void read_touched(long file);
void touch_memory(void);
