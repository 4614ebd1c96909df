/*
 * The machine's topology by hwloc 2, which is opened at run time: neither building nor installing needs it. The
 * prototypes and numbers below are those of its documented 2.x interface (libhwloc.so.15).
 */
#include "addon.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef struct hwloc_topology *hwloc_topology_t;
typedef struct hwloc_bitmap *hwloc_bitmap_t;

enum { HWLOC_OBJ_PACKAGE = 1, HWLOC_OBJ_CORE = 2, HWLOC_OBJ_PU = 3, HWLOC_OBJ_NUMANODE = 13 };
enum { HWLOC_TYPE_FILTER_KEEP_STRUCTURE = 2, HWLOC_TYPE_FILTER_KEEP_IMPORTANT = 3 };
#define HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM (1UL << 1)
#define HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST (1UL << 0)
#define HWLOC_CPUBIND_PROCESS 1
#define API_MAJOR_SHIFT 16
#define API_MAJOR 2

struct hwloc {
  unsigned (*get_api_version)(void);
  int (*topology_init)(hwloc_topology_t *);
  int (*topology_load)(hwloc_topology_t);
  void (*topology_destroy)(hwloc_topology_t);
  int (*topology_set_flags)(hwloc_topology_t, unsigned long);
  int (*topology_set_io_types_filter)(hwloc_topology_t, int);
  int (*topology_set_icache_types_filter)(hwloc_topology_t, int);
  int (*topology_set_xmlbuffer)(hwloc_topology_t, const char *, int);
  int (*topology_set_components)(hwloc_topology_t, unsigned long, const char *);
  int (*topology_restrict)(hwloc_topology_t, hwloc_bitmap_t, unsigned long);
  int (*topology_export_xmlbuffer)(hwloc_topology_t, char **, int *, unsigned long);
  void (*free_xmlbuffer)(hwloc_topology_t, char *);
  int (*get_type_depth)(hwloc_topology_t, int);
  unsigned (*get_nbobjs_by_depth)(hwloc_topology_t, int);
  hwloc_bitmap_t (*bitmap_alloc)(void);
  void (*bitmap_free)(hwloc_bitmap_t);
  int (*get_cpubind)(hwloc_topology_t, hwloc_bitmap_t, int);
};

static bool load_symbols(void *library, struct hwloc *hwloc) {
  const struct {
    const char *name;
    void *slot;
  } symbols[] = {
    {"hwloc_get_api_version", &hwloc->get_api_version},
    {"hwloc_topology_init", &hwloc->topology_init},
    {"hwloc_topology_load", &hwloc->topology_load},
    {"hwloc_topology_destroy", &hwloc->topology_destroy},
    {"hwloc_topology_set_flags", &hwloc->topology_set_flags},
    {"hwloc_topology_set_io_types_filter", &hwloc->topology_set_io_types_filter},
    {"hwloc_topology_set_icache_types_filter", &hwloc->topology_set_icache_types_filter},
    {"hwloc_topology_set_xmlbuffer", &hwloc->topology_set_xmlbuffer},
    {"hwloc_topology_set_components", &hwloc->topology_set_components},
    {"hwloc_topology_restrict", &hwloc->topology_restrict},
    {"hwloc_topology_export_xmlbuffer", &hwloc->topology_export_xmlbuffer},
    {"hwloc_free_xmlbuffer", &hwloc->free_xmlbuffer},
    {"hwloc_get_type_depth", &hwloc->get_type_depth},
    {"hwloc_get_nbobjs_by_depth", &hwloc->get_nbobjs_by_depth},
    {"hwloc_bitmap_alloc", &hwloc->bitmap_alloc},
    {"hwloc_bitmap_free", &hwloc->bitmap_free},
    {"hwloc_get_cpubind", &hwloc->get_cpubind},
  };
  for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
    void *symbol = dlsym(library, symbols[i].name);
    if (!symbol) return false;
    memcpy(symbols[i].slot, &symbol, sizeof symbol); /* ISO C has no cast from an object to a function pointer */
  }
  return hwloc->get_api_version() >> API_MAJOR_SHIFT == API_MAJOR;
}

/* The library stays loaded: its plugins (OpenCL, CUDA) start threads and do not survive being unloaded. */
static bool open_hwloc(struct hwloc *hwloc) {
  void *library = dlopen("libhwloc.so.15", RTLD_NOW | RTLD_LOCAL);
#ifdef __APPLE__
  if (!library) library = dlopen("libhwloc.15.dylib", RTLD_NOW | RTLD_LOCAL);
#endif
  return library && load_symbols(library, hwloc);
}

/* Objects outside the processors that this process may run on go away, and indices are counted anew. */
static bool restrict_to_binding(const struct hwloc *hwloc, hwloc_topology_t topology) {
  hwloc_bitmap_t set = hwloc->bitmap_alloc();
  if (!set) return false;
  bool restricted = hwloc->get_cpubind(topology, set, HWLOC_CPUBIND_PROCESS) == 0 &&
                    hwloc->topology_restrict(topology, set, 0) == 0;
  hwloc->bitmap_free(set);
  return restricted;
}

/* Some versions count the text's NUL and some reject it. */
static bool set_xml(const struct hwloc *hwloc, hwloc_topology_t topology, const char *xml) {
  int length = (int)strlen(xml);
  return hwloc->topology_set_xmlbuffer(topology, xml, length + 1) == 0 ||
         hwloc->topology_set_xmlbuffer(topology, xml, length) == 0;
}

static bool configure(const struct hwloc *hwloc, hwloc_topology_t topology, const char *xml, bool bound) {
  unsigned long flags = xml && bound ? HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM : 0;
  /* The gl component asks the X server and complains on stderr where it may not. Failing to leave it out is no harm. */
  hwloc->topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "gl");
  return hwloc->topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) == 0 &&
         hwloc->topology_set_icache_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_STRUCTURE) == 0 &&
         hwloc->topology_set_flags(topology, flags) == 0 && (!xml || set_xml(hwloc, topology, xml));
}

static bool load_topology(const struct hwloc *hwloc, hwloc_topology_t topology, const char *xml, bool bound) {
  return configure(hwloc, topology, xml, bound) && hwloc->topology_load(topology) == 0 &&
         (!bound || restrict_to_binding(hwloc, topology));
}

static napi_status set_number(napi_env env, napi_value object, const char *name, double number) {
  napi_value value;
  napi_status status = napi_create_double(env, number, &value);
  return status == napi_ok ? napi_set_named_property(env, object, name, value) : status;
}

static napi_status set_count(napi_env env, napi_value object, const char *name, const struct hwloc *hwloc,
                             hwloc_topology_t topology, int type) {
  int depth = hwloc->get_type_depth(topology, type);
  return set_number(env, object, name, hwloc->get_nbobjs_by_depth(topology, depth)); /* 0 for an unknown depth */
}

static napi_status set_xml_text(napi_env env, napi_value object, const struct hwloc *hwloc, hwloc_topology_t topology) {
  char *text;
  int length;
  napi_value value;
  if (hwloc->topology_export_xmlbuffer(topology, &text, &length, 0) < 0) return napi_generic_failure;
  napi_status status = napi_create_string_utf8(env, text, strlen(text), &value);
  hwloc->free_xmlbuffer(topology, text);
  return status == napi_ok ? napi_set_named_property(env, object, "xml", value) : status;
}

static napi_value describe(napi_env env, const struct hwloc *hwloc, hwloc_topology_t topology) {
  napi_value result;
  NAPI_TRY(env, napi_create_object(env, &result));
  NAPI_TRY(env, set_number(env, result, "apiVersion", hwloc->get_api_version()));
  NAPI_TRY(env, set_count(env, result, "packages", hwloc, topology, HWLOC_OBJ_PACKAGE));
  NAPI_TRY(env, set_count(env, result, "cores", hwloc, topology, HWLOC_OBJ_CORE));
  NAPI_TRY(env, set_count(env, result, "pus", hwloc, topology, HWLOC_OBJ_PU));
  NAPI_TRY(env, set_count(env, result, "numaNodes", hwloc, topology, HWLOC_OBJ_NUMANODE));
  NAPI_TRY(env, set_xml_text(env, result, hwloc, topology));
  return result;
}

/*
 * hwloc(xml | undefined, bound) -> { apiVersion, packages, cores, pus, numaNodes, xml }; undefined without the library;
 * null when it could not load the topology.
 */
static napi_value hwloc(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result = NULL;
  bool bound, failed;
  struct hwloc hwloc;
  hwloc_topology_t topology;
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_bool(env, arguments[1], &bound));
  char *xml = get_string(env, arguments[0], NULL, &failed);
  if (failed) return NULL;
  if (open_hwloc(&hwloc) && hwloc.topology_init(&topology) == 0) {
    bool loaded = load_topology(&hwloc, topology, xml, bound);
    if (loaded) result = describe(env, &hwloc, topology);
    else napi_get_null(env, &result);
    hwloc.topology_destroy(topology);
  }
  free(xml);
  return result;
}

napi_status export_hwloc(napi_env env, napi_value exports) {
  return export_function(env, exports, "hwloc", hwloc);
}
