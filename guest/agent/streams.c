#include "streams.h"

#include <sys/uio.h>

#include "fields.h"
#include "port.h"
#include "protocol.h"

static size_t ring_used(const struct ring *ring) { return ring->end - ring->start; }

// The part of the ring from `offset` on that lies in one piece.
static size_t ring_piece(const struct ring *ring, uint64_t offset, uint64_t limit, uint8_t **at) {
  size_t position = offset % ring->size;
  size_t length = limit - offset;
  *at = ring->data + position;
  return length < ring->size - position ? length : ring->size - position;
}

void output_open(struct output *output, int fd, size_t window) {
  *output = (struct output){.fd = fd, .used = true, .ring = {.size = window}};
}

// Many a process writes nothing: its ring has no memory before the first byte.
static ssize_t read_first(struct output *output) {
  uint8_t some[512];
  ssize_t got = read(output->fd, some, sizeof some);
  if (got <= 0) return got;
  output->ring.data = must_allocate(output->ring.size);
  memcpy(output->ring.data, some, got);
  return got;
}

bool output_wants_read(const struct output *output) {
  return output->fd >= 0 && ring_used(&output->ring) < output->ring.size;
}

void output_read(struct output *output) {
  while (output_wants_read(output)) {
    uint8_t *at;
    struct ring *ring = &output->ring;
    size_t length = ring_piece(ring, ring->end, ring->start + ring->size, &at);
    bool first = !ring->data;
    ssize_t got = first ? read_first(output) : read(output->fd, at, length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    // A terminal's master end reads EIO once no process holds the other end.
    if (got <= 0) return output_end(output);
    ring->end += got;
    if (!first && (size_t)got < length) return;
  }
}

void output_end(struct output *output) {
  if (output->fd >= 0) close(output->fd);
  output->fd = -1;
  output->ended = true;
}

void output_discard(struct output *output) {
  output_read(output);
  output->ring.start = output->sent = output->ring.end;
}

void output_acknowledge(struct output *output, uint64_t offset) {
  if (offset > output->ring.start && offset <= output->ring.end) output->ring.start = offset;
  if (output->sent < output->ring.start) output->sent = output->ring.start;
}

void output_resume(struct output *output, uint64_t offset) {
  output_acknowledge(output, offset);
  output->sent = output->ring.start;
  output->end_sent = false;
}

bool output_send(struct output *output, uint32_t handle, uint8_t channel) {
  if (!output->used || output->end_sent) return false;
  struct ring *ring = &output->ring;
  uint8_t head[9] = {channel};
  for (int i = 0; i < 8; i++) head[1 + i] = output->sent >> (8 * i);
  if (output->sent < ring->end) {
    uint8_t *at;
    size_t length = ring_piece(ring, output->sent, ring->end, &at);
    if (length > FRAME_MAXIMUM_PAYLOAD - sizeof head) length = FRAME_MAXIMUM_PAYLOAD - sizeof head;
    port_send_two(FRAME_OUTPUT, handle, head, sizeof head, at, length);
    output->sent += length;
    return true;
  }
  if (!output->ended) return false;
  port_send(FRAME_OUTPUT_END, handle, head, sizeof head);
  output->end_sent = true;
  return true;
}

bool output_drained(const struct output *output) { return !output->used || output->end_sent; }

void output_free(struct output *output) {
  if (output->fd >= 0) close(output->fd);
  free(output->ring.data);
  *output = (struct output){.fd = -1};
}

void input_open(struct input *input, int fd) {
  *input = (struct input){
      .fd = fd, .ring = {.size = LIMIT_INPUT_WINDOW, .data = must_allocate(LIMIT_INPUT_WINDOW)}};
}

void input_receive(struct input *input, uint64_t offset, const uint8_t *data, size_t length) {
  struct ring *ring = &input->ring;
  if (offset < ring->end) {
    uint64_t known = ring->end - offset;
    if (known >= length) return;
    data += known, offset += known, length -= known;
  }
  if (offset > ring->end) return input_receive_end(input, ring->end);
  if (input->fd < 0 || !ring->data) {
    // Nobody reads any more: the daemon's writes still have to come to an end.
    ring->start = ring->end += length;
    return;
  }
  while (length > 0 && ring_used(ring) < ring->size) {
    uint8_t *at;
    size_t piece = ring_piece(ring, ring->end, ring->start + ring->size, &at);
    if (piece > length) piece = length;
    memcpy(at, data, piece);
    ring->end += piece, data += piece, length -= piece;
  }
  input_write(input);
}

void input_receive_end(struct input *input, uint64_t offset) {
  input->ending = true;
  input->ending_at = offset;
  input_write(input);
}

bool input_wants_write(const struct input *input) { return input->fd >= 0 && ring_used(&input->ring) > 0; }

void input_write(struct input *input) {
  struct ring *ring = &input->ring;
  while (input_wants_write(input)) {
    uint8_t *at;
    size_t length = ring_piece(ring, ring->start, ring->end, &at);
    ssize_t put = write(input->fd, at, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) return;
    if (put < 0) return input_close(input);
    ring->start += put;
  }
  if (input->fd >= 0 && input->ending && ring->start >= input->ending_at) input_close(input);
}

void input_close(struct input *input) {
  if (input->fd >= 0) close(input->fd);
  input->fd = -1;
  input->ring.start = input->ring.end;
}

bool input_send_credit(struct input *input, uint32_t handle) {
  uint64_t credit = input->ring.start + LIMIT_INPUT_WINDOW;
  // Small steps would cost a frame per keystroke's worth of reading.
  if (input->credit_sent && credit < input->credit_sent + LIMIT_INPUT_WINDOW / 4) return false;
  uint8_t payload[8];
  for (int i = 0; i < 8; i++) payload[i] = credit >> (8 * i);
  port_send(FRAME_INPUT_CREDIT, handle, payload, sizeof payload);
  input->credit_sent = credit;
  return true;
}

void input_free(struct input *input) {
  input_close(input);
  free(input->ring.data);
  *input = (struct input){.fd = -1};
}
