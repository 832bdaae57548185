// The virtio-serial port: frames in, frames out, and the state of the connection behind it.
#pragma once
#include "fields.h"

struct frame {
  uint8_t type;
  uint32_t id;
  const uint8_t *payload;
  uint32_t length;
};

// Opens the port; it may be opened once only, so the descriptor lives as long as the agent.
int port_open(void);
// In a process that rehearses: what it says goes nowhere.
int port_divert(void);
// The descriptor to poll, or -1 while no daemon is connected (poll would report the hang-up without end).
int port_poll_fd(void);
// The events to poll for.
short port_poll_events(void);
void port_hung_up(void);
// The kernel signals (SIGIO) when a daemon connects or leaves, and when data comes.
void port_signalled(void);

// Reads what is there and gives each whole frame to `handle`. Stops while too many answers wait to be sent.
void port_read(void (*handle)(const struct frame *frame));
// Sends what is queued as far as the port takes it.
void port_flush(void);

// Bytes that output may still queue before the port has to drain.
bool port_has_room(void);
void port_send(uint8_t type, uint32_t id, const void *payload, size_t length);
// `head` and `body` are one payload.
void port_send_two(uint8_t type, uint32_t id, const void *head, size_t head_length, const void *body,
                   size_t body_length);
// Forgets what is queued: it was meant for a connection that is gone.
void port_drop_queue(void);
bool port_queue_empty(void);
