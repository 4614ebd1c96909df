/*
 * `flux pmi barrier` and `flux pmi exchange` without the start of an engine: programs of hundreds of processes measure
 * the launcher by them.
 *
 *   flux-pmi SCRIPT pmi ...
 *
 * Whatever else it is asked for is left to Node, which runs SCRIPT with the same arguments; nothing has been said to the
 * launcher by then.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options {
  bool exchanges;
  bool tells_time;
  int count;
};

static struct client client;

/* ---- the command line ---- */

static bool parse_count(const char *text, int *count) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  *count = (int)value;
  return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && value <= 1000000000;
}

/* The value of an option, `--name=VALUE` or `--name VALUE`; NULL when the argument is another one. */
static const char *option_value(char ***argument, const char *name) {
  size_t length = strlen(name);
  const char *text = **argument;
  if (strncmp(text, name, length)) return NULL;
  if (text[length] == '=') return text + length + 1;
  if (text[length] != '\0' || !(*argument)[1]) return NULL;
  return *++*argument;
}

/* Whether all of that is done here. */
static bool parse_arguments(char **argument, struct options *options) {
  if (!*argument) return false;
  options->exchanges = strcmp(*argument, "exchange") == 0;
  if (!options->exchanges && strcmp(*argument, "barrier")) return false;
  const char *count_option = options->exchanges ? "--count" : "--test-count";
  while (*++argument) {
    if (!options->exchanges && strcmp(*argument, "--test-timing") == 0) {
      options->tells_time = true;
      continue;
    }
    const char *count = option_value(&argument, count_option);
    if (!count || !parse_count(count, &options->count)) return false;
  }
  return true;
}

/* A client by the simple wire protocol is the first that would be tried. */
static bool is_simple(void) {
  const char *methods = getenv("FLUX_PMI_CLIENT_METHODS");
  if (methods && strcmp(methods, "simple") && strncmp(methods, "simple ", 7)) return false;
  return getenv("PMI_FD") && getenv("PMI_RANK") && getenv("PMI_SIZE");
}

static int run_node(char **arguments) {
  int count = 0;
  while (arguments[count]) count++;
  char **node = calloc((size_t)count + 3, sizeof *node);
  if (!node) return 1;
  node[0] = "node";
  node[1] = "--";
  memcpy(node + 2, arguments, (size_t)count * sizeof *node);
  execvp("node", node);
  fprintf(stderr, "flux: node: %s\n", strerror(errno));
  return 127;
}

/* ---- the work ---- */

static void fail(const struct options *options, const char *what, const char *call, int code) {
  char text[1024];
  if (client.line[0] == '\0') snprintf(text, sizeof text, "the PMI server is gone");
  else if (client_field(&client, "msg", text, sizeof text)) snprintf(text, sizeof text, "error %d", code);
  fprintf(stderr, "flux-pmi %s: %s%s failed: %s\n", options->exchanges ? "exchange" : "barrier", what, call, text);
  exit(1);
}

static void barrier(const struct options *options) {
  int result = client_barrier(&client);
  if (result) fail(options, "barrier: ", "barrier_in", result);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* What the lines of several programs begin with. */
static const char *label(void) {
  const char *copy = getenv("FLUX_JOB_CC");
  const char *id = copy ? copy : getenv("FLUX_JOB_ID");
  return id ? id : "0";
}

static void pass_barriers(const struct options *options) {
  if (options->tells_time) barrier(options);
  for (int i = 0; i < options->count; i++) {
    double start = now();
    barrier(options);
    if (client.rank > 0) continue;
    printf("%s: completed pmi barrier on %d tasks", label(), client.size);
    if (options->tells_time) printf(" in %.3fs.", now() - start);
    printf("\n");
    fflush(stdout);
  }
}

static void make_value(char *value, size_t size, int rank) {
  snprintf(value, size, "%s-%d-%d", client.name, rank, client.size);
}

static void get_all(const struct options *options) {
  char key[32], value[CLIENT_NAME_BYTES + 32], expected[CLIENT_NAME_BYTES + 32];
  for (int rank = 0; rank < client.size; rank++) {
    snprintf(key, sizeof key, "key.%d", rank);
    int result = client_get(&client, client.name, key, value, sizeof value);
    if (result) fail(options, "", "get", result);
    make_value(expected, sizeof expected, rank);
    if (strcmp(value, expected) == 0) continue;
    fprintf(stderr, "flux-pmi exchange: get %s: it is '%s'\n", key, value);
    exit(1);
  }
}

static void exchange(const struct options *options) {
  char key[32], value[CLIENT_NAME_BYTES + 32];
  snprintf(key, sizeof key, "key.%d", client.rank);
  make_value(value, sizeof value, client.rank);
  barrier(options);
  for (int i = 0; i < options->count; i++) {
    double start = now();
    int result = client_put(&client, client.name, key, value);
    if (result) fail(options, "", "put", result);
    barrier(options);
    get_all(options);
    barrier(options);
    if (client.rank > 0) continue;
    printf("%s: completed pmi exchange on %d tasks in %.3fs.\n", label(), client.size, now() - start);
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  struct options options = {.count = 1};
  if (argc < 3) return 1;
  if (!is_simple() || !parse_arguments(argv + 3, &options)) return run_node(argv + 1);
  int result = client_open(&client);
  if (result) fail(&options, "", "init", result);
  if (options.exchanges) exchange(&options);
  else pass_barriers(&options);
  result = client_finalize(&client);
  if (result) fail(&options, "finalize: ", "finalize", result);
  return 0;
}
