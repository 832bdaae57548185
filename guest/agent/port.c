#include "port.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "protocol.h"

enum {
  frame_bytes = FRAME_HEADER_BYTES + FRAME_MAXIMUM_PAYLOAD + 1,
  // Output stops queueing above this; answers may go on to queue_stop, where reading requests stops.
  queue_high = 96 * 1024,
  queue_stop = 2 * 1024 * 1024,
};

static int port_fd = -1;
static bool connected;
static uint8_t input[frame_bytes * 2];
static size_t input_used;
static struct writer queue;
static size_t queue_sent;

// The port's device has a name only in sysfs; there is no udev here to make a link of it.
static int find_port(char *path, size_t size) {
  DIR *directory = opendir("/sys/class/virtio-ports");
  if (!directory) return -1;
  int found = -1;
  for (struct dirent *entry; found < 0 && (entry = readdir(directory));) {
    if (entry->d_name[0] == '.') continue;
    char name_path[300], name[64] = "";
    snprintf(name_path, sizeof name_path, "/sys/class/virtio-ports/%s/name", entry->d_name);
    cleanup_file FILE *file = fopen(name_path, "re");
    if (!file || !fgets(name, sizeof name, file)) continue;
    name[strcspn(name, "\n")] = 0;
    if (strcmp(name, PORT_NAME) == 0) found = snprintf(path, size, "/dev/%s", entry->d_name) > 0 ? 0 : -1;
  }
  closedir(directory);
  return found;
}

int port_open(void) {
  char path[300];
  // The host announces the port's name a moment after the driver is there.
  for (int tries = 0; find_port(path, sizeof path) < 0; tries++) {
    if (tries == 5000) return -1;
    usleep(2000);
  }
  port_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (port_fd < 0) return -1;
  if (fcntl(port_fd, F_SETOWN, getpid()) < 0 || fcntl(port_fd, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC) < 0) return -1;
  connected = true;
  return 0;
}

int port_divert(void) {
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return -1;
  // The other end stays open, and nobody reads it.
  port_fd = ends[1];
  connected = true;
  port_drop_queue();
  return 0;
}

int port_poll_fd(void) { return connected ? port_fd : -1; }

short port_poll_events(void) {
  short events = queue.used - queue_sent < queue_stop ? POLLIN : 0;
  return queue.used > queue_sent ? events | POLLOUT : events;
}

void port_hung_up(void) { connected = false; }

void port_signalled(void) { connected = true; }

// Gives the whole frames at the start of the buffer to `handle`; leaves a part of one for the next read.
static void parse(void (*handle)(const struct frame *frame)) {
  size_t at = 0;
  while (input_used - at > FRAME_HEADER_BYTES) {
    struct reader reader = {.at = input + at, .end = input + input_used};
    uint16_t magic = read_number(&reader, 2);
    struct frame frame = {.type = read_number(&reader, 1)};
    read_number(&reader, 1);
    frame.id = read_number(&reader, 4);
    frame.length = read_number(&reader, 4);
    frame.payload = reader.at;
    // Zeros of a preamble, or the rest of a torn frame.
    if (magic != FRAME_MAGIC || frame.length > FRAME_MAXIMUM_PAYLOAD) {
      at++;
      continue;
    }
    size_t whole = FRAME_HEADER_BYTES + frame.length + 1;
    if (input_used - at < whole) break;
    if (frame.payload[frame.length] == FRAME_END_BYTE) handle(&frame);
    at += whole;
  }
  memmove(input, input + at, input_used - at);
  input_used -= at;
}

void port_read(void (*handle)(const struct frame *frame)) {
  for (int rounds = 0; rounds < 16 && queue.used - queue_sent < queue_stop; rounds++) {
    ssize_t got = read(port_fd, input + input_used, sizeof input - input_used);
    if (got <= 0) return;
    input_used += got;
    parse(handle);
  }
}

void port_flush(void) {
  while (connected && queue_sent < queue.used) {
    size_t length = queue.used - queue_sent;
    // The driver copies each write into one buffer of its own, 32 KiB at most.
    if (length > 32 * 1024) length = 32 * 1024;
    ssize_t sent = write(port_fd, queue.data + queue_sent, length);
    if (sent <= 0) break;
    queue_sent += sent;
  }
  if (queue_sent == queue.used) port_drop_queue();
}

bool port_has_room(void) { return queue.used - queue_sent < queue_high; }
bool port_queue_empty(void) { return queue.used == queue_sent; }

void port_drop_queue(void) {
  queue.used = queue_sent = 0;
  if (queue.size > 512 * 1024) writer_free(&queue);
}

void port_send_two(uint8_t type, uint32_t id, const void *head, size_t head_length, const void *body,
                   size_t body_length) {
  if (queue_sent > 256 * 1024) {
    memmove(queue.data, queue.data + queue_sent, queue.used - queue_sent);
    queue.used -= queue_sent;
    queue_sent = 0;
  }
  write_number(&queue, FRAME_MAGIC, 2);
  write_number(&queue, type, 2);
  write_number(&queue, id, 4);
  write_number(&queue, head_length + body_length, 4);
  if (head_length) write_bytes(&queue, head, head_length);
  if (body_length) write_bytes(&queue, body, body_length);
  write_number(&queue, FRAME_END_BYTE, 1);
}

void port_send(uint8_t type, uint32_t id, const void *payload, size_t length) {
  port_send_two(type, id, payload, length, NULL, 0);
}
