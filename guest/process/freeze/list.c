#include "list.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

void *add(struct list *list, const void *item) {
  if (list->count == list->room) {
    list->room = list->room == 0 ? 64 : list->room * 2;
    list->items = realloc(list->items, list->room * list->size);
    if (list->items == NULL) fail_for_now("no memory");
  }
  return memcpy(list->items + list->size * list->count++, item, list->size);
}
