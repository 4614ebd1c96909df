/* malloc_trim(3): memory that was freed goes back to the system. */
#include "addon.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* trimMemory() -> 1 when there was any; 0 too where the C library has no such call. */
static napi_value trim_memory(napi_env env, napi_callback_info info) {
  (void)info;
#ifdef __GLIBC__
  return from_int(env, malloc_trim(0));
#else
  return from_int(env, 0);
#endif
}

napi_status export_memory(napi_env env, napi_value exports) {
  return export_function(env, exports, "trimMemory", trim_memory);
}
