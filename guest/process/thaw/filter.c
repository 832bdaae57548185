#include "filter.h"

#include <linux/seccomp.h>

#include "report.h"
#include "system.h"
#include "tables.h"

void set_filter(void) {
  struct sock_fprog program = {(unsigned short)image->filter.count, (struct sock_filter *)table(&image->filter)};
  check(call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp", "");
}
