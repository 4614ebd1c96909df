/*
 * Starting a process: its pipes, then the program; all at once, or without keeping the environment's thread waiting, since
 * what clones sleeps until the child has executed the program, about a millisecond.
 *
 *   environment's thread     read arguments, enter --+                           +--> watch, report
 *   thread of libuv's pool                           +--> connect streams, clone --+
 *
 * A start belongs to one thread at a time, and so do the process it makes and that one's streams; the queue hands them on.
 * Meanwhile the pool's thread reads of the environment's state only `null_fd`, which never changes. Nothing is registered
 * with epoll before the report, so no event of a process comes before that one.
 *
 * The process is in the table from the beginning, marked `starting`. An environment that ends leaves such a process alone,
 * lives until the last start has come back (`starts`), and abandons what it has brought. The threads of the pool live as
 * long as the whole process, so the child's PR_SET_PDEATHSIG is about that.
 */
#ifdef __linux__
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than any Linux is built for. */
#define MAX_CPUS (1 << 16)

struct window {
  int rows, columns;
};

/* The arguments of spawn, in C's terms and on memory of its own. */
struct request {
  char *file, *directory;
  struct strings argv, env;
  int32_t flags;
  int32_t umask;
  struct window window;
  int32_t *stdio;
  size_t stdio_count;
  int32_t *cpus;
  size_t cpu_count;
  double *limits; /* pairs: an index of `limitNames`, a soft limit */
  size_t limits_length;
};

/* One start, from its arguments to its report. */
struct start {
  uv_work_t work;
  struct request request;
  struct process *process;
  int pidfd;
  struct spawn_failure failure; /* error 0: none */
};

/* The flags of native/processes-native.ts. */
enum { FLAG_NEW_GROUP = 1, FLAG_NEW_SESSION = 2, FLAG_STOP_IN_EXEC = 4, FLAG_OUTLIVES_US = 8 };

/* Makes both ends of what connects descriptor `index`; *theirs is the child's end. */
static int connect_stream(struct stream *stream, int32_t kind, int *theirs) {
  int ends[2];
  bool is_socket = kind == STDIO_CHANNEL;
  int made = is_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) : pipe2(ends, O_CLOEXEC);
  if (made < 0) return -errno;
  int ours = kind == STDIO_INPUT ? 1 : 0;
  stream->fd = ends[ours];
  *theirs = ends[1 - ours];
  stream->can_read = stream->reading = kind != STDIO_INPUT;
  stream->can_write = kind != STDIO_OUTPUT;
  /* Only our end: the child expects blocking descriptors. */
  return fcntl(stream->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int connect_terminal(struct stream *stream, struct window window, int *theirs) {
  int error = terminal_open(&stream->fd, theirs, window.rows, window.columns);
  if (error) return error;
  stream->is_terminal = stream->can_read = stream->reading = stream->can_write = true;
  return fcntl(stream->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* Which descriptor of the child another one of it is the same as. */
static int shared_with(int32_t kind) { return kind <= STDIO_SHARED ? STDIO_SHARED - kind : -1; }

/* Whether the child's end of a descriptor was made here, to be closed here. */
static bool is_connected(int32_t kind) { return kind <= STDIO_INPUT && kind > STDIO_SHARED; }

/* Fills sources[] with the child's ends; what is made before a failure is closed with the rest. */
static int connect_streams(struct process *process, const int32_t *stdio, struct window window, int *sources) {
  for (int i = 0; i < process->stream_count; i++) sources[i] = stdio[i] >= 0 ? stdio[i] : -1;
  for (int i = 0; i < process->stream_count; i++) {
    if (stdio[i] == STDIO_NULL) sources[i] = process->owner->null_fd;
    if (!is_connected(stdio[i])) continue;
    struct stream *stream = &process->streams[i];
    int error = stdio[i] == STDIO_TERMINAL ? connect_terminal(stream, window, &sources[i])
                                           : connect_stream(stream, stdio[i], &sources[i]);
    if (error) return error;
  }
  for (int i = 0; i < process->stream_count; i++) {
    int other = shared_with(stdio[i]);
    if (other >= process->stream_count) return -EBADF;
    if (other >= 0) sources[i] = sources[other];
  }
  return 0;
}

static void close_child_ends(const struct process *process, const int32_t *stdio, const int *sources) {
  for (int i = 0; i < process->stream_count; i++) {
    if (is_connected(stdio[i]) && sources[i] >= 0) close(sources[i]);
  }
}

/* The child's end of its terminal, or -1. */
static int find_terminal(const int32_t *stdio, const int *sources, int count) {
  for (int i = 0; i < count; i++) {
    if (stdio[i] == STDIO_TERMINAL) return sources[i];
  }
  return -1;
}

/* The child of a process, and its streams. `program` lacks only its sources and terminal. */
static void launch(struct start *start, struct program *program) {
  struct process *process = start->process;
  const int32_t *stdio = start->request.stdio;
  int count = process->stream_count;
  start->failure = (struct spawn_failure){STEP_STDIO, ENOMEM};
  /* Twice, since the child rearranges its own. */
  int *sources = malloc(2 * ((size_t)count + 1) * sizeof *sources);
  void *stack = malloc(SPAWN_STACK_BYTES);
  if (sources && stack) {
    start->failure.error = -connect_streams(process, stdio, start->request.window, sources);
    program->sources = memcpy(sources + count, sources, (size_t)count * sizeof *sources);
    program->source_count = count;
    program->terminal = find_terminal(stdio, sources, count);
    if (program->terminal >= 0) program->new_session = true;
    process->leads_group = program->new_group || program->new_session;
    if (!start->failure.error) process->pid = program_spawn(program, stack, &start->pidfd, &start->failure);
    close_child_ends(process, stdio, sources);
  }
  free(stack);
  free(sources);
}

static bool get_strings(napi_env env, napi_value text, napi_value count, struct strings *out) {
  bool failed;
  int64_t number;
  out->text = get_string(env, text, &out->length, &failed);
  if (failed || !out->text) return false;
  if (napi_get_value_int64(env, count, &number) != napi_ok || number < 0) return false;
  out->count = (size_t)number;
  return true;
}

/* A copy to be freed by the caller; of nothing, too. */
static void *copy_of(const void *data, size_t bytes) {
  void *copy = malloc(bytes ? bytes : 1);
  return copy && bytes ? memcpy(copy, data, bytes) : copy;
}

static bool get_int32_copy(napi_env env, napi_value value, int32_t **copy, size_t *length) {
  int32_t *data;
  if (!get_int32s(env, value, &data, length)) return false;
  return (*copy = copy_of(data, *length * sizeof *data)) != NULL;
}

static bool get_double_copy(napi_env env, napi_value value, double **copy, size_t *length) {
  double *data;
  if (!get_doubles(env, value, &data, length)) return false;
  return (*copy = copy_of(data, *length * sizeof *data)) != NULL;
}

static bool get_request(napi_env env, napi_value *arguments, struct request *request) {
  bool failed;
  size_t settings_length;
  int32_t *settings;
  request->file = get_string(env, arguments[0], NULL, &failed);
  if (failed || !request->file) return false;
  if (!get_strings(env, arguments[1], arguments[2], &request->argv)) return false;
  if (!get_strings(env, arguments[3], arguments[4], &request->env)) return false;
  request->directory = get_string(env, arguments[5], NULL, &failed);
  if (failed || !get_int32s(env, arguments[6], &settings, &settings_length) || settings_length < 4) return false;
  request->flags = settings[0];
  request->umask = settings[1];
  request->window = (struct window){.rows = settings[2], .columns = settings[3]};
  if (!get_int32_copy(env, arguments[7], &request->stdio, &request->stdio_count)) return false;
  if (!get_int32_copy(env, arguments[8], &request->cpus, &request->cpu_count)) return false;
  return get_double_copy(env, arguments[9], &request->limits, &request->limits_length);
}

static void free_start(struct start *start) {
  if (!start) return;
  struct request *request = &start->request;
  free(request->file);
  free(request->directory);
  free(request->argv.text);
  free(request->env.text);
  free(request->stdio);
  free(request->cpus);
  free(request->limits);
  free(start);
}

/* None is left for ours. Processors that this machine cannot have are an error, as they are to the kernel. */
static struct spawn_failure prepare_cpus(struct program *program, const struct request *request) {
  int32_t highest = -1;
  for (size_t i = 0; i < request->cpu_count; i++) {
    if (request->cpus[i] < 0 || request->cpus[i] >= MAX_CPUS) return (struct spawn_failure){STEP_CPUS, EINVAL};
    if (request->cpus[i] > highest) highest = request->cpus[i];
  }
  if (highest < 0) return (struct spawn_failure){0};
  program->cpus_bytes = CPU_ALLOC_SIZE(highest + 1);
  program->cpus = calloc(1, program->cpus_bytes);
  if (!program->cpus) return (struct spawn_failure){STEP_CPUS, ENOMEM};
  for (size_t i = 0; i < request->cpu_count; i++) {
    CPU_SET_S((size_t)request->cpus[i], program->cpus_bytes, (cpu_set_t *)program->cpus);
  }
  return (struct spawn_failure){0};
}

static struct spawn_failure prepare_limits(struct program *program, const struct request *request) {
  size_t count = request->limits_length / 2;
  if (!count) return (struct spawn_failure){0};
  program->limits = calloc(count, sizeof *program->limits);
  if (!program->limits) return (struct spawn_failure){STEP_LIMITS, ENOMEM};
  program->limit_count = count;
  for (size_t i = 0; i < count; i++) {
    struct limit limit = {limit_resource(request->limits[2 * i]), limit_value(request->limits[2 * i + 1])};
    if (limit.resource < 0) return (struct spawn_failure){STEP_LIMITS, EINVAL};
    program->limits[i] = limit;
  }
  return (struct spawn_failure){0};
}

/* All that takes its time; of any thread. */
static void run_start(struct start *start) {
  const struct request *request = &start->request;
  struct program program = {
    .directory = request->directory,
    .new_group = request->flags & FLAG_NEW_GROUP,
    .new_session = request->flags & FLAG_NEW_SESSION,
    .stop_in_exec = request->flags & FLAG_STOP_IN_EXEC,
    .outlives_us = request->flags & FLAG_OUTLIVES_US,
    .umask = request->umask,
  };
  void *memory = NULL;
  start->failure = prepare_cpus(&program, request);
  if (!start->failure.error) start->failure = prepare_limits(&program, request);
  if (!start->failure.error) {
    start->failure.step = STEP_EXEC;
    start->failure.error = program_prepare(&program, request->file, request->argv, request->env, &memory);
  }
  if (!start->failure.error) launch(start, &program);
  free(memory);
  free(program.cpus);
  free(program.limits);
}

/* Gives the start a process, which is in the table; false when there is no memory. */
static bool enter(struct processes *all, struct start *start) {
  struct process *process = process_new(all, (int)start->request.stdio_count);
  if (!process) return false;
  if (!process_enter(process)) {
    process_discard(process);
    return false;
  }
  process->starting = true;
  start->process = process;
  return true;
}

/* 0 or a negated errno. */
static int watch(struct process *process) {
  int error = stream_arm(&process->exit, EPOLLIN);
  for (int i = 0; !error && i < process->stream_count; i++) {
    if (process->streams[i].fd >= 0) error = stream_rearm(&process->streams[i]);
  }
  return error;
}

/* Has what was started watched; a child that cannot be is not to go on. Without a child there is no process any more. */
static void finish_start(struct start *start) {
  struct process *process = start->process;
  process->starting = false;
  if (!start->failure.error) {
    process->exit.fd = start->pidfd;
    start->failure = (struct spawn_failure){STEP_CLONE, -watch(process)};
    if (!start->failure.error) return;
    process_abandon(process);
  } else {
    process_discard(process);
  }
  start->process = NULL;
}

/* [pid, 0] or [errno, step] */
static void fill_result(const struct start *start, int32_t *result) {
  result[0] = start->process ? start->process->pid : start->failure.error;
  result[1] = start->process ? 0 : (int32_t)start->failure.step;
}

static void on_work(uv_work_t *work) { run_start(work->data); }

static void on_work_done(uv_work_t *work, int status) {
  (void)status; /* nobody cancels it */
  struct start *start = work->data;
  struct processes *all = start->process->owner;
  int64_t id = start->process->id;
  int32_t result[2];
  finish_start(start);
  fill_result(start, result);
  struct process *process = start->process;
  free_start(start);
  processes_report_start(all, process, id, result);
}

/*
 * spawn(file, argv, argc, env, envCount, directory | undefined, Int32Array [flags, umask, rows, columns], Int32Array
 * stdio, Int32Array cpus, Float64Array limits, Int32Array result, 0 | 1) -> id.
 * argv and env are joined by NULs. result: [pid, 0], or with the id -1 [errno, step]. With a 1 at the end that is told by
 * EVENT_START, unless the id is -1 already.
 */
napi_value spawn(napi_env env, napi_callback_info info) {
  napi_value arguments[12];
  int32_t *result, soon;
  size_t result_length;
  struct processes *all = get_processes(env);
  if (!get_arguments(env, info, 12, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_int32(env, arguments[11], &soon));
  struct start *start = calloc(1, sizeof *start);
  if (!all || !start || !get_int32s(env, arguments[10], &result, &result_length) || result_length < 2 ||
      !get_request(env, arguments, &start->request)) {
    free_start(start);
    throw_failed_call(env, "spawn");
    return NULL;
  }
  start->pidfd = -1;
  start->work.data = start;
  orphans_reap();
  if (!enter(all, start)) {
    start->failure = (struct spawn_failure){STEP_CLONE, ENOMEM};
  } else if (soon) {
    int64_t id = start->process->id;
    all->starts++;
    uv_queue_work(all->poll.loop, &start->work, on_work, on_work_done);
    return from_int(env, id);
  } else {
    run_start(start);
    finish_start(start);
  }
  int64_t id = start->process ? start->process->id : -1;
  fill_result(start, result);
  free_start(start);
  return from_int(env, id);
}
#endif
