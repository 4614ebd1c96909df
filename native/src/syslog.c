/* syslog(3): lines for the system's log. */
#include "addon.h"

#include <stdlib.h>
#include <syslog.h>

/* writeSyslog(severity, line): severity 0 to 7 as RFC 5424 numbers them */
static napi_value write_syslog(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int32_t severity;
  bool failed;
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_int32(env, arguments[0], &severity));
  char *line = get_string(env, arguments[1], NULL, &failed);
  if (!line) return NULL;
  static bool is_open;
  if (!is_open) openlog("flux", LOG_NDELAY | LOG_PID, LOG_USER);
  is_open = true;
  syslog(severity & LOG_PRIMASK, "%s", line);
  free(line);
  return NULL;
}

napi_status export_syslog(napi_env env, napi_value exports) {
  return export_function(env, exports, "writeSyslog", write_syslog);
}
