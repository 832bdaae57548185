#include "state.h"

#include <cpuid.h>
#include <string.h>
#include <sys/user.h>

#include "report.h"

// Components of the state that a signal's frame has only once they were asked for (AMX: XTILECFG, XTILEDATA).
#define TILES (3UL << 17)

uint64_t state_bytes(unsigned char *state, size_t had) {
  uint64_t features, bytes = LEAST_STATE;
  memcpy(&features, state + offsetof(struct user_fpregs_struct, padding) + 48, sizeof features);
  features &= ~TILES;
  memcpy(state + offsetof(struct user_fpregs_struct, padding) + 48, &features, sizeof features);
  uint64_t present;
  memcpy(&present, state + 512, sizeof present);
  if (present & TILES) fail("it uses tiles");
  for (unsigned component = 2; component < 63; component++) {
    unsigned size, offset, c, d;
    if (!(features >> component & 1)) continue;
    __cpuid_count(0xd, component, size, offset, c, d);
    if (offset + size > bytes) bytes = offset + size;
  }
  return bytes < had ? bytes : had;
}
