#include "stream.h"

#include "../agent/protocol.h"

enum { buffer_bytes = 256 * 1024 };

static uint8_t output[buffer_bytes], input[buffer_bytes];
static size_t output_used, input_at, input_end;

static void write_all(const uint8_t *data, size_t length) {
  while (length > 0) {
    ssize_t put = write(STDOUT_FILENO, data, length);
    if (put < 0 && errno == EINTR) continue;
    // Nobody reads any more, so nobody reads a message either.
    if (put < 0) _exit(FILES_FAILED);
    data += put, length -= put;
  }
}

void flush_output(void) {
  write_all(output, output_used);
  output_used = 0;
}

void put_bytes(const void *data, size_t length) {
  if (output_used + length > buffer_bytes) flush_output();
  if (length >= buffer_bytes) return write_all(data, length);
  memcpy(output + output_used, data, length);
  output_used += length;
}

void put_zeros(uint64_t length) {
  static const uint8_t zeros[4096];
  for (size_t piece; length > 0; length -= piece) {
    piece = length < sizeof zeros ? length : sizeof zeros;
    put_bytes(zeros, piece);
  }
}

static void put_length(uint32_t length) {
  uint8_t bytes[4] = {length, length >> 8, length >> 16, length >> 24};
  put_bytes(bytes, sizeof bytes);
}

void put_record(const struct writer *body) {
  if (body->used > LIMIT_FILES_RECORD) stop(FILES_TOO_LARGE, "what is known of one file takes more than %d bytes", LIMIT_FILES_RECORD);
  put_length(body->used);
  put_bytes(body->data, body->used);
}

void put_end(void) {
  put_length(0);
  flush_output();
}

void take_bytes(void *data, size_t length) {
  for (uint8_t *at = data; length > 0;) {
    if (input_at == input_end) {
      ssize_t got = read(STDIN_FILENO, input, sizeof input);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) stop(FILES_FAILED, "what was to be written ended too early");
      input_at = 0, input_end = got;
    }
    size_t piece = input_end - input_at < length ? input_end - input_at : length;
    memcpy(at, input + input_at, piece);
    at += piece, input_at += piece, length -= piece;
  }
}

const uint8_t *take_record(size_t *length) {
  static uint8_t *body;
  uint8_t head[4];
  take_bytes(head, sizeof head);
  *length = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t)head[3] << 24;
  if (*length == 0) return NULL;
  if (*length > LIMIT_FILES_RECORD) stop(FILES_FAILED, "a record is over its limit");
  if (!body) body = must_allocate(LIMIT_FILES_RECORD);
  take_bytes(body, *length);
  return body;
}

static void end(uint8_t result, const char *message) {
  flush_output();
  if (write(STDERR_FILENO, message, strlen(message)) < 0) _exit(result);
  _exit(result);
}

void stop(uint8_t result, const char *format, ...) {
  char message[8192];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  end(result, message);
  _exit(result);
}

static uint8_t result_of(int error) {
  switch (error) {
    case ENOENT:
      return FILES_NOT_FOUND;
    case ENOTDIR:
    case ELOOP:
      return FILES_NOT_DIRECTORY;
    case ENOSPC:
    case EDQUOT:
      return FILES_NO_SPACE;
    case EROFS:
      return FILES_READ_ONLY;
    case ENAMETOOLONG:
    case EFBIG:
    case ENOMEM:
      return FILES_TOO_LARGE;
    default:
      return FILES_FAILED;
  }
}

void stop_errno(const char *format, ...) {
  int error = errno;
  char message[8192];
  va_list arguments;
  va_start(arguments, format);
  size_t used = vsnprintf(message, sizeof message - 256, format, arguments);
  va_end(arguments);
  if (used > sizeof message - 256) used = sizeof message - 256;
  snprintf(message + used, sizeof message - used, ": %s", strerror(error));
  end(result_of(error), message);
  _exit(FILES_FAILED);
}
