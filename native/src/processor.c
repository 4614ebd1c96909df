/* sched_yield(2). */
#include "addon.h"

#include <sched.h>

/* yieldProcessor() */
static napi_value yield_processor(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  sched_yield();
  return NULL;
}

napi_status export_processor(napi_env env, napi_value exports) {
  return export_function(env, exports, "yieldProcessor", yield_processor);
}
