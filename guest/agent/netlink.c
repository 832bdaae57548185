#include "netlink.h"

#include <sys/socket.h>

static struct nlmsghdr *end_of(struct netlink_message *message) {
  return (struct nlmsghdr *)((char *)message + NLMSG_ALIGN(message->header.nlmsg_len));
}

void netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, const void *part, size_t size) {
  memset(message, 0, sizeof *message);
  message->header = (struct nlmsghdr){
      .nlmsg_len = NLMSG_LENGTH(size), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags};
  memcpy(NLMSG_DATA(&message->header), part, size);
}

void netlink_add(struct netlink_message *message, uint16_t type, const void *data, size_t size) {
  struct rtattr *attribute = (struct rtattr *)end_of(message);
  if (NLMSG_ALIGN(message->header.nlmsg_len) + RTA_LENGTH(size) > sizeof *message) abort();
  *attribute = (struct rtattr){.rta_len = RTA_LENGTH(size), .rta_type = type};
  memcpy(RTA_DATA(attribute), data, size);
  message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + RTA_LENGTH(size);
}

int netlink_ask(struct netlink_message *message) {
  cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[1024];
  } answer;
  if (fd < 0 || send(fd, message, message->header.nlmsg_len, 0) < 0) return -1;
  ssize_t length = recv(fd, &answer, sizeof answer, 0);
  if (length < 0) return -1;
  if (length < (ssize_t)NLMSG_LENGTH(sizeof answer.error) || answer.header.nlmsg_type != NLMSG_ERROR) {
    errno = EBADMSG;
    return -1;
  }
  errno = -answer.error.error;
  return errno ? -1 : 0;
}
