/* What happens to the processes of an environment, from its first one to its end. */
#ifdef __linux__
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls JavaScript; false when this environment runs no more of it (its worker is being terminated). */
static bool emit(struct processes *all, int64_t id, enum event event, int32_t index, napi_value value) {
  napi_env env = all->env;
  napi_value arguments[4], function, receiver;
  arguments[3] = value;
  if (napi_create_int64(env, id, &arguments[0]) != napi_ok) return false;
  if (napi_create_int32(env, event, &arguments[1]) != napi_ok) return false;
  if (napi_create_int32(env, index, &arguments[2]) != napi_ok) return false;
  if (napi_get_reference_value(env, all->on_event, &function) != napi_ok) return false;
  if (napi_get_undefined(env, &receiver) != napi_ok) return false;
  if (!value) arguments[3] = receiver;
  if (napi_call_function(env, receiver, function, 4, arguments, NULL) == napi_ok) return true;
  napi_value exception;
  if (napi_get_and_clear_last_exception(env, &exception) != napi_ok) return false;
  return napi_fatal_exception(env, exception) == napi_ok;
}

static bool emit_if_settled(struct process *process) {
  struct processes *all = process->owner;
  int64_t id = process->id;
  return !process_settle(process) || emit(all, id, EVENT_CLOSE, -1, NULL);
}

static bool on_readable(struct stream *stream) {
  struct process *process = stream->process;
  struct processes *all = process->owner;
  ssize_t bytes = read(stream->fd, all->read_buffer, READ_BYTES);
  if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (bytes <= 0) { /* an error (ECONNRESET) ends a stream as an end of file does */
    stream_end_reading(stream);
    return emit(all, process->id, EVENT_DATA, stream->index, NULL) && emit_if_settled(process);
  }
  napi_value buffer;
  if (napi_create_buffer_copy(all->env, (size_t)bytes, all->read_buffer, NULL, &buffer) != napi_ok) return false;
  return emit(all, process->id, EVENT_DATA, stream->index, buffer);
}

static bool on_writable(struct stream *stream) {
  stream->wants_drain = false;
  stream_rearm(stream);
  return emit(stream->process->owner, stream->process->id, EVENT_DRAIN, stream->index, NULL);
}

/*
 * What would be written after the exit nobody reads: a grandchild that holds the other end must not keep this process
 * here. A writer that waits for room is told, and learns of it with its next write.
 */
static bool end_all_writing(struct process *process) {
  for (int i = 0; i < process->stream_count; i++) {
    struct stream *stream = &process->streams[i];
    bool waiting = stream->can_write && stream->wants_drain;
    stream_end_writing(stream);
    if (waiting && !emit(process->owner, process->id, EVENT_DRAIN, i, NULL)) return false;
  }
  return true;
}

/* The status that is reported when something else in this process has taken it: exit code 255. */
#define STATUS_LOST (255 << 8)

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

static void report_usage(struct processes *all, const struct rusage *usage) {
  all->usage[0] = seconds(usage->ru_utime);
  all->usage[1] = seconds(usage->ru_stime);
  all->usage[2] = (double)usage->ru_maxrss;
}

static bool on_exit_ready(struct process *process) {
  int status;
  struct rusage usage = {0};
  pid_t reaped = wait4(process->pid, &status, WNOHANG, &usage);
  if (reaped == 0 || (reaped < 0 && errno == EINTR)) return true;
  if (reaped < 0) status = STATUS_LOST;
  process->exited = true;
  report_usage(process->owner, &usage);
  stream_close(&process->exit);
  napi_value value;
  if (!end_all_writing(process) || napi_create_int32(process->owner->env, status, &value) != napi_ok) return false;
  return emit(process->owner, process->id, EVENT_EXIT, -1, value) && emit_if_settled(process);
}

/* What an earlier event of the batch has led to (a pause, a close) holds for this one. */
static bool on_stream_ready(struct stream *stream, uint32_t events) {
  if (stream->fd < 0) return true;
  if (stream->is_exit) return on_exit_ready(stream->process);
  uint32_t broken = events & (EPOLLHUP | EPOLLERR);
  if ((events & EPOLLOUT || broken) && stream->can_write && stream->wants_drain && !on_writable(stream)) return false;
  if (stream->fd < 0) return true;
  if ((events & EPOLLIN || broken) && stream->can_read && stream->reading) return on_readable(stream);
  return true;
}

static bool in_handle_scope(napi_env env, struct stream *stream, uint32_t events) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return false;
  bool running = on_stream_ready(stream, events);
  napi_close_handle_scope(env, scope);
  return running;
}

static void dispatch(struct processes *all, const struct epoll_event *ready, int count) {
  all->dispatching = true;
  for (int i = 0; i < count; i++) {
    if (!in_handle_scope(all->env, ready[i].data.ptr, ready[i].events)) break;
  }
  all->dispatching = false;
  processes_free_finished(all);
}

/*
 * One callback scope for the batch: promises and ticks that the events gave rise to run once, when it closes.
 */
struct scopes {
  napi_handle_scope handles;
  napi_callback_scope callbacks;
};

static bool open_scopes(struct processes *all, struct scopes *scopes) {
  napi_env env = all->env;
  napi_value resource;
  if (napi_open_handle_scope(env, &scopes->handles) != napi_ok) return false;
  if (napi_create_object(env, &resource) == napi_ok &&
      napi_open_callback_scope(env, resource, all->async_context, &scopes->callbacks) == napi_ok) {
    return true;
  }
  napi_close_handle_scope(env, scopes->handles);
  return false;
}

static void close_scopes(struct processes *all, struct scopes *scopes) {
  napi_close_callback_scope(all->env, scopes->callbacks);
  napi_close_handle_scope(all->env, scopes->handles);
}

/*
 * Reading is level-triggered, so whatever is left over comes again with the next turn of the loop, after timers had theirs.
 */
static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct processes *all = poll->data;
  struct epoll_event ready[BATCH_EVENTS];
  struct scopes scopes;
  int count = epoll_wait(all->epoll, ready, BATCH_EVENTS, 0);
  if (count <= 0 || !open_scopes(all, &scopes)) return;
  dispatch(all, ready, count);
  close_scopes(all, &scopes);
}

/* ---- the end of an environment ---- */

static void free_all(struct processes *all) {
  if (all->epoll >= 0) close(all->epoll);
  if (all->null_fd >= 0) close(all->null_fd);
  free(all->table);
  free(all);
}

static void free_if_over(struct processes *all) {
  if (!all->poll_closed || all->starts > 0) return;
  napi_async_cleanup_hook_handle cleanup = all->cleanup;
  free_all(all);
  napi_remove_async_cleanup_hook(cleanup); /* last: it lets the environment go */
}

static void on_poll_closed(uv_handle_t *handle) {
  struct processes *all = handle->data;
  all->poll_closed = true;
  free_if_over(all);
}

static void on_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  struct processes *all = data;
  (void)handle;
  all->ending = true;
  for (uint32_t slot = 0; slot < all->table_size; slot++) {
    struct process *process = all->table[slot];
    if (process && !process->starting) process_abandon(process);
  }
  processes_free_finished(all);
  if (all->on_event) napi_delete_reference(all->env, all->on_event);
  if (all->usage_reference) napi_delete_reference(all->env, all->usage_reference);
  if (all->async_context) napi_async_destroy(all->env, all->async_context);
  uv_close((uv_handle_t *)&all->poll, on_poll_closed);
}

/* ---- starts that were under way ---- */

static void emit_start(struct processes *all, int64_t id, const int32_t result[2]) {
  struct scopes scopes;
  napi_value value;
  if (!open_scopes(all, &scopes)) return;
  if (napi_create_int32(all->env, result[0], &value) == napi_ok) emit(all, id, EVENT_START, result[1], value);
  close_scopes(all, &scopes);
}

void processes_report_start(struct processes *all, struct process *process, int64_t id, const int32_t result[2]) {
  all->starts--;
  if (!all->ending) {
    emit_start(all, id, result);
    return;
  }
  if (process) process_abandon(process);
  free_if_over(all);
}

/* ---- its beginning ---- */

/* Opens what an environment needs and has its loop poll it, without keeping the loop alive. 0 or a negated errno. */
static int open_all(struct processes *all) {
  uv_loop_t *loop;
  all->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (all->epoll < 0) return -errno;
  all->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (all->null_fd < 0) return -errno;
  if (napi_get_uv_event_loop(all->env, &loop) != napi_ok) return -EINVAL;
  return uv_poll_init(loop, &all->poll, all->epoll);
}

struct processes *get_processes(napi_env env) {
  struct addon *addon;
  return napi_get_instance_data(env, (void **)&addon) == napi_ok ? addon->processes : NULL;
}

/*
 * startProcesses(onEvent(id, event, stream, value), Float64Array of 3) -> 0 or a negated errno. Once per environment,
 * before the rest. The array holds, during EVENT_EXIT, what the process used.
 */
napi_value start_processes(napi_env env, napi_callback_info info) {
  napi_value arguments[2], name;
  double *usage;
  size_t usage_length;
  struct addon *addon;
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  if (!get_doubles(env, arguments[1], &usage, &usage_length) || usage_length < 3) return from_int(env, -EINVAL);
  NAPI_TRY(env, napi_get_instance_data(env, (void **)&addon));
  if (addon->processes) return from_int(env, -EALREADY);
  struct processes *all = calloc(1, sizeof *all);
  if (!all) return from_int(env, -ENOMEM);
  all->env = env;
  all->epoll = all->null_fd = -1;
  int error = open_all(all);
  if (error) {
    free_all(all);
    return from_int(env, error);
  }
  all->poll.data = all;
  all->usage = usage;
  addon->processes = all;
  NAPI_TRY(env, napi_add_async_cleanup_hook(env, on_cleanup, all, &all->cleanup));
  NAPI_TRY(env, napi_create_reference(env, arguments[0], 1, &all->on_event));
  NAPI_TRY(env, napi_create_reference(env, arguments[1], 1, &all->usage_reference));
  NAPI_TRY(env, napi_create_string_utf8(env, "flux:processes", NAPI_AUTO_LENGTH, &name));
  NAPI_TRY(env, napi_async_init(env, NULL, name, &all->async_context));
  error = uv_poll_start(&all->poll, UV_READABLE, on_ready);
  uv_unref((uv_handle_t *)&all->poll);
  return from_int(env, error);
}
#endif
