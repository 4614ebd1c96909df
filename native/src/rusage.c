/* getrusage(2): what the process, its reaped children or the calling thread have used. */
#include "addon.h"

#include <errno.h>
#include <sys/resource.h>

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

/* Order and count of the fields are those of `fields` in native/rusage.ts. */
enum { FIELD_COUNT = 16 };

static void fill(const struct rusage *usage, double out[FIELD_COUNT]) {
  const double values[FIELD_COUNT] = {
    seconds(usage->ru_utime),
    seconds(usage->ru_stime),
    (double)usage->ru_maxrss,
    (double)usage->ru_ixrss,
    (double)usage->ru_idrss,
    (double)usage->ru_isrss,
    (double)usage->ru_minflt,
    (double)usage->ru_majflt,
    (double)usage->ru_nswap,
    (double)usage->ru_inblock,
    (double)usage->ru_oublock,
    (double)usage->ru_msgsnd,
    (double)usage->ru_msgrcv,
    (double)usage->ru_nsignals,
    (double)usage->ru_nvcsw,
    (double)usage->ru_nivcsw,
  };
  for (int i = 0; i < FIELD_COUNT; i++) out[i] = values[i];
}

/* 0 self, 1 children, 2 thread: indices of `subjects` in native/rusage.ts. */
static int read_rusage(int32_t subject, double out[FIELD_COUNT]) {
  struct rusage usage;
  int who;
  switch (subject) {
    case 0: who = RUSAGE_SELF; break;
    case 1: who = RUSAGE_CHILDREN; break;
#ifdef RUSAGE_THREAD
    case 2: who = RUSAGE_THREAD; break;
#endif
    default: return -ENOSYS;
  }
  if (getrusage(who, &usage) < 0) return -errno;
  fill(&usage, out);
  return 0;
}

/* rusage(subject, Float64Array of 16) -> 0 or a negated errno */
static napi_value rusage(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int32_t subject;
  size_t length;
  void *out;
  napi_typedarray_type type;
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_int32(env, arguments[0], &subject));
  NAPI_TRY(env, napi_get_typedarray_info(env, arguments[1], &type, &length, &out, NULL, NULL));
  if (type != napi_float64_array || length < FIELD_COUNT) return from_int(env, -EINVAL);
  return from_int(env, read_rusage(subject, out));
}

napi_status export_rusage(napi_env env, napi_value exports) {
  return export_function(env, exports, "rusage", rusage);
}
