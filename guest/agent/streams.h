// The standard streams of a process: rings between its pipes and the port, with byte offsets.
#pragma once
#include "common.h"

struct ring {
  uint8_t *data;
  size_t size;
  uint64_t start, end;  // offsets of the first byte kept and of the one after the last
};

// What a process wrote. Bytes stay in the ring until the daemon acknowledges them.
struct output {
  int fd;  // -1 once it has ended
  bool used, ended, end_sent;
  struct ring ring;
  uint64_t sent;  // over the present connection
};

// What a process is to read.
struct input {
  int fd;  // -1 once closed
  struct ring ring;
  bool ending;
  uint64_t ending_at;
  uint64_t credit_sent;
};

void output_open(struct output *output, int fd, size_t window);
bool output_wants_read(const struct output *output);
void output_read(struct output *output);
// No more is to be read, whether or not the other end is still held open.
void output_end(struct output *output);
// Reads all that is in the pipe and throws it away.
void output_discard(struct output *output);
void output_acknowledge(struct output *output, uint64_t offset);
// Starts sending at `offset`, or at the first byte that is kept.
void output_resume(struct output *output, uint64_t offset);
// Queues at most one frame; true if it did.
bool output_send(struct output *output, uint32_t handle, uint8_t channel);
bool output_drained(const struct output *output);
void output_free(struct output *output);

void input_open(struct input *input, int fd);
void input_receive(struct input *input, uint64_t offset, const uint8_t *data, size_t length);
void input_receive_end(struct input *input, uint64_t offset);
bool input_wants_write(const struct input *input);
void input_write(struct input *input);
void input_close(struct input *input);
// Queues the credit when the daemon could use a new one; true if it did.
bool input_send_credit(struct input *input, uint32_t handle);
void input_free(struct input *input);
