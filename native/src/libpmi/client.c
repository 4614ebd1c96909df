#include "client.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- lines ---- */

/* A launcher that is gone is an error, and no signal to the program. */
static int write_all(int fd, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t written = send(fd, bytes, count, MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return PMI_FAIL;
    bytes += written;
    count -= (size_t)written;
  }
  return PMI_SUCCESS;
}

/* Only one answer is ever under way, so what comes behind its newline is an error. */
static int read_line(struct client *client) {
  size_t count = 0;
  while (count < sizeof client->line) {
    ssize_t got = read(client->fd, client->line + count, sizeof client->line - count);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    count += (size_t)got;
    if (!memchr(client->line + count - got, '\n', (size_t)got)) continue;
    if (client->line[count - 1] != '\n') break;
    client->line[count - 1] = '\0';
    return PMI_SUCCESS;
  }
  client->line[0] = '\0';
  return PMI_FAIL;
}

static bool takes_the_rest(const char *word) {
  return strncmp(word, "value=", 6) == 0 || strncmp(word, "error_msg=", 10) == 0;
}

/* The text of a field, and its length; what is in a value is none. */
static const char *find_field(const char *line, const char *field, size_t *length) {
  size_t name_length = strlen(field);
  for (const char *word = line; *word; word += strcspn(word, " "), word += strspn(word, " ")) {
    bool is_last = takes_the_rest(word);
    if (strncmp(word, field, name_length) == 0 && word[name_length] == '=') {
      const char *text = word + name_length + 1;
      *length = is_last ? strlen(text) : strcspn(text, " ");
      return text;
    }
    if (is_last) break;
  }
  return NULL;
}

int client_field(const struct client *client, const char *field, char *text, int length) {
  size_t count;
  const char *found = find_field(client->line, field, &count);
  if (!found) return PMI_FAIL;
  if (length <= 0 || count >= (size_t)length) return PMI_ERR_INVALID_LENGTH;
  memcpy(text, found, count);
  text[count] = '\0';
  return PMI_SUCCESS;
}

static int parse_number(const char *text, int *number) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || end == text || *end || value < INT_MIN || value > INT_MAX) return PMI_FAIL;
  *number = (int)value;
  return PMI_SUCCESS;
}

int client_number(const struct client *client, const char *field, int *number) {
  char text[16];
  int result = client_field(client, field, text, sizeof text);
  return result ? PMI_FAIL : parse_number(text, number);
}

int client_ask(struct client *client, const char *expected, const char *format, ...) {
  char request[CLIENT_LINE_BYTES], kind[64];
  va_list arguments;
  int rc;
  client->line[0] = '\0';
  va_start(arguments, format);
  int length = vsnprintf(request, sizeof request, format, arguments);
  va_end(arguments);
  if (length < 0 || (size_t)length >= sizeof request) return PMI_ERR_INVALID_LENGTH;
  if (write_all(client->fd, request, (size_t)length) || read_line(client)) return PMI_FAIL;
  if (client_field(client, "cmd", kind, sizeof kind) || strcmp(kind, expected)) return PMI_FAIL;
  return client_number(client, "rc", &rc) ? PMI_SUCCESS : rc;
}

/* ---- a client's life ---- */

static int environment_number(const char *name, int least, int *number) {
  const char *text = getenv(name);
  return text && parse_number(text, number) == PMI_SUCCESS && *number >= least ? PMI_SUCCESS : PMI_FAIL;
}

static int initialize(struct client *client) {
  int version, subversion;
  int result = client_ask(client, "response_to_init", "cmd=init pmi_version=1 pmi_subversion=1\n");
  if (result) return result;
  if (client_number(client, "pmi_version", &version) || client_number(client, "pmi_subversion", &subversion) ||
      version != 1 || subversion != 1)
    return PMI_FAIL;
  result = client_ask(client, "maxes", "cmd=get_maxes\n");
  if (result) return result;
  if (client_number(client, "kvsname_max", &client->name_bytes) ||
      client_number(client, "keylen_max", &client->key_bytes) ||
      client_number(client, "vallen_max", &client->value_bytes))
    return PMI_FAIL;
  result = client_ask(client, "my_kvsname", "cmd=get_my_kvsname\n");
  return result ? result : client_field(client, "kvsname", client->name, sizeof client->name);
}

int client_open(struct client *client) {
  if (client->open) return PMI_ERR_INIT;
  if (environment_number("PMI_FD", 0, &client->fd) || environment_number("PMI_RANK", 0, &client->rank) ||
      environment_number("PMI_SIZE", 1, &client->size))
    return PMI_FAIL;
  if (environment_number("PMI_SPAWNED", 0, &client->spawned)) client->spawned = 0;
  int result = initialize(client);
  client->open = result == PMI_SUCCESS;
  return result;
}

int client_finalize(struct client *client) {
  if (!client->open) return PMI_ERR_INIT;
  int result = client_ask(client, "finalize_ack", "cmd=finalize\n");
  close(client->fd);
  client->open = false;
  return result;
}

/* ---- calls ---- */

int client_barrier(struct client *client) {
  return client->open ? client_ask(client, "barrier_out", "cmd=barrier_in\n") : PMI_ERR_INIT;
}

static int check_key(const struct client *client, const char *key) {
  if (!*key || strpbrk(key, " \n")) return PMI_ERR_INVALID_KEY;
  return strlen(key) < (size_t)client->key_bytes ? PMI_SUCCESS : PMI_ERR_INVALID_KEY_LENGTH;
}

int client_put(struct client *client, const char *name, const char *key, const char *value) {
  if (!client->open) return PMI_ERR_INIT;
  if (!name || !key || !value) return PMI_ERR_INVALID_ARG;
  int result = check_key(client, key);
  if (result) return result;
  if (strchr(value, '\n')) return PMI_ERR_INVALID_VAL;
  if (strlen(value) >= (size_t)client->value_bytes) return PMI_ERR_INVALID_VAL_LENGTH;
  return client_ask(client, "put_result", "cmd=put kvsname=%s key=%s value=%s\n", name, key, value);
}

int client_get(struct client *client, const char *name, const char *key, char *value, int length) {
  if (!client->open) return PMI_ERR_INIT;
  if (!name || !key || !value || length <= 0) return PMI_ERR_INVALID_ARG;
  int result = check_key(client, key);
  if (!result) result = client_ask(client, "get_result", "cmd=get kvsname=%s key=%s\n", name, key);
  return result ? result : client_field(client, "value", value, length);
}

static int ask_number(struct client *client, const char *expected, const char *request, const char *field, int *number) {
  if (!client->open) return PMI_ERR_INIT;
  if (!number) return PMI_ERR_INVALID_ARG;
  int result = client_ask(client, expected, "%s", request);
  return result ? result : client_number(client, field, number);
}

int client_appnum(struct client *client, int *appnum) {
  return ask_number(client, "appnum", "cmd=get_appnum\n", "appnum", appnum);
}

int client_universe_size(struct client *client, int *size) {
  return ask_number(client, "universe_size", "cmd=get_universe_size\n", "size", size);
}

int client_abort(struct client *client, int exit_code, const char *message) {
  char line[1024];
  if (!client->open) return PMI_ERR_INIT;
  /* What does not fit is cut off. */
  snprintf(line, sizeof line - 1, "cmd=abort exitcode=%d error_msg=%s", exit_code, message ? message : "");
  for (char *c = line; *c; c++)
    if (*c == '\n') *c = ' ';
  strcat(line, "\n");
  if (write_all(client->fd, line, strlen(line))) return PMI_FAIL;
  exit(exit_code);
}
