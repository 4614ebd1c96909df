/*
 * Children whose environment ended before they did: a worker was terminated while they ran. Nobody polls them any
 * more, so they would stay zombies for the life of the process; every later start of a program, on any thread, reaps
 * those that have exited. Their pids cannot be reused meanwhile, since an unreaped child keeps its pid.
 */
#ifdef __linux__
#include "addon.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards pids and capacity */
static pid_t *pids;
static size_t capacity;
static _Atomic size_t count; /* written under the lock; read without it only to skip the work when there is none */

void orphans_add(pid_t pid) {
  pthread_mutex_lock(&lock);
  if (count == capacity) {
    size_t larger = capacity ? 2 * capacity : 16;
    pid_t *moved = realloc(pids, larger * sizeof *pids);
    if (moved) {
      pids = moved;
      capacity = larger;
    }
  }
  if (count < capacity) pids[count++] = pid;
  pthread_mutex_unlock(&lock);
}

void orphans_reap(void) {
  if (count == 0) return;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < count;) {
    if (waitpid(pids[i], NULL, WNOHANG) == 0) i++;
    else pids[i] = pids[--count];
  }
  pthread_mutex_unlock(&lock);
}
#endif
