/*
 * A client of PMI-1 (RFC 13) through whatever libpmi the resource manager that launched us provides, opened at run time;
 * or through its libpmi2, by calls that look like those of PMI-1.
 *
 * A libpmi is one client per process with state of its own, so one environment at a time may use it: `holder`. Its
 * calls may block; the barrier, which waits for every other process, does so on a thread of its own. That thread is
 * detached, so a barrier that never completes does not keep the process from exiting.
 */
#include "addon.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PMI_FAIL (-1)
#define PMI_INVALID_KEY 4
/* Results of our own, beside those of the library. */
enum { PMI_BUSY = -100, PMI_CLOSED = -101 };

/* When the library does not tell: what RFC 13 has implementations offer at least is smaller. */
#define DEFAULT_LENGTH_MAX 1024

struct library {
  void *handle;
  int (*init)(int *spawned);
  int (*finalize)(void);
  int (*abort)(int code, const char *message);
  int (*get_rank)(int *rank);
  int (*get_size)(int *size);
  int (*get_appnum)(int *appnum);             /* may be missing, as may the next two */
  int (*get_name_length_max)(int *length);
  int (*get_value_length_max)(int *length);
  int (*get_my_name)(char *name, int length);
  int (*put)(const char *name, const char *key, const char *value);
  int (*get)(const char *name, const char *key, char *value, int length);
  int (*commit)(const char *name);
  int (*barrier)(void);
};

struct pmi {
  napi_env env;
  struct library library;
  char *kvsname;
  int value_bytes;
  bool in_barrier; /* read and written on the environment's thread only */
};

/* What is called of a libpmi2, and what PMI2_Init said. A process has one client, so there is one of these. */
static struct {
  int (*init)(int *spawned, int *size, int *rank, int *appnum);
  int (*finalize)(void);
  int (*abort)(int flag, const char *message);
  int (*get_id)(char *id, int length);
  int (*put)(const char *key, const char *value);
  int (*fence)(void);
  int (*get)(const char *id, int source, const char *key, char *value, int size, int *length);
  int (*get_attribute)(const char *name, char *value, int size, int *found);
  int size, rank, appnum;
} pmi2;

/* The one client of this process; whoever swaps NULL for itself has the library, until it swaps it back. */
static _Atomic(struct pmi *) holder;

static struct pmi *get_pmi(napi_env env) {
  struct pmi *pmi = atomic_load(&holder);
  return pmi && pmi->env == env ? pmi : NULL;
}

/* ---- opening ---- */

struct symbol {
  const char *name;
  void *slot;
  bool optional;
};

static bool load_symbols(void *handle, const struct symbol *symbols, size_t count) {
  for (size_t i = 0; i < count; i++) {
    void *symbol = dlsym(handle, symbols[i].name);
    if (!symbol && !symbols[i].optional) return false;
    memcpy(symbols[i].slot, &symbol, sizeof symbol); /* ISO C has no cast from an object to a function pointer */
  }
  return true;
}

static bool load_pmi1(struct library *library) {
  const struct symbol symbols[] = {
    {"PMI_Init", &library->init, false},
    {"PMI_Finalize", &library->finalize, false},
    {"PMI_Abort", &library->abort, false},
    {"PMI_Get_rank", &library->get_rank, false},
    {"PMI_Get_size", &library->get_size, false},
    {"PMI_Get_appnum", &library->get_appnum, true},
    {"PMI_KVS_Get_name_length_max", &library->get_name_length_max, true},
    {"PMI_KVS_Get_value_length_max", &library->get_value_length_max, true},
    {"PMI_KVS_Get_my_name", &library->get_my_name, false},
    {"PMI_KVS_Put", &library->put, false},
    {"PMI_KVS_Get", &library->get, false},
    {"PMI_KVS_Commit", &library->commit, false},
    {"PMI_Barrier", &library->barrier, false},
  };
  return load_symbols(library->handle, symbols, sizeof symbols / sizeof symbols[0]);
}

/* ---- PMI-2 as PMI-1 ---- */

static int pmi2_init(int *spawned) {
  return pmi2.init(spawned, &pmi2.size, &pmi2.rank, &pmi2.appnum);
}

static int pmi2_get_size(int *size) {
  *size = pmi2.size;
  return 0;
}

static int pmi2_get_rank(int *rank) {
  *rank = pmi2.rank;
  return 0;
}

static int pmi2_get_appnum(int *appnum) {
  *appnum = pmi2.appnum;
  return 0;
}

/* All processes, whatever the flag of PMI2_Abort means to others. */
static int pmi2_abort(int code, const char *message) {
  (void)code;
  return pmi2.abort(1, message);
}

static int pmi2_put(const char *name, const char *key, const char *value) {
  (void)name;
  return pmi2.put(key, value);
}

/* It is an attribute of the job here, and no key. */
static int pmi2_get(const char *name, const char *key, char *value, int size) {
  int length, found = 0, any_source = -1;
  if (strcmp(key, "PMI_process_mapping")) return pmi2.get(name, any_source, key, value, size, &length);
  int result = pmi2.get_attribute(key, value, size, &found);
  return result || found ? result : PMI_INVALID_KEY;
}

/* A fence does it. */
static int pmi2_commit(const char *name) {
  (void)name;
  return 0;
}

static bool load_pmi2(struct library *library) {
  const struct symbol symbols[] = {
    {"PMI2_Init", &pmi2.init, false},
    {"PMI2_Finalize", &pmi2.finalize, false},
    {"PMI2_Abort", &pmi2.abort, false},
    {"PMI2_Job_GetId", &pmi2.get_id, false},
    {"PMI2_KVS_Put", &pmi2.put, false},
    {"PMI2_KVS_Fence", &pmi2.fence, false},
    {"PMI2_KVS_Get", &pmi2.get, false},
    {"PMI2_Info_GetJobAttr", &pmi2.get_attribute, false},
  };
  if (!load_symbols(library->handle, symbols, sizeof symbols / sizeof symbols[0])) return false;
  library->init = pmi2_init;
  library->finalize = pmi2.finalize;
  library->abort = pmi2_abort;
  library->get_rank = pmi2_get_rank;
  library->get_size = pmi2_get_size;
  library->get_appnum = pmi2_get_appnum;
  library->get_my_name = pmi2.get_id;
  library->put = pmi2_put;
  library->get = pmi2_get;
  library->commit = pmi2_commit;
  library->barrier = pmi2.fence;
  return true;
}

static int length_max(int (*ask)(int *)) {
  int length;
  return ask && ask(&length) == 0 && length > 0 ? length : DEFAULT_LENGTH_MAX;
}

/* PMI_Init, and what never changes after it. 0 or the library's error. */
static int initialize(struct pmi *pmi, int *rank, int *size, int *appnum) {
  struct library *library = &pmi->library;
  int spawned;
  int result = library->init(&spawned);
  if (result) return result;
  if ((result = library->get_rank(rank)) || (result = library->get_size(size))) return result;
  if (!library->get_appnum || library->get_appnum(appnum)) *appnum = -1;
  int name_bytes = length_max(library->get_name_length_max) + 1;
  pmi->value_bytes = length_max(library->get_value_length_max) + 1;
  pmi->kvsname = calloc(1, (size_t)name_bytes);
  return pmi->kvsname ? library->get_my_name(pmi->kvsname, name_bytes) : PMI_FAIL;
}

/* Lets go of a client without finalizing it: its library stays loaded, since nobody knows what it has running. */
static void release(struct pmi *pmi) {
  struct pmi *expected = pmi;
  atomic_compare_exchange_strong(&holder, &expected, NULL);
  free(pmi->kvsname);
  free(pmi);
}

/* A barrier that still waits has the library, and will have it until the process ends. */
static void on_cleanup(void *data) {
  struct pmi *pmi = data;
  if (!pmi->in_barrier) release(pmi);
}

static napi_status set_int(napi_env env, napi_value object, const char *name, int number) {
  napi_value value;
  napi_status status = napi_create_int32(env, number, &value);
  return status == napi_ok ? napi_set_named_property(env, object, name, value) : status;
}

static napi_value describe(napi_env env, const struct pmi *pmi, int rank, int size, int appnum) {
  napi_value result, kvsname, is_flux;
  NAPI_TRY(env, napi_create_object(env, &result));
  NAPI_TRY(env, set_int(env, result, "rank", rank));
  NAPI_TRY(env, set_int(env, result, "size", size));
  NAPI_TRY(env, set_int(env, result, "appnum", appnum));
  NAPI_TRY(env, napi_create_string_utf8(env, pmi->kvsname, NAPI_AUTO_LENGTH, &kvsname));
  NAPI_TRY(env, napi_set_named_property(env, result, "kvsname", kvsname));
  /* Flux marks its own libpmi with this symbol. */
  NAPI_TRY(env, napi_get_boolean(env, dlsym(pmi->library.handle, "flux_pmi_library") != NULL, &is_flux));
  NAPI_TRY(env, napi_set_named_property(env, result, "isFlux", is_flux));
  return result;
}

static napi_value dlopen_failure(napi_env env) {
  const char *reason = dlerror();
  napi_value text;
  NAPI_TRY(env, napi_create_string_utf8(env, reason ? reason : "dlopen failed", NAPI_AUTO_LENGTH, &text));
  return text;
}

/* With the client entered as the holder: opens, initializes, describes. */
static napi_value start(napi_env env, struct pmi *pmi, const char *path, int version) {
  int rank, size, appnum;
  /* RTLD_GLOBAL: some libpmi load plugins that look for its symbols. */
  pmi->library.handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!pmi->library.handle || !(version == 2 ? load_pmi2 : load_pmi1)(&pmi->library)) {
    napi_value reason = dlopen_failure(env);
    release(pmi);
    return reason;
  }
  int result = initialize(pmi, &rank, &size, &appnum);
  if (result) {
    release(pmi);
    return from_int(env, result);
  }
  NAPI_TRY(env, napi_add_env_cleanup_hook(env, on_cleanup, pmi));
  return describe(env, pmi, rank, size, appnum);
}

/* pmiOpen(path, 1 or 2: the version of PMI) -> { rank, size, appnum (-1: unknown), kvsname, isFlux }, the loader's sentence, or a PMI error */
static napi_value pmi_open(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int32_t version;
  bool failed;
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_int32(env, arguments[1], &version));
  char *path = get_string(env, arguments[0], NULL, &failed);
  if (failed) return NULL;
  struct pmi *pmi = calloc(1, sizeof *pmi);
  struct pmi *nobody = NULL;
  napi_value result = NULL;
  if (pmi && path && atomic_compare_exchange_strong(&holder, &nobody, pmi)) {
    pmi->env = env;
    result = start(env, pmi, path, version);
  } else {
    free(pmi);
    result = from_int(env, PMI_BUSY);
  }
  free(path);
  return result;
}

/* ---- calls ---- */

/* The client of this environment when it may be called now; otherwise NULL and the result to give back. */
static struct pmi *usable(napi_env env, int *result) {
  struct pmi *pmi = get_pmi(env);
  *result = !pmi ? PMI_CLOSED : pmi->in_barrier ? PMI_BUSY : 0;
  return *result ? NULL : pmi;
}

/* pmiPut(key, value) -> 0 or a PMI error */
static napi_value pmi_put(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  bool failed;
  int result;
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  struct pmi *pmi = usable(env, &result);
  if (!pmi) return from_int(env, result);
  char *key = get_string(env, arguments[0], NULL, &failed);
  char *value = failed ? NULL : get_string(env, arguments[1], NULL, &failed);
  result = PMI_FAIL;
  if (key && value) result = pmi->library.put(pmi->kvsname, key, value);
  free(key);
  free(value);
  return failed ? NULL : from_int(env, result);
}

static napi_value get_value(napi_env env, struct pmi *pmi, const char *key) {
  napi_value text;
  char *value = calloc(1, (size_t)pmi->value_bytes);
  int result = value ? pmi->library.get(pmi->kvsname, key, value, pmi->value_bytes) : PMI_FAIL;
  napi_status status = result ? napi_create_int32(env, result, &text)
                              : napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &text);
  free(value);
  NAPI_TRY(env, status);
  return text;
}

/* pmiGet(key) -> the value, or a PMI error as a number */
static napi_value pmi_get(napi_env env, napi_callback_info info) {
  napi_value argument;
  bool failed;
  int result;
  if (!get_arguments(env, info, 1, &argument)) return NULL;
  struct pmi *pmi = usable(env, &result);
  if (!pmi) return from_int(env, result);
  char *key = get_string(env, argument, NULL, &failed);
  if (!key) return NULL;
  napi_value value = get_value(env, pmi, key);
  free(key);
  return value;
}

/* pmiCommit() -> 0 or a PMI error */
static napi_value pmi_commit(napi_env env, napi_callback_info info) {
  (void)info;
  int result;
  struct pmi *pmi = usable(env, &result);
  return from_int(env, pmi ? pmi->library.commit(pmi->kvsname) : result);
}

/* pmiAbort(code, message) -> 0 or a PMI error; a library may end the process instead of returning. */
static napi_value pmi_abort(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int32_t code;
  bool failed;
  int result;
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_int32(env, arguments[0], &code));
  struct pmi *pmi = usable(env, &result);
  if (!pmi) return from_int(env, result);
  char *message = get_string(env, arguments[1], NULL, &failed);
  if (failed) return NULL;
  result = pmi->library.abort(code, message ? message : "");
  free(message);
  return from_int(env, result);
}

/* pmiFinalize() -> 0 or a PMI error; the client is gone either way. */
static napi_value pmi_finalize(napi_env env, napi_callback_info info) {
  (void)info;
  int result;
  struct pmi *pmi = usable(env, &result);
  if (!pmi) return from_int(env, result);
  result = pmi->library.finalize();
  napi_remove_env_cleanup_hook(env, on_cleanup, pmi);
  release(pmi);
  return from_int(env, result);
}

/* ---- the barrier ---- */

struct barrier {
  struct pmi *pmi;
  int (*enter)(void);
  int result;
  napi_deferred deferred;
  napi_threadsafe_function done;
};

static void *wait_in_barrier(void *data) {
  struct barrier *barrier = data;
  barrier->result = barrier->enter();
  napi_threadsafe_function done = barrier->done;
  /* When the environment has ended meanwhile, nobody is left to free it but this thread. */
  if (napi_call_threadsafe_function(done, barrier, napi_tsfn_blocking) != napi_ok) free(barrier);
  else napi_release_threadsafe_function(done, napi_tsfn_release);
  return NULL;
}

/* On the environment's thread; env is NULL when it is ending. */
static void finish_barrier(napi_env env, napi_value function, void *context, void *data) {
  (void)function;
  (void)context;
  struct barrier *barrier = data;
  napi_value result;
  if (env) {
    barrier->pmi->in_barrier = false;
    if (napi_create_int32(env, barrier->result, &result) == napi_ok) napi_resolve_deferred(env, barrier->deferred, result);
  }
  free(barrier);
}

static bool start_thread(struct barrier *barrier) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, wait_in_barrier, barrier)) return false;
  pthread_detach(thread);
  return true;
}

/* pmiBarrier() -> promise of 0 or a PMI error, or the error at once */
static napi_value pmi_barrier(napi_env env, napi_callback_info info) {
  (void)info;
  int result;
  napi_value promise, name;
  struct pmi *pmi = usable(env, &result);
  if (!pmi) return from_int(env, result);
  struct barrier *barrier = malloc(sizeof *barrier);
  if (!barrier) return from_int(env, PMI_FAIL);
  *barrier = (struct barrier){.pmi = pmi, .enter = pmi->library.barrier};
  if (napi_create_string_utf8(env, "flux:pmi-barrier", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, NULL, finish_barrier, &barrier->done) !=
        napi_ok ||
      napi_create_promise(env, &barrier->deferred, &promise) != napi_ok) {
    free(barrier);
    throw_failed_call(env, "pmiBarrier");
    return NULL;
  }
  if (!start_thread(barrier)) {
    napi_release_threadsafe_function(barrier->done, napi_tsfn_abort);
    free(barrier);
    return from_int(env, PMI_FAIL);
  }
  pmi->in_barrier = true;
  return promise;
}

napi_status export_pmi(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
    {"pmiOpen", pmi_open},   {"pmiPut", pmi_put},         {"pmiGet", pmi_get},         {"pmiCommit", pmi_commit},
    {"pmiAbort", pmi_abort}, {"pmiBarrier", pmi_barrier}, {"pmiFinalize", pmi_finalize},
  };
  napi_status status = napi_ok;
  for (size_t i = 0; status == napi_ok && i < sizeof functions / sizeof functions[0]; i++) {
    status = export_function(env, exports, functions[i].name, functions[i].function);
  }
  return status;
}
