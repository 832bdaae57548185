#include "generation.h"

#include "report.h"
#include "system.h"
#include "tables.h"

// A number that no other machine has, where the guest's memory holds it.
void set_generation(void) {
  const struct place *places = table(&image->places);
  char number[16];
  if (image->generation_count == 0) return;
  check(call(SYS_getrandom, number, sizeof number, 0), "getrandom", "");
  for (uint64_t i = 0; i < image->generation_count && i < MOST_GENERATIONS; i++)
    for (uint64_t k = 0; k < image->places.count; k++) {
      const struct place *place = &places[k];
      uint64_t at = image->generations[i];
      if (place->kind != PLACE_MEMORY || at < place->offset || at - place->offset + 16 > place->end - place->start) continue;
      memcpy((void *)(place->start + (at - place->offset)), number, sizeof number);
    }
}
