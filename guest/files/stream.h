// The standard streams of a files process, and its end.
#pragma once
#include <sys/types.h>

#include "../agent/fields.h"

// Ends the process. `stop_errno` chooses the result by errno and adds strerror(errno).
void stop(uint8_t result, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
void stop_errno(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

void put_bytes(const void *data, size_t length);
void put_zeros(uint64_t length);
// A record: its length and the writer's content.
void put_record(const struct writer *body);
void put_end(void);
void flush_output(void);

// The next record's body, NULL at the end of them. Valid until the next call.
const uint8_t *take_record(size_t *length);
// Exactly as many bytes as asked for.
void take_bytes(void *data, size_t length);
