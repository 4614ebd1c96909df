/*
 * Child processes of one environment: their pipes and their end, reported to one JavaScript function.
 *
 * An environment has one epoll instance for all its children, and one libuv handle polls that: a child costs neither
 * libuv handles nor their asynchronous closing, and one wake-up of the event loop serves every child that is ready.
 *
 *   libuv loop --uv_poll--> epoll --+-- pidfd of child 1        readable once it has ended
 *                                   +-- its output pipes        while they are read
 *                                   +-- its input pipes         only while a write waits for room
 *                                   +-- pidfd of child 2 ...
 *
 * A child that JavaScript names by id is in `table` until it has ended and nothing more can be read from it. Then it is
 * freed, but never while events that epoll_wait returned may still point to it: see `dispatching` and `finished`.
 */
#ifndef FLUX_PROCESS_H
#define FLUX_PROCESS_H

#include "addon.h"

#include <uv.h>

/*
 * What a child's descriptor is; the numbers of `stdioCodes` in native/processes-native.ts. From 0 on: one of ours; from
 * STDIO_SHARED down: the same as the child's descriptor STDIO_SHARED - n.
 */
enum {
  STDIO_CLOSED = -1,
  STDIO_NULL = -2,
  STDIO_INPUT = -3,
  STDIO_OUTPUT = -4,
  STDIO_CHANNEL = -5,
  STDIO_TERMINAL = -6,
  STDIO_SHARED = -16,
};

/* What is reported; the numbers of `eventCodes` in native/processes-native.ts. */
enum event { EVENT_DATA, EVENT_DRAIN, EVENT_EXIT, EVENT_CLOSE, EVENT_START };

/* A pipe of Linux holds 64 KiB unless told otherwise, so one read can empty it. */
#define READ_BYTES (64 * 1024)
#define BATCH_EVENTS 64

/* Our end of one descriptor of a child, or (`is_exit`) its pidfd. */
struct stream {
  struct process *process;
  int fd;              /* -1: closed */
  uint32_t armed;      /* events registered with epoll; 0: not registered */
  int32_t index;       /* the child's descriptor */
  bool is_exit;
  bool is_terminal;
  bool can_read;       /* not yet at end of file, nor closed */
  bool can_write;
  bool reading;        /* not paused */
  bool wants_drain;    /* a write was cut short */
};

struct process {
  struct processes *owner;
  int64_t id;
  pid_t pid;
  bool leads_group;
  bool starting;       /* another thread has it; see process-start.c */
  bool exited;
  struct process *next_finished;
  int stream_count;
  struct stream exit; /* the pidfd */
  struct stream streams[];
};

struct processes {
  napi_env env;
  napi_ref on_event;
  napi_ref usage_reference;
  double *usage;            /* of the process whose exit is reported: seconds of user and system time, KiB */
  napi_async_context async_context;
  napi_async_cleanup_hook_handle cleanup;
  uv_poll_t poll;
  int epoll;
  int null_fd;
  struct process **table;   /* by slot, the low bits of an id; NULL: free */
  uint32_t table_size;
  uint32_t live_count;
  int64_t generation;       /* the high bits of the next id, so that a stale id finds nothing */
  bool dispatching;
  struct process *finished; /* to be freed when `dispatching` ends */
  uint32_t starts;          /* under way in other threads */
  bool ending;              /* the environment runs no more JavaScript */
  bool poll_closed;
  char read_buffer[READ_BYTES];
};

#define SLOT_BITS 20

/* process.c: the table of processes, and their streams */
struct process *process_new(struct processes *all, int stream_count);
bool process_enter(struct process *process); /* gives it an id; false: no memory */
struct process *process_find(struct processes *all, int64_t id);
bool process_settle(struct process *process); /* whether it has closed just now; then it is freed, or will be */
void process_discard(struct process *process); /* frees one without a child, also from the table */
void process_abandon(struct process *process); /* as that, with a child: nobody will hear of it, so it is not to go on */
void processes_free_finished(struct processes *all);

int stream_arm(struct stream *stream, uint32_t events); /* 0 or a negated errno, as the next */
int stream_rearm(struct stream *stream);
void stream_close(struct stream *stream);
void stream_end_reading(struct stream *stream);
void stream_end_writing(struct stream *stream);

/* process-events.c: an environment's processes are watched from startProcesses on until its end. */
napi_value start_processes(napi_env env, napi_callback_info info);
struct processes *get_processes(napi_env env); /* NULL before that */

/*
 * What has become of a start: EVENT_START with the process's pid, or with an errno and as its stream the step. `process` is
 * NULL then, `id` that which it had. Of the environment's last start when that ends, it is the end of `all`.
 */
void processes_report_start(struct processes *all, struct process *process, int64_t id, const int32_t result[2]);

/* terminal.c: opens a pseudo terminal of that size. 0 or a negated errno. */
int terminal_open(int *ours, int *theirs, int rows, int columns);
int terminal_resize(int ours, int rows, int columns);

/* process-start.c */
napi_value spawn(napi_env env, napi_callback_info info);

#endif
