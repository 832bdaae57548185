#include "requests.h"

#include "cgroup.h"
#include "identity.h"
#include "listing.h"
#include "mounts.h"
#include "network.h"
#include "process.h"
#include "protocol.h"
#include "rehearse.h"
#include "workload.h"

static struct writer body;
static uint32_t body_id;
static bool ending;

bool requests_ending(void) { return ending; }

static void send_response(uint32_t id, struct writer *response) {
  size_t at = 0;
  for (; response->used - at > FRAME_MAXIMUM_PAYLOAD; at += FRAME_MAXIMUM_PAYLOAD)
    port_send(FRAME_RESPONSE_PART, id, response->data + at, FRAME_MAXIMUM_PAYLOAD);
  port_send(FRAME_RESPONSE, id, response->data + at, response->used - at);
}

static int set_clock(struct reader *fields, struct failure *failure) {
  uint64_t now = read_number(fields, 8);
  if (fields->bad) return fail(failure, RESULT_INVALID, "the request is malformed");
  return workload_set_clock(now) < 0 ? fail_errno(failure, "cannot set the clock") : 0;
}

static int rewrite_file(struct reader *fields, struct failure *failure) {
  size_t length;
  cleanup_free char *path = read_string(fields, NULL), *content = read_string(fields, &length);
  if (fields->bad) return fail(failure, RESULT_INVALID, "the request is malformed");
  return mounts_rewrite_file(path, content, length, failure);
}

static void write_statistics(struct writer *answer) {
  struct cgroup_usage usage;
  cgroup_usage(&usage);
  write_number(answer, usage.processes, 4);
  write_number(answer, usage.memory, 8);
  write_number(answer, usage.processor_nanoseconds, 8);
}

// Returns 1 if the answer comes later, 0 if `answer` is complete, -1 on failure.
static int perform(uint32_t id, struct reader *fields, struct writer *answer, struct failure *failure) {
  uint8_t verb = read_number(fields, 1);
  uint32_t handle, first, second;
  switch (verb) {
    case VERB_SET_UP:
      return workload_set_up(fields, failure);
    case VERB_START:
      return process_start(id, fields, failure) < 0 ? -1 : 1;
    case VERB_SIGNAL:
      handle = read_number(fields, 4), first = read_number(fields, 4);
      return fields->bad ? fail(failure, RESULT_INVALID, "the request is malformed")
                         : process_signal(handle, first, failure);
    case VERB_RESIZE:
      handle = read_number(fields, 4), first = read_number(fields, 2), second = read_number(fields, 2);
      return fields->bad ? fail(failure, RESULT_INVALID, "the request is malformed")
                         : process_resize(handle, first, second, failure);
    case VERB_PROCESSES:
      listing_write(answer);
      return 0;
    case VERB_STATISTICS:
      write_statistics(answer);
      return 0;
    case VERB_SET_CLOCK:
      return set_clock(fields, failure);
    case VERB_SET_NETWORK:
      return network_apply(fields, failure);
    case VERB_WRITE_FILE:
      return rewrite_file(fields, failure);
    case VERB_FILES:
      return process_start_files(id, fields, failure) < 0 ? -1 : 1;
    case VERB_FREEZE:
      first = read_number(fields, 1);
      if (fields->bad) return fail(failure, RESULT_INVALID, "the request is malformed");
      return identity_freeze(first, failure);
    case VERB_REHEARSE:
      if (process_phase() != PHASE_BOOTED) return fail(failure, RESULT_INVALID, "it is too late for a rehearsal");
      return rehearse(fields, failure);
    case VERB_PREPARE_ROOT:
      return workload_prepare_root(fields, failure);
    case VERB_THAW:
      return identity_thaw(fields, failure);
    case VERB_SHUT_DOWN:
      workload_take_down();
      ending = true;
      return 0;
    default:
      return fail(failure, RESULT_INVALID, "the verb %u is unknown", verb);
  }
}

static void handle_request(uint32_t id) {
  struct reader fields = {.at = body.data, .end = body.data + body.used};
  struct writer response cleanup_writer = {0}, answer cleanup_writer = {0};
  struct failure failure = {.result = RESULT_FAILED};
  int outcome = perform(id, &fields, &answer, &failure);
  writer_free(&body);
  if (outcome > 0) return;
  write_number(&response, outcome < 0 ? failure.result : RESULT_OK, 1);
  write_string(&response, outcome < 0 ? failure.message : "");
  if (outcome == 0 && answer.used) write_bytes(&response, answer.data, answer.used);
  send_response(id, &response);
}

static void collect(const struct frame *frame, bool last) {
  if (body.used && body_id != frame->id) writer_free(&body);
  body_id = frame->id;
  if (body.used + frame->length > LIMIT_REQUEST_BYTES) {
    console("a request is over its limit");
    return writer_free(&body);
  }
  write_bytes(&body, frame->payload, frame->length);
  if (last) handle_request(frame->id);
}

static void hello(const struct frame *frame) {
  if (frame->length != 20) return;
  writer_free(&body);
  port_drop_queue();
  processes_disconnect();
  struct writer welcome cleanup_writer = {0};
  write_number(&welcome, PROTOCOL_VERSION, 4);
  write_bytes(&welcome, frame->payload + 4, 16);
  write_number(&welcome, process_phase(), 1);
  write_number(&welcome, process_next_handle(), 4);
  write_number(&welcome, process_main_input(), 8);
  port_send(FRAME_WELCOME, 0, welcome.data, welcome.used);
}

static void resume(struct reader *fields) {
  struct process *process = process_find(MAIN_HANDLE);
  uint64_t offsets[2] = {read_number(fields, 8), read_number(fields, 8)};
  if (!process || fields->bad) return;
  process->flowing = true;
  for (int i = 0; i < 2; i++)
    if (process->output[i].used) output_resume(&process->output[i], offsets[i]);
}

void requests_handle(const struct frame *frame) {
  struct reader fields = {.at = frame->payload, .end = frame->payload + frame->length};
  struct process *process = process_find(frame->id);
  switch (frame->type) {
    case FRAME_HELLO:
      return hello(frame);
    case FRAME_REQUEST_PART:
    case FRAME_REQUEST:
      return collect(frame, frame->type == FRAME_REQUEST);
    case FRAME_RESUME:
      return resume(&fields);
    case FRAME_EXIT_ACKNOWLEDGE:
      return process_forget(frame->id);
  }
  if (!process) return;
  uint8_t channel = frame->type == FRAME_ACKNOWLEDGE ? read_number(&fields, 1) : 0;
  uint64_t offset = read_number(&fields, 8);
  if (fields.bad) return;
  if (frame->type == FRAME_ACKNOWLEDGE && (channel == CHANNEL_STDOUT || channel == CHANNEL_STDERR))
    output_acknowledge(&process->output[channel - 1], offset);
  if (frame->type == FRAME_INPUT) input_receive(&process->input, offset, fields.at, fields.end - fields.at);
  if (frame->type == FRAME_INPUT_END) input_receive_end(&process->input, offset);
}
