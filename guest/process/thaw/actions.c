#include "actions.h"

#include "report.h"
#include "system.h"
#include "tables.h"

void set_actions(void) {
  const struct action *actions = table(&image->actions);
  for (uint64_t i = 0; i < image->actions.count; i++)
    check(call(SYS_rt_sigaction, actions[i].signal, &actions[i].handler, 0, 8), "sigaction", "");
}
