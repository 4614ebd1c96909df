/*
 * A client of the PMI-1 wire protocol (RFC 13), over the socket that the launcher left as a file descriptor. libpmi.so,
 * libpmi2.so and flux-pmi are made of it.
 *
 * One request is under way at a time, and calls block until it is answered. A client belongs to one thread.
 */
#ifndef FLUX_PMI_CLIENT_H
#define FLUX_PMI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

/* Results of calls; PMI-2 has the same numbers. */
enum {
  PMI_SUCCESS = 0,
  PMI_FAIL = -1,
  PMI_ERR_INIT = 1,
  PMI_ERR_NOMEM = 2,
  PMI_ERR_INVALID_ARG = 3,
  PMI_ERR_INVALID_KEY = 4,
  PMI_ERR_INVALID_KEY_LENGTH = 5,
  PMI_ERR_INVALID_VAL = 6,
  PMI_ERR_INVALID_VAL_LENGTH = 7,
  PMI_ERR_INVALID_LENGTH = 8,
  PMI_ERR_INVALID_ARGS = 10,
  PMI_ERR_INVALID_SIZE = 13,
};

#define PUBLIC __attribute__((visibility("default")))

/* Longer than what any server may answer: names, keys and values are up to 1024 bytes. */
enum { CLIENT_LINE_BYTES = 8192, CLIENT_NAME_BYTES = 1024 };

struct client {
  bool open;
  int fd;
  int rank;
  int size;
  int spawned;
  int name_bytes; /* what names, keys and values may have, the NUL included */
  int key_bytes;
  int value_bytes;
  char name[CLIENT_NAME_BYTES]; /* of the key-value space */
  char line[CLIENT_LINE_BYTES]; /* the last answer; empty when there was none */
};

/* Connects by PMI_FD, PMI_RANK and PMI_SIZE. A client that is open stays as it is: PMI_ERR_INIT. */
int client_open(struct client *client);
/* Says that it is done, and closes the client whatever the answer is. */
int client_finalize(struct client *client);

/* Sends a request and takes its answer, which must be of the given kind. */
int client_ask(struct client *client, const char *expected, const char *format, ...)
  __attribute__((format(printf, 3, 4)));
/* Copies a field of the last answer; PMI_ERR_INVALID_LENGTH when it does not fit, PMI_FAIL when it is not there. */
int client_field(const struct client *client, const char *field, char *text, int length);
int client_number(const struct client *client, const char *field, int *number);

int client_barrier(struct client *client);
int client_put(struct client *client, const char *name, const char *key, const char *value);
int client_get(struct client *client, const char *name, const char *key, char *value, int length);
int client_appnum(struct client *client, int *appnum);
int client_universe_size(struct client *client, int *size);
/* Has all processes ended, this one at once; returns only when that cannot be sent. */
int client_abort(struct client *client, int exit_code, const char *message);

#endif
