// The first phase: everything that can be done before the image is known.
#pragma once

// Loads the modules, mounts the kernel's file systems and moves to a root that can be pivoted away from.
int boot(void);
