/* Users as the system's user database (NSS) knows them. */
#include "addon.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#define ENTRY_BYTES_MAX (1 << 20)
#define GROUPS_MAX 65536

#ifdef __APPLE__
typedef int group_number;
#else
typedef gid_t group_number;
#endif

/* Appends a string to an array. */
static napi_status append(napi_env env, napi_value array, const char *text) {
  napi_value value;
  uint32_t length;
  napi_status status = napi_get_array_length(env, array, &length);
  if (status == napi_ok) status = napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return status == napi_ok ? napi_set_element(env, array, length, value) : status;
}

/* The user's entry, in *memory that the caller frees; false when there is none. */
static bool find_user(uid_t uid, struct passwd *user, char **memory) {
  *memory = NULL;
  for (size_t size = 1024; size <= ENTRY_BYTES_MAX; size *= 4) {
    struct passwd *found;
    char *grown = realloc(*memory, size);
    if (!grown) return false;
    *memory = grown;
    int error = getpwuid_r(uid, user, *memory, size, &found);
    if (error != ERANGE) return error == 0 && found;
  }
  return false;
}

/* All groups of a user, to be freed by the caller; NULL when they cannot be told. */
static group_number *find_groups(const struct passwd *user, int *count) {
  for (int room = 64; room <= GROUPS_MAX; room *= 4) {
    group_number *groups = calloc(room, sizeof *groups);
    *count = room;
    if (!groups || getgrouplist(user->pw_name, user->pw_gid, groups, count) >= 0) return groups;
    free(groups);
  }
  return NULL;
}

static napi_status append_group(napi_env env, napi_value array, gid_t gid) {
  for (size_t size = 1024; size <= ENTRY_BYTES_MAX; size *= 4) {
    struct group group, *found;
    char *memory = malloc(size);
    if (!memory) return napi_ok;
    int error = getgrgid_r(gid, &group, memory, size, &found);
    napi_status status = error == 0 && found ? append(env, array, group.gr_name) : napi_ok;
    free(memory);
    if (error != ERANGE) return status;
  }
  return napi_ok;
}

/* findUser(uid) -> [name, group, group, …], empty when nobody is known by this number */
static napi_value find(napi_env env, napi_callback_info info) {
  napi_value argument, array;
  uint32_t uid;
  if (!get_arguments(env, info, 1, &argument)) return NULL;
  NAPI_TRY(env, napi_get_value_uint32(env, argument, &uid));
  NAPI_TRY(env, napi_create_array(env, &array));
  struct passwd user;
  char *memory;
  napi_status status = napi_ok;
  if (find_user(uid, &user, &memory)) {
    status = append(env, array, user.pw_name);
    int count;
    group_number *groups = find_groups(&user, &count);
    for (int i = 0; groups && i < count && status == napi_ok; i++) status = append_group(env, array, groups[i]);
    free(groups);
  }
  free(memory);
  NAPI_TRY(env, status);
  return array;
}

napi_status export_users(napi_env env, napi_value exports) {
  return export_function(env, exports, "findUser", find);
}
