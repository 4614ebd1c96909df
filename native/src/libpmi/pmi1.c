/*
 * libpmi.so: the PMI-1 API (RFC 13) for programs that are linked with it or open it. What launchers of Flux do not offer
 * (spawning, names of services, iteration) fails, as it does in other libraries.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By this others tell that the library is Flux's own. */
PUBLIC void *flux_pmi_library;

typedef struct {
  const char *key;
  char *val;
} PMI_keyval_t;

static struct client client;

/* ---- start and end ---- */

PUBLIC int PMI_Init(int *spawned) {
  int result = client_open(&client);
  if (result == PMI_SUCCESS && spawned) *spawned = client.spawned;
  return result;
}

PUBLIC int PMI_Initialized(int *initialized) {
  if (!initialized) return PMI_ERR_INVALID_ARG;
  *initialized = client.open;
  return PMI_SUCCESS;
}

PUBLIC int PMI_Finalize(void) {
  return client_finalize(&client);
}

PUBLIC int PMI_Abort(int exit_code, const char *message) {
  int rank = client.open ? client.rank : -1;
  client_abort(&client, exit_code, message);
  fprintf(stderr, "PMI_Abort: (%d) %s\n", rank, message ? message : "");
  exit(exit_code);
}

/* ---- what this process is ---- */

static int tell(int value, int *out) {
  if (!client.open) return PMI_ERR_INIT;
  if (!out) return PMI_ERR_INVALID_ARG;
  *out = value;
  return PMI_SUCCESS;
}

PUBLIC int PMI_Get_size(int *size) {
  return tell(client.size, size);
}

PUBLIC int PMI_Get_rank(int *rank) {
  return tell(client.rank, rank);
}

PUBLIC int PMI_Get_universe_size(int *size) {
  return client_universe_size(&client, size);
}

PUBLIC int PMI_Get_appnum(int *appnum) {
  return client_appnum(&client, appnum);
}

/* ---- processes on one node ---- */

enum { MAPPING_BYTES = 4096 };

/* One run of ranks on one node; 0 when there is none left. `(vector,(FIRST NODE,NODES,RANKS ON EACH),...)` */
struct run {
  int node;
  int first_rank;
  int count;
};

typedef void visit_run(const struct run *run, void *data);

/* Calls back for all runs; false when that is no mapping. */
static bool each_run(const char *mapping, visit_run *visit, void *data) {
  int rank = 0, node, nodes, count, used = 0;
  if (sscanf(mapping, " ( vector , %n", &used) < 0 || used == 0) return false;
  for (const char *block = mapping + used; *block == '('; block += used + (block[used] == ',')) {
    used = 0;
    if (sscanf(block, "(%d,%d,%d)%n", &node, &nodes, &count, &used) != 3 || used == 0 || nodes < 0 || count < 0)
      return false;
    for (int i = 0; i < nodes; i++, rank += count) visit(&(struct run){node + i, rank, count}, data);
  }
  return true;
}

struct clique {
  int node;  /* of this process; -1 until it is found */
  int count; /* ranks there */
  int *ranks;
  int room;
};

static void find_node(const struct run *run, void *data) {
  struct clique *clique = data;
  int index = client.rank - run->first_rank;
  if (index >= 0 && index < run->count) clique->node = run->node;
}

static void add_ranks(const struct run *run, void *data) {
  struct clique *clique = data;
  if (run->node != clique->node) return;
  for (int i = 0; i < run->count; i++, clique->count++)
    if (clique->count < clique->room) clique->ranks[clique->count] = run->first_rank + i;
}

/* Where nobody tells who is on which node, a process is alone. */
static void read_clique(struct clique *clique) {
  char mapping[MAPPING_BYTES];
  bool is_known = client_get(&client, client.name, "PMI_process_mapping", mapping, sizeof mapping) == PMI_SUCCESS &&
                  each_run(mapping, find_node, clique) && clique->node >= 0;
  if (is_known) each_run(mapping, add_ranks, clique);
  else add_ranks(&(struct run){-1, client.rank, 1}, clique);
}

PUBLIC int PMI_Get_clique_size(int *size) {
  struct clique clique = {.node = -1};
  if (!client.open) return PMI_ERR_INIT;
  if (!size) return PMI_ERR_INVALID_ARG;
  read_clique(&clique);
  *size = clique.count;
  return PMI_SUCCESS;
}

PUBLIC int PMI_Get_clique_ranks(int *ranks, int length) {
  struct clique clique = {.node = -1, .ranks = ranks, .room = length};
  if (!client.open) return PMI_ERR_INIT;
  if (!ranks) return PMI_ERR_INVALID_ARG;
  read_clique(&clique);
  return clique.count <= length ? PMI_SUCCESS : PMI_ERR_INVALID_SIZE;
}

/* ---- the key-value space ---- */

PUBLIC int PMI_KVS_Get_my_name(char *name, int length) {
  if (!client.open) return PMI_ERR_INIT;
  if (!name || length <= 0) return PMI_ERR_INVALID_ARG;
  if (strlen(client.name) >= (size_t)length) return PMI_ERR_INVALID_LENGTH;
  strcpy(name, client.name);
  return PMI_SUCCESS;
}

PUBLIC int PMI_KVS_Get_name_length_max(int *length) {
  return tell(client.name_bytes, length);
}

PUBLIC int PMI_KVS_Get_key_length_max(int *length) {
  return tell(client.key_bytes, length);
}

PUBLIC int PMI_KVS_Get_value_length_max(int *length) {
  return tell(client.value_bytes, length);
}

PUBLIC int PMI_KVS_Put(const char *name, const char *key, const char *value) {
  return client_put(&client, name, key, value);
}

PUBLIC int PMI_KVS_Get(const char *name, const char *key, char *value, int length) {
  return client_get(&client, name, key, value, length);
}

/* The server has each value once `put` is answered. */
PUBLIC int PMI_KVS_Commit(const char *name) {
  if (!client.open) return PMI_ERR_INIT;
  return name ? PMI_SUCCESS : PMI_ERR_INVALID_ARG;
}

PUBLIC int PMI_Barrier(void) {
  return client_barrier(&client);
}

/* ---- names of an older version ---- */

PUBLIC int PMI_Get_id_length_max(int *length) {
  return PMI_KVS_Get_name_length_max(length);
}

PUBLIC int PMI_Get_id(char *name, int length) {
  return PMI_KVS_Get_my_name(name, length);
}

PUBLIC int PMI_Get_kvs_domain_id(char *name, int length) {
  return PMI_KVS_Get_my_name(name, length);
}

/* ---- what is not offered ---- */

#define UNUSED __attribute__((unused))

PUBLIC int PMI_Publish_name(UNUSED const char *service, UNUSED const char *port) {
  return PMI_FAIL;
}

PUBLIC int PMI_Unpublish_name(UNUSED const char *service) {
  return PMI_FAIL;
}

PUBLIC int PMI_Lookup_name(UNUSED const char *service, UNUSED char *port) {
  return PMI_FAIL;
}

PUBLIC int PMI_Spawn_multiple(UNUSED int count, UNUSED const char *commands[], UNUSED const char **arguments[],
                              UNUSED const int *processes, UNUSED const int *info_sizes,
                              UNUSED const PMI_keyval_t **infos, UNUSED int preput_size,
                              UNUSED const PMI_keyval_t preput[], UNUSED int *errors) {
  return PMI_FAIL;
}

PUBLIC int PMI_KVS_Create(UNUSED char *name, UNUSED int length) {
  return PMI_FAIL;
}

PUBLIC int PMI_KVS_Destroy(UNUSED const char *name) {
  return PMI_FAIL;
}

PUBLIC int PMI_KVS_Iter_first(UNUSED const char *name, UNUSED char *key, UNUSED int key_length, UNUSED char *value,
                              UNUSED int value_length) {
  return PMI_FAIL;
}

PUBLIC int PMI_KVS_Iter_next(UNUSED const char *name, UNUSED char *key, UNUSED int key_length, UNUSED char *value,
                             UNUSED int value_length) {
  return PMI_FAIL;
}

PUBLIC int PMI_Parse_option(UNUSED int count, UNUSED char **arguments, UNUSED int *parsed, UNUSED PMI_keyval_t **pairs,
                            UNUSED int *size) {
  return PMI_FAIL;
}

PUBLIC int PMI_Args_to_keyval(UNUSED int *count, UNUSED char *(*arguments)[], UNUSED PMI_keyval_t **pairs,
                              UNUSED int *size) {
  return PMI_FAIL;
}

PUBLIC int PMI_Free_keyvals(UNUSED PMI_keyval_t *pairs, UNUSED int size) {
  return PMI_FAIL;
}

PUBLIC int PMI_Get_options(UNUSED char *text, UNUSED int *length) {
  return PMI_FAIL;
}
