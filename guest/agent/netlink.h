// Requests to the kernel's network (rtnetlink(7)): one message, one acknowledgement.
#pragma once
#include <linux/rtnetlink.h>

#include "common.h"

struct netlink_message {
  struct nlmsghdr header;
  char rest[512];
};

// Begins a message whose first part is `part`.
void netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, const void *part, size_t size);
void netlink_add(struct netlink_message *message, uint16_t type, const void *data, size_t size);
// 0, or -1 with errno as the kernel gave it.
int netlink_ask(struct netlink_message *message);
