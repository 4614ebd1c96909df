/*
 * libpmi2.so: as much of the PMI-2 API as MPI libraries start by, over the same wire protocol as libpmi.so.
 *
 * Attributes of a node are keys that begin with `local::`, which servers keep to the processes of that node.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* By this others tell that the library is Flux's own. */
PUBLIC void *flux_pmi_library;

enum { KEY_BYTES = 64 + sizeof "local::" };
/* Seconds for which an attribute of the node is waited for. */
enum { ATTRIBUTE_PATIENCE = 30 };

struct MPID_Info;
struct PMI2_Connect_comm;

static struct client client;

/* ---- start and end ---- */

PUBLIC int PMI2_Init(int *spawned, int *size, int *rank, int *appnum) {
  int result = client_open(&client);
  if (!result && appnum) result = client_appnum(&client, appnum);
  if (result) return result;
  if (spawned) *spawned = client.spawned;
  if (size) *size = client.size;
  if (rank) *rank = client.rank;
  return PMI_SUCCESS;
}

PUBLIC int PMI2_Initialized(void) {
  return client.open;
}

PUBLIC int PMI2_Finalize(void) {
  return client_finalize(&client);
}

PUBLIC int PMI2_Abort(int flag, const char *message) {
  (void)flag;
  int rank = client.open ? client.rank : -1;
  client_abort(&client, 1, message);
  fprintf(stderr, "PMI2_Abort: (%d) %s\n", rank, message ? message : "");
  exit(1);
}

/* ---- the job ---- */

PUBLIC int PMI2_Job_GetId(char *name, int length) {
  if (!client.open) return PMI_ERR_INIT;
  if (!name || length <= 0 || strlen(client.name) >= (size_t)length) return PMI_ERR_INVALID_ARGS;
  strcpy(name, client.name);
  return PMI_SUCCESS;
}

PUBLIC int PMI2_Job_GetRank(int *rank) {
  if (!client.open) return PMI_ERR_INIT;
  if (!rank) return PMI_ERR_INVALID_ARG;
  *rank = client.rank;
  return PMI_SUCCESS;
}

/* ---- the key-value space ---- */

PUBLIC int PMI2_KVS_Put(const char *key, const char *value) {
  return client_put(&client, client.name, key, value);
}

PUBLIC int PMI2_KVS_Get(const char *name, int source, const char *key, char *value, int size, int *length) {
  (void)source;
  int result = client_get(&client, name ? name : client.name, key, value, size);
  if (length) *length = result ? 0 : (int)strlen(value);
  return result;
}

PUBLIC int PMI2_KVS_Fence(void) {
  return client_barrier(&client);
}

/* ---- attributes ---- */

static int local_key(const char *name, char *key) {
  int length = snprintf(key, KEY_BYTES, "local::%s", name);
  return length < KEY_BYTES ? PMI_SUCCESS : PMI_ERR_INVALID_KEY_LENGTH;
}

PUBLIC int PMI2_Info_PutNodeAttr(const char *name, const char *value) {
  char key[KEY_BYTES];
  if (!client.open) return PMI_ERR_INIT;
  if (!name || !value) return PMI_ERR_INVALID_ARG;
  int result = local_key(name, key);
  return result ? result : client_put(&client, client.name, key, value);
}

/* That a key is not there is answered, and looks like any other failure of the server. */
static bool is_missing(void) {
  return client.line[0] != '\0';
}

PUBLIC int PMI2_Info_GetNodeAttr(const char *name, char *value, int size, int *found, int waits) {
  char key[KEY_BYTES];
  if (!client.open) return PMI_ERR_INIT;
  if (!name || !value) return PMI_ERR_INVALID_ARG;
  int result = local_key(name, key);
  if (result) return result;
  for (int second = 0;; second++) {
    result = client_get(&client, client.name, key, value, size);
    if (!result || !is_missing() || !waits || second == ATTRIBUTE_PATIENCE) break;
    sleep(1);
  }
  if (found) *found = result == PMI_SUCCESS;
  return found && is_missing() ? PMI_SUCCESS : result;
}

static int universe_size(char *value, int size) {
  int number;
  int result = client_universe_size(&client, &number);
  if (result) return result;
  return snprintf(value, (size_t)size, "%d", number) < size ? PMI_SUCCESS : PMI_ERR_INVALID_VAL_LENGTH;
}

static int job_attribute(const char *name, char *value, int size) {
  if (!client.open) return PMI_ERR_INIT;
  if (!name || !value || size <= 0) return PMI_ERR_INVALID_ARG;
  if (strcmp(name, "universeSize") == 0) return universe_size(value, size);
  if (strcmp(name, "PMI_process_mapping") == 0) return client_get(&client, client.name, name, value, size);
  return PMI_ERR_INVALID_KEY;
}

PUBLIC int PMI2_Info_GetJobAttr(const char *name, char *value, int size, int *found) {
  int result = job_attribute(name, value, size);
  if (found) *found = result == PMI_SUCCESS;
  return result;
}

/* ---- what is not offered ---- */

#define UNUSED __attribute__((unused))

PUBLIC int PMI2_Info_GetSize(UNUSED int *size) {
  return PMI_FAIL;
}

PUBLIC int PMI2_Info_GetNodeAttrIntArray(UNUSED const char *name, UNUSED int *array, UNUSED int size,
                                         UNUSED int *length, UNUSED int *found) {
  return PMI_FAIL;
}

PUBLIC int PMI2_Info_GetJobAttrIntArray(UNUSED const char *name, UNUSED int *array, UNUSED int size,
                                        UNUSED int *length, UNUSED int *found) {
  return PMI_FAIL;
}

PUBLIC int PMI2_Job_Spawn(UNUSED int count, UNUSED const char **commands, UNUSED int *counts,
                          UNUSED const char **arguments[], UNUSED const int *processes, UNUSED const int *info_sizes,
                          UNUSED const struct MPID_Info **infos, UNUSED int preput_size,
                          UNUSED const struct MPID_Info **preput, UNUSED char *name, UNUSED int name_size,
                          UNUSED int *errors) {
  return PMI_FAIL;
}

PUBLIC int PMI2_Job_Connect(UNUSED const char *name, UNUSED struct PMI2_Connect_comm *connection) {
  return PMI_FAIL;
}

PUBLIC int PMI2_Job_Disconnect(UNUSED const char *name) {
  return PMI_FAIL;
}

PUBLIC int PMI2_Nameserv_publish(UNUSED const char *service, UNUSED const struct MPID_Info *info,
                                 UNUSED const char *port) {
  return PMI_FAIL;
}

PUBLIC int PMI2_Nameserv_lookup(UNUSED const char *service, UNUSED const struct MPID_Info *info, UNUSED char *port,
                                UNUSED int size) {
  return PMI_FAIL;
}

PUBLIC int PMI2_Nameserv_unpublish(UNUSED const char *service, UNUSED const struct MPID_Info *info) {
  return PMI_FAIL;
}
