// The processes the daemon knows by handle: the main one (handle 0) and those that were executed beside it.
#pragma once
#include <poll.h>
#include <sys/types.h>

#include "child.h"
#include "fields.h"
#include "streams.h"

#define MAIN_HANDLE 0

enum process_state { PROCESS_FREE, PROCESS_STARTING, PROCESS_RUNNING, PROCESS_EXITED };

struct process {
  enum process_state state;
  uint32_t handle;
  pid_t pid;            // in the agent's own name space
  uint32_t inner_pid;   // in the workload's
  uint32_t request;     // the start request to answer
  int report_fd;        // the child says here why it could not execute the program
  struct child_report report;
  size_t report_used;
  bool terminal, has_input;
  int terminal_fd;
  bool flowing;         // the daemon of this connection wants its streams
  bool orphaned;        // its daemon is gone
  bool exit_sent;
  bool polled;          // poll_index is of the poll that is being handled
  size_t poll_index;
  uint8_t exit_code;
  bool out_of_memory;
  uint64_t finished_at;
  struct input input;
  struct output output[2];
};

// Starts what the fields of a start request ask for; the answer follows once the child has executed.
int process_start(uint32_t request, struct reader *fields, struct failure *failure);
// Starts a process of the agent's own that reads or writes the workload's files; it may come before the main one.
int process_start_files(uint32_t request, struct reader *fields, struct failure *failure);
struct process *process_find(uint32_t handle);
int process_signal(uint32_t handle, int signal, struct failure *failure);
int process_resize(uint32_t handle, unsigned columns, unsigned rows, struct failure *failure);
void process_forget(uint32_t handle);
uint32_t process_next_handle(void);
uint8_t process_phase(void);
uint64_t process_main_input(void);

// A new connection: nothing flows until it resumes the main process; the others lost their daemon.
void processes_disconnect(void);
// Once the daemon knows that the workload has ended, writes to the disk what is not there yet: the daemon may not ask
// for it before the host goes down.
void processes_write_back(void);
// Waits for every child that has ended.
void processes_reap(void);
// Adds what there is to poll; `processes_polled` gets the same array back.
#define POLLS_PER_PROCESS 4
size_t processes_poll(struct pollfd *polls);
void processes_polled(const struct pollfd *polls);
// Ends the streams of processes that have exited; to be called after anything that may have changed a process.
void processes_settle(void);
// Queues frames as far as the port has room; true if there may be more of them.
bool processes_send(void);
