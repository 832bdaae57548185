#include "addresses.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"
#include "report.h"

void read_addresses(struct prctl_mm_map *map) {
  char text[2048];
  FILE *file = open_proc("stat");
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = 0;
  // The name may hold anything; the third field comes after it.
  char *at = strrchr(text, ')');
  unsigned long long fields[53] = {};
  if (at == NULL) fail("its numbers cannot be read");
  at += 4;
  for (int field = 4; field <= 52; field++) fields[field] = strtoull(at, &at, 10);
  map->start_code = fields[26];
  map->end_code = fields[27];
  map->start_stack = fields[28];
  map->start_data = fields[45];
  map->end_data = fields[46];
  map->start_brk = fields[47];
  map->arg_start = fields[48];
  map->arg_end = fields[49];
  map->env_start = fields[50];
  map->env_end = fields[51];
  map->exe_fd = (uint32_t)-1;
  map->brk = map->start_brk;
  FILE *maps = open_proc("maps");
  char line[4400];
  unsigned long end;
  while (fgets(line, sizeof line, maps) != NULL)
    if (strstr(line, "[heap]") != NULL && sscanf(line, "%*x-%lx", &end) == 1) map->brk = end;
  fclose(maps);
}
