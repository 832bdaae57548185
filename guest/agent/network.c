#include "network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "cards.h"
#include "netlink.h"
#include "protocol.h"

// The interface that is ready before anything is known of the workload's network, and what keeps it silent until its
// identity is its own: with IPv6, it would have an address and send packets as soon as it is up.
#define PREPARED "eth0"
#define SILENCE "net/ipv6/conf/" PREPARED "/disable_ipv6"

enum { routes_maximum = 256, mac_bytes = 6 };

// What is on a card now: the fields it was made from, so that one that stays the same is told from one that changes.
struct card {
  bool used, prepared;
  uint8_t *fields;
  size_t size;
  int index;
};

// An address or a network: family, bytes and the length of the prefix; no bytes stand for none.
struct address {
  uint8_t family, length, prefix, bytes[16];
};

struct route {
  uint32_t place, metric;
  struct address destination, gateway;
};

static struct card cards[CARDS_MAXIMUM];
static struct route routes[routes_maximum];
static size_t route_count;
static bool closed;

static int fail_malformed(struct failure *failure) {
  return fail(failure, RESULT_INVALID, "the network's description is malformed");
}

static struct address read_address(struct reader *fields, bool may_be_none) {
  struct address address = {0};
  size_t length;
  cleanup_free char *bytes = read_string(fields, &length);
  address.prefix = read_number(fields, 1);
  if (length == 0 && may_be_none) return address;
  if ((length != 4 && length != 16) || address.prefix > length * 8) {
    fields->bad = true;
    return address;
  }
  address.family = length == 4 ? AF_INET : AF_INET6;
  address.length = length;
  memcpy(address.bytes, bytes, length);
  return address;
}

static int write_parameter(const char *path, const char *value) {
  cleanup_close int tree = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct open_how how = {.flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
  cleanup_close int fd = syscall(SYS_openat2, tree, path, &how, sizeof how);
  return fd < 0 || write(fd, value, strlen(value)) < 0 ? -1 : 0;
}

int network_parameters(struct reader *fields, struct failure *failure) {
  size_t count = read_number(fields, 4);
  for (size_t i = 0; i < count && !fields->bad; i++) {
    cleanup_free char *path = read_string(fields, NULL), *value = read_string(fields, NULL);
    if (!fields->bad && write_parameter(path, value) < 0)
      return fail_errno(failure, "cannot set the kernel parameter %s to %s", path, value);
  }
  return fields->bad ? fail(failure, RESULT_INVALID, "the kernel parameters are malformed") : 0;
}

static int change_link(int index, const char *name, const char *mac, uint32_t mtu) {
  struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = index};
  struct netlink_message message;
  netlink_begin(&message, RTM_NEWLINK, 0, &link, sizeof link);
  if (name) netlink_add(&message, IFLA_IFNAME, name, strlen(name) + 1);
  if (mac) netlink_add(&message, IFLA_ADDRESS, mac, mac_bytes);
  if (mtu) netlink_add(&message, IFLA_MTU, &mtu, sizeof mtu);
  return netlink_ask(&message);
}

static int bring(int index, unsigned flags) {
  struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = flags, .ifi_change = IFF_UP};
  struct netlink_message message;
  netlink_begin(&message, RTM_NEWLINK, 0, &link, sizeof link);
  return netlink_ask(&message);
}

// The daemon has made sure that nobody else has the address: it can be used at once.
static int change_address(int index, const struct address *address, uint16_t type) {
  struct ifaddrmsg part = {.ifa_family = address->family, .ifa_prefixlen = address->prefix, .ifa_index = index};
  uint32_t flags = IFA_F_PERMANENT | (address->family == AF_INET6 ? IFA_F_NODAD : 0);
  struct netlink_message message;
  netlink_begin(&message, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0, &part, sizeof part);
  netlink_add(&message, IFA_LOCAL, address->bytes, address->length);
  netlink_add(&message, IFA_ADDRESS, address->bytes, address->length);
  netlink_add(&message, IFA_FLAGS, &flags, sizeof flags);
  if (address->family == AF_INET && address->prefix < 31) {
    uint32_t host;
    memcpy(&host, address->bytes, sizeof host);
    host |= htonl(0xffffffffu >> address->prefix);
    netlink_add(&message, IFA_BROADCAST, &host, sizeof host);
  }
  return netlink_ask(&message);
}

static int change_route(const struct route *route, uint16_t type) {
  const struct address *to = &route->destination, *through = &route->gateway;
  struct rtmsg part = {.rtm_family = to->family,
                       .rtm_dst_len = to->prefix,
                       .rtm_table = RT_TABLE_MAIN,
                       .rtm_protocol = RTPROT_BOOT,
                       .rtm_scope = through->length || to->family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                       .rtm_type = RTN_UNICAST};
  struct netlink_message message;
  netlink_begin(&message, type, type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_REPLACE : 0, &part, sizeof part);
  if (to->prefix) netlink_add(&message, RTA_DST, to->bytes, to->length);
  if (through->length) netlink_add(&message, RTA_GATEWAY, through->bytes, through->length);
  if (route->metric) netlink_add(&message, RTA_PRIORITY, &route->metric, sizeof route->metric);
  netlink_add(&message, RTA_OIF, &cards[route->place].index, sizeof cards->index);
  return netlink_ask(&message);
}

int network_prepare(void) {
  struct card *card = &cards[0];
  struct failure failure;
  char present[CARDS_NAME], state[16] = "";
  if (!getenv("HULL_CARD")) return 0;
  if (cards_bind(0, present, &failure) < 0) {
    console("%s", failure.message);
    return -1;
  }
  card->index = if_nametoindex(present);
  card->prepared = true;
  if (change_link(card->index, PREPARED, NULL, 0) < 0 || write_parameter(SILENCE, "1") < 0 ||
      bring(card->index, IFF_UP) < 0)
    return -1;
  // The kernel does the rest by itself.
  for (int tries = 0; strcmp(state, "up\n") != 0; tries++) {
    cleanup_file FILE *file = fopen("/sys/class/net/" PREPARED "/operstate", "re");
    if (!file || !fgets(state, sizeof state, file) || tries == 5000) return -1;
    usleep(2000);
  }
  return 0;
}

// Whether these parameters are what a prepared card has.
static bool is_silence(struct reader parameters) {
  size_t count = read_number(&parameters, 4);
  cleanup_free char *path = read_string(&parameters, NULL), *value = read_string(&parameters, NULL);
  return !parameters.bad && count == 1 && strcmp(path, SILENCE) == 0 && strcmp(value, "1") == 0;
}

// As if the driver had just been bound.
static int undo_preparation(struct card *card) {
  card->prepared = false;
  return bring(card->index, 0) < 0 ? -1 : write_parameter(SILENCE, "0");
}

static int find_card(unsigned place, struct failure *failure) {
  struct card *card = &cards[place];
  char present[CARDS_NAME];
  if (card->prepared)
    return undo_preparation(card) < 0 ? fail_errno(failure, "the network card %u cannot be changed", place) : 0;
  if (cards_bind(place, present, failure) < 0) return -1;
  card->index = if_nametoindex(present);
  return 0;
}

static int let_go(unsigned place, struct failure *failure) {
  struct card *card = &cards[place];
  if (!card->used && !card->prepared) return 0;
  free(card->fields);
  *card = (struct card){0};
  return cards_unbind(place, failure);
}

static int set_up_card(unsigned place, struct reader *fields, struct failure *failure) {
  struct card *card = &cards[place];
  cleanup_free char *name = read_string(fields, NULL);
  size_t length;
  cleanup_free char *mac = read_string(fields, &length);
  uint32_t mtu = read_number(fields, 4);
  if (fields->bad || length != mac_bytes || !*name || strlen(name) >= IFNAMSIZ) return fail_malformed(failure);
  struct reader addresses = *fields;
  size_t count = read_number(fields, 4);
  for (size_t i = 0; i < count && !fields->bad; i++) read_address(fields, false);
  bool ready = card->prepared && strcmp(name, PREPARED) == 0 && is_silence(*fields);
  if (!ready && find_card(place, failure) < 0) return -1;
  card->used = true;
  card->prepared = false;
  if (!card->index || change_link(card->index, ready ? NULL : name, mac, mtu) < 0)
    return fail_errno(failure, "cannot set up the interface %s", name);
  // Some of the parameters concern what happens when addresses come and the interface goes up.
  if (!ready && network_parameters(fields, failure) < 0) return -1;
  read_number(&addresses, 4);
  for (size_t i = 0; i < count; i++) {
    struct address address = read_address(&addresses, false);
    if (change_address(card->index, &address, RTM_NEWADDR) < 0)
      return fail_errno(failure, "cannot give %s its address", name);
  }
  return !ready && bring(card->index, IFF_UP) < 0 ? fail_errno(failure, "cannot bring up %s", name) : 0;
}

bool network_is_used(void) {
  for (unsigned place = 0; place < CARDS_MAXIMUM; place++)
    if (cards[place].used) return true;
  return false;
}

// Each card's fields come as one string, which is kept to compare with the next.
static int apply_cards(struct reader *fields, struct failure *failure) {
  size_t count = read_number(fields, 4);
  struct reader wanted[CARDS_MAXIMUM] = {0};
  for (size_t i = 0; i < count && !fields->bad; i++) {
    uint32_t place = read_number(fields, 4), size = read_number(fields, 4);
    if (fields->bad || place >= CARDS_MAXIMUM || wanted[place].at || size > (size_t)(fields->end - fields->at))
      return fail_malformed(failure);
    wanted[place] = (struct reader){.at = fields->at, .end = fields->at + size};
    fields->at += size;
  }
  if (fields->bad) return fail_malformed(failure);
  if (closed && count > 0) return fail(failure, RESULT_INVALID, "the workload was started without a network");
  // A workload without a network does not see what was prepared (spaces.h).
  if (count == 0 && !network_is_used()) return 0;
  bool keep[CARDS_MAXIMUM];
  for (unsigned place = 0; place < CARDS_MAXIMUM; place++) {
    struct card *card = &cards[place];
    size_t size = wanted[place].end - wanted[place].at;
    keep[place] = card->used && card->fields && card->size == size && memcmp(card->fields, wanted[place].at, size) == 0;
    bool waits = card->prepared && wanted[place].at;
    if (!keep[place] && !waits && let_go(place, failure) < 0) return -1;
  }
  for (unsigned place = 0; place < CARDS_MAXIMUM; place++) {
    if (keep[place] || !wanted[place].at) continue;
    size_t size = wanted[place].end - wanted[place].at;
    uint8_t *copy = must_allocate(size);
    memcpy(copy, wanted[place].at, size);
    if (set_up_card(place, &wanted[place], failure) < 0) {
      free(copy);
      return -1;
    }
    cards[place].fields = copy;
    cards[place].size = size;
  }
  return 0;
}

static bool is_among(const struct route *route, const struct route *others, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (memcmp(route, &others[i], sizeof *route) == 0) return true;
  return false;
}

static int apply_routes(struct reader *fields, struct failure *failure) {
  static struct route wanted[routes_maximum];
  size_t count = read_number(fields, 4);
  if (fields->bad || count > routes_maximum) return fail_malformed(failure);
  memset(wanted, 0, sizeof wanted);
  for (size_t i = 0; i < count; i++) {
    wanted[i].place = read_number(fields, 4);
    wanted[i].destination = read_address(fields, false);
    wanted[i].gateway = read_address(fields, true);
    wanted[i].metric = read_number(fields, 4);
    if (fields->bad || wanted[i].place >= CARDS_MAXIMUM || !cards[wanted[i].place].used) return fail_malformed(failure);
  }
  // One whose card is gone went with it.
  for (size_t i = 0; i < route_count; i++)
    if (!is_among(&routes[i], wanted, count) && cards[routes[i].place].used) change_route(&routes[i], RTM_DELROUTE);
  route_count = 0;
  for (size_t i = 0; i < count; i++) {
    if (change_route(&wanted[i], RTM_NEWROUTE) < 0) return fail_errno(failure, "cannot make the route %zu", i);
    routes[route_count++] = wanted[i];
  }
  return 0;
}

void network_withdraw(void) {
  for (size_t i = 0; i < route_count; i++) change_route(&routes[i], RTM_DELROUTE);
  for (unsigned place = 0; place < CARDS_MAXIMUM; place++) {
    const struct card *card = &cards[place];
    struct reader fields = {.at = card->fields, .end = card->fields + card->size};
    if (!card->used || !card->fields) continue;
    free(read_string(&fields, NULL));
    free(read_string(&fields, &(size_t){0}));
    read_number(&fields, 4);
    for (size_t count = read_number(&fields, 4); count > 0; count--) {
      struct address address = read_address(&fields, false);
      change_address(card->index, &address, RTM_DELADDR);
    }
  }
}

void network_close(void) { closed = true; }

int network_apply(struct reader *fields, struct failure *failure) {
  return apply_cards(fields, failure) < 0 ? -1 : apply_routes(fields, failure);
}
