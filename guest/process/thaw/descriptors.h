// What the process had open, of this jail.
#pragma once

void open_descriptors(void);
