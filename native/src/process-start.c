/* Starting a process: its pipes, then the program. */
#ifdef __linux__
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* Fills sources[] with the child's ends; what is made before a failure is closed with the rest. */
static int connect_streams(struct process *process, const int32_t *stdio, int *sources) {
  for (int i = 0; i < process->stream_count; i++) sources[i] = stdio[i] >= 0 ? stdio[i] : -1;
  for (int i = 0; i < process->stream_count; i++) {
    if (stdio[i] == STDIO_NULL) sources[i] = process->owner->null_fd;
    if (stdio[i] > STDIO_INPUT) continue;
    int error = connect_stream(&process->streams[i], stdio[i], &sources[i]);
    if (error) return error;
  }
  return 0;
}

static void close_child_ends(const struct process *process, const int32_t *stdio, const int *sources) {
  for (int i = 0; i < process->stream_count; i++) {
    if (stdio[i] <= STDIO_INPUT && sources[i] >= 0) close(sources[i]);
  }
}

/* Starts the child of a process whose streams are connected and enters it. */
static bool launch(struct process *process, struct program *program, struct spawn_failure *failure) {
  struct processes *all = process->owner;
  int pidfd = -1;
  process->pid = program_spawn(program, all->spawn_stack, &pidfd, failure);
  process->leads_group = program->new_group;
  if (process->pid < 0) return false;
  process->exit.fd = pidfd;
  int error = stream_arm(&process->exit, EPOLLIN);
  if (!error && process_enter(process)) return true;
  kill(process->pid, SIGKILL);
  orphans_add(process->pid);
  *failure = (struct spawn_failure){STEP_CLONE, error ? -error : ENOMEM};
  return false;
}

/* A process with its streams and its child, or NULL and `failure`. `program` lacks only its sources. */
static struct process *start_process(struct processes *all, struct program *program, const int32_t *stdio, int count,
                                     struct spawn_failure *failure) {
  *failure = (struct spawn_failure){STEP_STDIO, ENOMEM};
  struct process *process = process_new(all, count);
  /* Twice, since the child rearranges its own. */
  int *sources = malloc(2 * ((size_t)count + 1) * sizeof *sources);
  bool started = false;
  if (process && sources) {
    failure->error = -connect_streams(process, stdio, sources);
    program->sources = memcpy(sources + count, sources, (size_t)count * sizeof *sources);
    program->source_count = count;
    if (!failure->error) started = launch(process, program, failure);
    close_child_ends(process, stdio, sources);
  }
  free(sources);
  if (started) return process;
  if (process) process_discard(process);
  return NULL;
}

/* The arguments of spawn, in C's terms. */
struct request {
  char *file, *directory;
  struct strings argv, env;
  int32_t flags;
  int32_t *stdio;
  size_t stdio_count;
  int32_t *result;
};

enum { FLAG_NEW_GROUP = 1 };

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
  size_t result_length;
  request->file = get_string(env, arguments[0], NULL, &failed);
  if (failed || !request->file) return false;
  if (!get_strings(env, arguments[1], arguments[2], &request->argv)) return false;
  if (!get_strings(env, arguments[3], arguments[4], &request->env)) return false;
  request->directory = get_string(env, arguments[5], NULL, &failed);
  if (failed || napi_get_value_int32(env, arguments[6], &request->flags) != napi_ok) return false;
  if (!get_int32s(env, arguments[7], &request->stdio, &request->stdio_count)) return false;
  return get_int32s(env, arguments[8], &request->result, &result_length) && result_length >= 2;
}

static void free_request(struct request *request) {
  free(request->file);
  free(request->directory);
  free(request->argv.text);
  free(request->env.text);
}

static struct process *run_request(struct processes *all, struct request *request, struct spawn_failure *failure) {
  struct program program = {.directory = request->directory, .new_group = request->flags & FLAG_NEW_GROUP};
  struct process *process = NULL;
  void *memory = NULL;
  failure->step = STEP_EXEC;
  failure->error = program_prepare(&program, request->file, request->argv, request->env, &memory);
  if (!failure->error) process = start_process(all, &program, request->stdio, (int)request->stdio_count, failure);
  free(memory);
  return process;
}

/*
 * spawn(file, argv, argc, env, envCount, directory | undefined, flags, Int32Array stdio, Int32Array result) -> id.
 * argv and env are joined by NULs. result: [pid], or with the id -1 [errno, step].
 */
napi_value spawn(napi_env env, napi_callback_info info) {
  napi_value arguments[9];
  struct request request = {0};
  struct spawn_failure failure;
  struct processes *all = get_processes(env);
  if (!get_arguments(env, info, 9, arguments)) return NULL;
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
