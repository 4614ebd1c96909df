/* What execve(2) wants of a program, laid out in one block of memory before the child exists. */
#ifdef __linux__
#include "addon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where execvp(3) looks when there is no PATH: confstr(_CS_PATH). */
#define STANDARD_PATH "/bin:/usr/bin"

static size_t count_of(const char *text, size_t length, char wanted) {
  size_t count = 0;
  for (size_t i = 0; i < length; i++) count += text[i] == wanted;
  return count;
}

/* A string that itself holds a NUL shows as one string too many. */
static bool is_whole(struct strings strings) {
  size_t found = strings.count || strings.length ? count_of(strings.text, strings.length, '\0') + 1 : 0;
  return found == strings.count;
}

static char **split(struct strings strings, char **out) {
  char *text = strings.text;
  for (size_t i = 0; i < strings.count; i++, text += strlen(text) + 1) *out++ = text;
  *out++ = NULL;
  return out;
}

/* PATH as the child will see it. */
static const char *search_path(struct strings env) {
  const char *text = env.text;
  for (size_t i = 0; i < env.count; i++, text += strlen(text) + 1) {
    if (strncmp(text, "PATH=", 5) == 0) return text + 5;
  }
  return STANDARD_PATH;
}

/* Writes "directory/file" for each directory of `path`; an empty one is the working directory. */
static void list_candidates(const char *path, const char *file, char **candidates, char *text) {
  size_t file_bytes = strlen(file) + 1;
  for (;;) {
    size_t length = strcspn(path, ":");
    *candidates++ = text;
    memcpy(text, path, length);
    text += length;
    if (length) *text++ = '/';
    memcpy(text, file, file_bytes);
    text += file_bytes;
    if (!path[length]) break;
    path += length + 1;
  }
  *candidates = NULL;
}

int program_prepare(struct program *program, const char *file, struct strings argv, struct strings env, void **memory) {
  if (!is_whole(argv) || !is_whole(env) || argv.count == 0) return EINVAL;
  if (!*file) return ENOENT;
  /* A path with a slash is not searched for: it is its own and only candidate. */
  const char *path = strchr(file, '/') ? "" : search_path(env);
  size_t candidates = count_of(path, strlen(path), ':') + 1;
  size_t pointers = (argv.count + 1) + (env.count + 1) + (argv.count + 2) + (candidates + 1);
  size_t text_bytes = strlen(path) + candidates * (strlen(file) + 2);
  char **next = *memory = malloc(pointers * sizeof *next + text_bytes);
  if (!next) return ENOMEM;
  program->argv = next;
  next = program->env = split(argv, next);
  next = program->shell_argv = split(env, next);
  program->shell_argv[0] = "/bin/sh";
  memcpy(program->shell_argv + 2, program->argv + 1, argv.count * sizeof *next);
  program->candidates = program->shell_argv + argv.count + 2;
  list_candidates(path, file, program->candidates, (char *)(program->candidates + candidates + 1));
  return 0;
}
#endif
