// hull-freeze PID MEMORY IMAGE GENERATION: writes a process that stands still to a file (../image.h), and ends the process.
//
// MEMORY is the number of its descriptor of the guest's memory, which is not part of the image. GENERATION are the 16 bytes of the
// machine's generation (vmgenid), in hexadecimal, as the guest's memory holds them. What cannot be taken along is an
// error: it says so in a line, exits with 1, or with 2 if it may be gone in a moment (a connection, a signal, want of
// memory or time), and the process goes on.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "../image.h"
#include "actions.h"
#include "addresses.h"
#include "descriptors.h"
#include "filter.h"
#include "generation.h"
#include "locks.h"
#include "places.h"
#include "process.h"
#include "report.h"
#include "runs.h"
#include "threads.h"
#include "writer.h"

#define MOST_SECONDS 20

static void check_timers(void) {
  FILE *file = open_proc("timers");
  if (fgetc(file) != EOF) fail("it has timers");
  fclose(file);
}

static void write_image(struct image *image) {
  image->places = place_list(&places);
  image->runs = place_list(&runs);
  image->guards = place_list(&guards);
  image->files = place_list(&files);
  image->descriptors = place_list(&descriptors);
  image->watches = place_list(&watches);
  image->locks = place_list(&locks);
  image->actions = place_list(&actions);
  image->threads = place_list(&thread_list);
  image->filter = place_list(&filter);
  place_states();
  image->tables_bytes = tables_bytes();
  put_list(&places, image->places);
  put_list(&runs, image->runs);
  put_list(&guards, image->guards);
  put_list(&files, image->files);
  put_list(&descriptors, image->descriptors);
  put_list(&watches, image->watches);
  put_list(&locks, image->locks);
  put_list(&actions, image->actions);
  put_list(&thread_list, image->threads);
  put_list(&filter, image->filter);
  put_states();
  put(image, sizeof *image, 0);
}

int main(int count, char **words) {
  if (count != 5) fail("wants PID MEMORY IMAGE GENERATION");
  limit_time(MOST_SECONDS);
  uint32_t memory = (uint32_t)atoi(words[2]);
  struct image image = {.magic = IMAGE_MAGIC, .memory = memory, .self = memory + 1};
  open_image(words[3]);
  open_process(atoi(words[1]), memory);
  stop_threads();
  read_threads();
  check_timers();
  read_places();
  read_addresses(&image.addresses);
  read_descriptors();
  read_filter();
  find_generation(&image, words[4]);
  read_runs();
  // The last, for it leaves traces in the process.
  read_actions();
  write_image(&image);
  kill(process_id, SIGKILL);
  return 0;
}
