/* What JavaScript does with a running process, and the exports of all that concerns processes. */
#include "addon.h"

#ifndef __linux__

napi_status export_processes(napi_env env, napi_value exports) {
  napi_value available;
  napi_status status = napi_get_boolean(env, false, &available);
  return status == napi_ok ? napi_set_named_property(env, exports, "processes", available) : status;
}

#else
#include "process.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

/* Arguments (id, stream index) of the functions below; NULL when there is no such stream any more. */
static struct stream *get_stream(napi_env env, const napi_value *arguments) {
  int64_t id;
  int32_t index;
  struct processes *all = get_processes(env);
  if (!all || napi_get_value_int64(env, arguments[0], &id) != napi_ok) return NULL;
  if (napi_get_value_int32(env, arguments[1], &index) != napi_ok) return NULL;
  struct process *process = process_find(all, id);
  return process && index >= 0 && index < process->stream_count ? &process->streams[index] : NULL;
}

static int64_t write_some(struct stream *stream, const char *bytes, size_t length) {
  if (!stream || !stream->can_write) return -EPIPE;
  if (length == 0) return 0;
  ssize_t written;
  do written = write(stream->fd, bytes, length); while (written < 0 && errno == EINTR);
  if (written < 0 && errno != EAGAIN) {
    int error = errno == ECONNRESET ? EPIPE : errno;
    stream_end_writing(stream);
    return -error;
  }
  if (written < 0) written = 0;
  if ((size_t)written == length) return written;
  stream->wants_drain = true;
  int error = stream_rearm(stream);
  return error ? error : written;
}

/* write(id, stream, bytes, offset) -> bytes taken; -EPIPE once nobody reads. Fewer than given: EVENT_DRAIN follows. */
static napi_value write_stream(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  napi_typedarray_type type;
  size_t length;
  void *bytes;
  int64_t offset;
  if (!get_arguments(env, info, 4, arguments)) return NULL;
  NAPI_TRY(env, napi_get_typedarray_info(env, arguments[2], &type, &length, &bytes, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int64(env, arguments[3], &offset));
  if (type != napi_uint8_array || offset < 0 || (size_t)offset > length) return from_int(env, -EINVAL);
  return from_int(env, write_some(get_stream(env, arguments), (char *)bytes + offset, length - (size_t)offset));
}

/* endStream(id, stream): the child reads end of file. */
static napi_value end_stream(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  struct stream *stream = get_stream(env, arguments);
  if (stream) stream_end_writing(stream);
  return NULL;
}

/* closeStream(id, stream) -> 1 when the process has ended and this was the last stream read: no EVENT_CLOSE follows. */
static napi_value close_stream_of(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  struct stream *stream = get_stream(env, arguments);
  if (!stream) return from_int(env, 0);
  stream_close(stream);
  return from_int(env, process_settle(stream->process));
}

/* setReading(id, stream, 0 | 1) */
static napi_value set_reading(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  int32_t reading;
  if (!get_arguments(env, info, 3, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_int32(env, arguments[2], &reading));
  struct stream *stream = get_stream(env, arguments);
  if (!stream || !stream->can_read) return from_int(env, 0);
  stream->reading = reading != 0;
  return from_int(env, stream_rearm(stream));
}

/* resizeTerminal(id, stream, rows, columns) -> 0, also when it is closed, or a negated errno */
static napi_value resize_terminal(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  int32_t rows, columns;
  if (!get_arguments(env, info, 4, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_int32(env, arguments[2], &rows));
  NAPI_TRY(env, napi_get_value_int32(env, arguments[3], &columns));
  struct stream *stream = get_stream(env, arguments);
  if (!stream) return from_int(env, 0);
  if (!stream->is_terminal) return from_int(env, -ENOTTY);
  return from_int(env, stream->fd < 0 ? 0 : terminal_resize(stream->fd, rows, columns));
}

/*
 * takeStopped(Int32Array) -> how many pairs [pid, signal] of children that have stopped since were put there. Children
 * of every thread, since they are the process's; their exits are left for those who wait for them.
 */
static napi_value take_stopped(napi_env env, napi_callback_info info) {
  napi_value argument;
  int32_t *pairs;
  size_t length, count = 0;
  if (!get_arguments(env, info, 1, &argument)) return NULL;
  if (!get_int32s(env, argument, &pairs, &length)) return from_int(env, -EINVAL);
  while (2 * count + 1 < length) {
    siginfo_t stopped = {0};
    if (waitid(P_ALL, 0, &stopped, WSTOPPED | WNOHANG) < 0 || stopped.si_pid == 0) break;
    pairs[2 * count] = stopped.si_pid;
    pairs[2 * count + 1] = stopped.si_status;
    count++;
  }
  return from_int(env, (int64_t)count);
}

napi_status export_processes(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
    {"startProcesses", start_processes}, {"spawn", spawn},           {"write", write_stream},
    {"endStream", end_stream},           {"closeStream", close_stream_of}, {"setReading", set_reading},
    {"resizeTerminal", resize_terminal}, {"takeStopped", take_stopped},
  };
  napi_value available;
  napi_status status = napi_get_boolean(env, pidfd_available(), &available);
  if (status == napi_ok) status = napi_set_named_property(env, exports, "processes", available);
  for (size_t i = 0; status == napi_ok && i < sizeof functions / sizeof functions[0]; i++) {
    status = export_function(env, exports, functions[i].name, functions[i].function);
  }
  return status;
}

#endif
