/* The addon's entry: the exports of one environment, and the helpers that every file uses. */
#include "addon.h"

#include <stdio.h>
#include <stdlib.h>

void throw_failed_call(napi_env env, const char *call) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return;
  char message[256];
  snprintf(message, sizeof message, "the native addon failed in %s", call);
  napi_throw_error(env, NULL, message);
}

bool get_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, arguments, NULL, NULL) != napi_ok || given < count) {
    napi_throw_type_error(env, NULL, "too few arguments for a function of the native addon");
    return false;
  }
  return true;
}

char *get_string(napi_env env, napi_value value, size_t *length, bool *failed) {
  napi_valuetype type;
  *failed = true;
  if (napi_typeof(env, value, &type) != napi_ok) return NULL;
  if (type == napi_undefined || type == napi_null) {
    *failed = false;
    return NULL;
  }
  size_t bytes;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &bytes) != napi_ok) {
    napi_throw_type_error(env, NULL, "the native addon expected a string");
    return NULL;
  }
  char *text = malloc(bytes + 1);
  if (!text) {
    napi_throw_error(env, NULL, "out of memory");
    return NULL;
  }
  if (napi_get_value_string_utf8(env, value, text, bytes + 1, &bytes) != napi_ok) {
    throw_failed_call(env, "napi_get_value_string_utf8");
    free(text);
    return NULL;
  }
  if (length) *length = bytes;
  *failed = false;
  return text;
}

bool get_int32s(napi_env env, napi_value value, int32_t **data, size_t *length) {
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, length, (void **)data, NULL, NULL) != napi_ok) return false;
  return type == napi_int32_array;
}

bool get_doubles(napi_env env, napi_value value, double **data, size_t *length) {
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, length, (void **)data, NULL, NULL) != napi_ok) return false;
  return type == napi_float64_array;
}

napi_value from_int(napi_env env, int64_t value) {
  napi_value result;
  NAPI_TRY(env, napi_create_int64(env, value, &result));
  return result;
}

napi_status export_function(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  napi_status status = napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
  return status == napi_ok ? napi_set_named_property(env, exports, name, value) : status;
}

/* As in native/addon.ts; one more with each change of what is exported, or of what it takes. */
#ifndef INTERFACE
#define INTERFACE 3
#endif

static void free_addon(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

NAPI_MODULE_INIT() {
  struct addon *addon = calloc(1, sizeof *addon);
  if (!addon) {
    napi_throw_error(env, NULL, "out of memory");
    return NULL;
  }
  if (napi_set_instance_data(env, addon, free_addon, NULL) != napi_ok) {
    free(addon);
    napi_throw_error(env, NULL, "the native addon could not keep its state");
    return NULL;
  }
  NAPI_TRY(env, napi_set_named_property(env, exports, "interface", from_int(env, INTERFACE)));
  NAPI_TRY(env, export_credentials(env, exports));
  NAPI_TRY(env, export_users(env, exports));
  NAPI_TRY(env, export_rusage(env, exports));
  NAPI_TRY(env, export_limits(env, exports));
  NAPI_TRY(env, export_memory(env, exports));
  NAPI_TRY(env, export_processor(env, exports));
  NAPI_TRY(env, export_syslog(env, exports));
  NAPI_TRY(env, export_processes(env, exports));
  NAPI_TRY(env, export_hwloc(env, exports));
  NAPI_TRY(env, export_pmi(env, exports));
  return exports;
}
