/* getrlimit(2): the limits of this process; spawn.c sets those of a child. */
#include "addon.h"

#include <errno.h>
#include <math.h>

#ifndef RLIMIT_MSGQUEUE
#define RLIMIT_MSGQUEUE -1
#endif
#ifndef RLIMIT_NICE
#define RLIMIT_NICE -1
#endif
#ifndef RLIMIT_RTPRIO
#define RLIMIT_RTPRIO -1
#endif
#ifndef RLIMIT_RTTIME
#define RLIMIT_RTTIME -1
#endif
#ifndef RLIMIT_SIGPENDING
#define RLIMIT_SIGPENDING -1
#endif

/* In the order of `limitNames` in native/limits.ts. */
static const int resources[] = {
  RLIMIT_CPU,  RLIMIT_FSIZE, RLIMIT_DATA,    RLIMIT_STACK,    RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_AS,         RLIMIT_RSS,
  RLIMIT_NPROC, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_RTTIME, RLIMIT_SIGPENDING,
};

int limit_resource(double index) {
  size_t count = sizeof resources / sizeof resources[0];
  return index >= 0 && index < (double)count ? resources[(size_t)index] : -1;
}

rlim_t limit_value(double number) { return number >= 0 && number < 0x1p63 ? (rlim_t)number : RLIM_INFINITY; }

static double to_number(rlim_t value) { return value == RLIM_INFINITY ? INFINITY : (double)value; }

/* limits(index, Float64Array of 2) -> 0 or a negated errno; the soft and the hard limit, Infinity for none. */
static napi_value limits(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  double index, *out;
  size_t length;
  struct rlimit both;
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_double(env, arguments[0], &index));
  if (!get_doubles(env, arguments[1], &out, &length) || length < 2) return from_int(env, -EINVAL);
  int resource = limit_resource(index);
  if (resource < 0) return from_int(env, -ENOSYS);
  if (getrlimit(resource, &both) < 0) return from_int(env, -errno);
  out[0] = to_number(both.rlim_cur);
  out[1] = to_number(both.rlim_max);
  return from_int(env, 0);
}

napi_status export_limits(napi_env env, napi_value exports) {
  return export_function(env, exports, "limits", limits);
}
