/* Starting a process: its pipes, then the program. */
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

/* The arguments of spawn, in C's terms. */
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
  int32_t *result;
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
  if (fcntl(stream->fd, F_SETFL, O_NONBLOCK) < 0) return -errno;
  return stream_rearm(stream);
}

static int connect_terminal(struct stream *stream, struct window window, int *theirs) {
  int error = terminal_open(&stream->fd, theirs, window.rows, window.columns);
  if (error) return error;
  stream->is_terminal = stream->can_read = stream->reading = stream->can_write = true;
  if (fcntl(stream->fd, F_SETFL, O_NONBLOCK) < 0) return -errno;
  return stream_rearm(stream);
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

/* Starts the child of a process whose streams are connected and enters it. */
static bool launch(struct process *process, struct program *program, struct spawn_failure *failure) {
  struct processes *all = process->owner;
  int pidfd = -1;
  process->pid = program_spawn(program, all->spawn_stack, &pidfd, failure);
  process->leads_group = program->new_group || program->new_session;
  if (process->pid < 0) return false;
  process->exit.fd = pidfd;
  int error = stream_arm(&process->exit, EPOLLIN);
  if (!error && process_enter(process)) return true;
  kill(process->pid, SIGKILL);
  orphans_add(process->pid);
  *failure = (struct spawn_failure){STEP_CLONE, error ? -error : ENOMEM};
  return false;
}

/* The child's end of its terminal, or -1. */
static int find_terminal(const int32_t *stdio, const int *sources, int count) {
  for (int i = 0; i < count; i++) {
    if (stdio[i] == STDIO_TERMINAL) return sources[i];
  }
  return -1;
}

/* A process with its streams and its child, or NULL and `failure`. `program` lacks only its sources and terminal. */
static struct process *start_process(struct processes *all, struct program *program, const struct request *request,
                                     struct spawn_failure *failure) {
  const int32_t *stdio = request->stdio;
  int count = (int)request->stdio_count;
  *failure = (struct spawn_failure){STEP_STDIO, ENOMEM};
  struct process *process = process_new(all, count);
  /* Twice, since the child rearranges its own. */
  int *sources = malloc(2 * ((size_t)count + 1) * sizeof *sources);
  bool started = false;
  if (process && sources) {
    failure->error = -connect_streams(process, stdio, request->window, sources);
    program->sources = memcpy(sources + count, sources, (size_t)count * sizeof *sources);
    program->source_count = count;
    program->terminal = find_terminal(stdio, sources, count);
    if (program->terminal >= 0) program->new_session = true;
    if (!failure->error) started = launch(process, program, failure);
    close_child_ends(process, stdio, sources);
  }
  free(sources);
  if (started) return process;
  if (process) process_discard(process);
  return NULL;
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

static bool get_request(napi_env env, napi_value *arguments, struct request *request) {
  bool failed;
  size_t result_length, settings_length;
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
  if (!get_int32s(env, arguments[7], &request->stdio, &request->stdio_count)) return false;
  if (!get_int32s(env, arguments[8], &request->cpus, &request->cpu_count)) return false;
  if (!get_doubles(env, arguments[9], &request->limits, &request->limits_length)) return false;
  return get_int32s(env, arguments[10], &request->result, &result_length) && result_length >= 2;
}

static void free_request(struct request *request) {
  free(request->file);
  free(request->directory);
  free(request->argv.text);
  free(request->env.text);
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

static struct process *run_request(struct processes *all, struct request *request, struct spawn_failure *failure) {
  struct program program = {
    .directory = request->directory,
    .new_group = request->flags & FLAG_NEW_GROUP,
    .new_session = request->flags & FLAG_NEW_SESSION,
    .stop_in_exec = request->flags & FLAG_STOP_IN_EXEC,
    .outlives_us = request->flags & FLAG_OUTLIVES_US,
    .umask = request->umask,
  };
  struct process *process = NULL;
  void *memory = NULL;
  *failure = prepare_cpus(&program, request);
  if (!failure->error) *failure = prepare_limits(&program, request);
  if (!failure->error) {
    failure->step = STEP_EXEC;
    failure->error = program_prepare(&program, request->file, request->argv, request->env, &memory);
  }
  if (!failure->error) process = start_process(all, &program, request, failure);
  free(memory);
  free(program.cpus);
  free(program.limits);
  return process;
}

/*
 * spawn(file, argv, argc, env, envCount, directory | undefined, Int32Array [flags, umask, rows, columns], Int32Array
 * stdio, Int32Array cpus, Float64Array limits, Int32Array result) -> id.
 * argv and env are joined by NULs. result: [pid], or with the id -1 [errno, step].
 */
napi_value spawn(napi_env env, napi_callback_info info) {
  napi_value arguments[11];
  struct request request = {0};
  struct spawn_failure failure;
  struct processes *all = get_processes(env);
  if (!get_arguments(env, info, 11, arguments)) return NULL;
  if (!all || !get_request(env, arguments, &request)) {
    free_request(&request);
    throw_failed_call(env, "spawn");
    return NULL;
  }
  orphans_reap();
  struct process *process = run_request(all, &request, &failure);
  request.result[0] = process ? process->pid : failure.error;
  request.result[1] = process ? 0 : (int32_t)failure.step;
  free_request(&request);
  return from_int(env, process ? process->id : -1);
}
#endif
