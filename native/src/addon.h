/*
 * What the files of the addon share. Node loads the addon once per environment (the main thread and every worker that
 * imports it), so state lives in `struct addon`, the instance data of one environment; the few process-wide variables
 * (orphans.c, pmi.c) say beside them what guards them.
 *
 * Results of system calls come back to JavaScript as numbers, a negative one being a negated errno: only the
 * JavaScript layer words errors. What throws here is a call with arguments of a wrong type, a mistake of that layer.
 */
#ifndef FLUX_ADDON_H
#define FLUX_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct processes;

struct addon {
  struct processes *processes;
};

/* Leaves a callback that returns napi_value: with the exception that is pending, or with one that names the call. */
#define NAPI_TRY(env, call)                     \
  do {                                          \
    if ((call) != napi_ok) {                    \
      throw_failed_call(env, #call);            \
      return NULL;                              \
    }                                           \
  } while (0)

void throw_failed_call(napi_env env, const char *call);

/* Reads exactly `count` arguments; with fewer it throws and returns false. */
bool get_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments);

/* A string argument as UTF-8 to be freed by the caller; NULL for undefined, null, or (`*failed` set) a failure. */
char *get_string(napi_env env, napi_value value, size_t *length, bool *failed);

/* The elements of an Int32Array or Float64Array argument; false for anything else. */
bool get_int32s(napi_env env, napi_value value, int32_t **data, size_t *length);
bool get_doubles(napi_env env, napi_value value, double **data, size_t *length);

napi_value from_int(napi_env env, int64_t value);

/* credentials.c, users.c, rusage.c, limits.c, memory.c, syslog.c, hwloc.c, pmi.c, process-calls.c: what each adds to the exports object. */
napi_status export_credentials(napi_env env, napi_value exports);
napi_status export_users(napi_env env, napi_value exports);
napi_status export_rusage(napi_env env, napi_value exports);
napi_status export_limits(napi_env env, napi_value exports);
napi_status export_memory(napi_env env, napi_value exports);
napi_status export_processor(napi_env env, napi_value exports);
napi_status export_syslog(napi_env env, napi_value exports);
napi_status export_hwloc(napi_env env, napi_value exports);
napi_status export_pmi(napi_env env, napi_value exports);
napi_status export_processes(napi_env env, napi_value exports);

/* limits.c: the system's number of limit `index` of `limitNames` in native/limits.ts; -1: it has no such limit. */
int limit_resource(double index);

/* Infinity is no limit, and so is what does not fit. */
rlim_t limit_value(double number);

napi_status export_function(napi_env env, napi_value exports, const char *name, napi_callback function);

#ifdef __linux__

/* spawn.c: starting a program. No N-API in here, and after the clone no memory allocation either. */

/* Which step of starting a program failed; native/process.ts names them in this order. */
enum spawn_step { STEP_STDIO = 1, STEP_CLONE, STEP_GROUP, STEP_DIRECTORY, STEP_CPUS, STEP_LIMITS, STEP_EXEC };

/* A soft limit; the child lowers it to the hard limit. */
struct limit {
  int resource;
  rlim_t soft;
};

struct program {
  char **argv;
  char **env;
  char **candidates;  /* paths to try in this order, NULL at the end */
  char **shell_argv;  /* /bin/sh, room for the script's path, argv from 1 on, and NULL */
  const char *directory; /* NULL: ours */
  bool new_group;
  bool new_session;
  bool stop_in_exec;  /* SIGSTOP before the program's first instruction */
  bool outlives_us;   /* is not killed with this process */
  int terminal;       /* becomes the controlling terminal of the new session; -1: none */
  int umask;          /* -1: ours */
  void *cpus;         /* a cpu_set_t of cpus_bytes; NULL: ours */
  size_t cpus_bytes;
  struct limit *limits;
  size_t limit_count;
  int *sources;       /* sources[i] becomes descriptor i of the child; -1: i is closed. The child rearranges them. */
  int source_count;
};

/* Strings one after the other, each ended by NUL. */
struct strings {
  char *text;
  size_t length; /* without the last NUL */
  size_t count;
};

/*
 * program.c: fills in argv, env, candidates (`file`, or where the child's own PATH has it) and shell_argv. They live in
 * *memory, to be freed by the caller, and point into `argv` and `env`. 0 or an errno.
 */
int program_prepare(struct program *program, const char *file, struct strings argv, struct strings env, void **memory);

struct spawn_failure {
  enum spawn_step step;
  int error;
};

#define SPAWN_STACK_BYTES (64 * 1024)

/* The child's pid and a pidfd for it, or -1 and `failure`. `stack`: SPAWN_STACK_BYTES that nobody else uses. */
pid_t program_spawn(struct program *program, void *stack, int *pidfd, struct spawn_failure *failure);

bool pidfd_available(void);

/* orphans.c: children whose environment ended before they did. */
void orphans_add(pid_t pid);
void orphans_reap(void);

#endif
#endif
