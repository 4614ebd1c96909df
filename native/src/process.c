/* Processes in their environment's table, and their streams. */
#ifdef __linux__
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct process *process_new(struct processes *all, int stream_count) {
  struct process *process = calloc(1, sizeof *process + (size_t)stream_count * sizeof process->streams[0]);
  if (!process) return NULL;
  process->owner = all;
  process->id = -1;
  process->stream_count = stream_count;
  process->exit = (struct stream){.process = process, .fd = -1, .index = -1, .is_exit = true};
  for (int i = 0; i < stream_count; i++) process->streams[i] = (struct stream){.process = process, .fd = -1, .index = i};
  return process;
}


struct process *process_find(struct processes *all, int64_t id) {
  uint32_t slot = (uint32_t)(id & ((1 << SLOT_BITS) - 1));
  if (id < 0 || slot >= all->table_size || !all->table[slot] || all->table[slot]->id != id) return NULL;
  return all->table[slot];
}

static bool grow_table(struct processes *all) {
  uint32_t size = all->table_size ? 2 * all->table_size : 64;
  if (size > 1u << SLOT_BITS) return false;
  struct process **table = realloc(all->table, size * sizeof *table);
  if (!table) return false;
  memset(table + all->table_size, 0, (size - all->table_size) * sizeof *table);
  all->table = table;
  all->table_size = size;
  return true;
}

/* Enters a process; false when there is no room. Slots are tried from the one after the last, so this is quick. */
bool process_enter(struct process *process) {
  struct processes *all = process->owner;
  if (all->live_count >= all->table_size && !grow_table(all)) return false;
  uint32_t slot = (uint32_t)(all->generation % all->table_size);
  while (all->table[slot]) slot = (slot + 1) % all->table_size;
  process->id = (all->generation++ << SLOT_BITS) | slot;
  all->table[slot] = process;
  if (all->live_count++ == 0) uv_ref((uv_handle_t *)&all->poll);
  return true;
}

static void leave(struct process *process) {
  struct processes *all = process->owner;
  if (process_find(all, process->id) != process) return;
  all->table[process->id & ((1 << SLOT_BITS) - 1)] = NULL;
  if (--all->live_count == 0) uv_unref((uv_handle_t *)&all->poll);
}

void process_discard(struct process *process) {
  leave(process);
  for (int i = 0; i < process->stream_count; i++) stream_close(&process->streams[i]);
  stream_close(&process->exit);
  free(process);
}

void process_abandon(struct process *process) {
  if (!process->exited && waitpid(process->pid, NULL, WNOHANG) == 0) {
    kill(process->leads_group ? -process->pid : process->pid, SIGKILL);
    orphans_add(process->pid);
  }
  process_discard(process);
}

void processes_free_finished(struct processes *all) {
  while (all->finished) {
    struct process *process = all->finished;
    all->finished = process->next_finished;
    free(process);
  }
}

/* ---- streams ---- */

int stream_arm(struct stream *stream, uint32_t events) {
  if (events == stream->armed) return 0;
  int operation = !stream->armed ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
  struct epoll_event event = {.events = events, .data = {.ptr = stream}};
  if (epoll_ctl(stream->process->owner->epoll, operation, stream->fd, &event) < 0) return -errno;
  stream->armed = events;
  return 0;
}

/*
 * Registers for what the stream waits for now. A paused stream is not registered at all: epoll would go on reporting
 * a hang-up whether asked for or not.
 */
int stream_rearm(struct stream *stream) {
  uint32_t events = 0;
  if (stream->can_read && stream->reading) events |= EPOLLIN;
  if (stream->can_write && stream->wants_drain) events |= EPOLLOUT;
  return stream_arm(stream, events);
}

/*
 * Unregisters before it closes: closing alone does so only with the last duplicate, and another thread that forks has
 * one for a moment.
 */
void stream_close(struct stream *stream) {
  if (stream->fd < 0) return;
  stream_arm(stream, 0);
  close(stream->fd);
  stream->fd = -1;
  stream->can_read = stream->can_write = false;
}

void stream_end_reading(struct stream *stream) {
  stream->can_read = false;
  if (stream->can_write) stream_rearm(stream);
  else stream_close(stream);
}

void stream_end_writing(struct stream *stream) {
  if (!stream->can_write) return;
  stream->can_write = stream->wants_drain = false;
  if (!stream->can_read) {
    stream_close(stream);
    return;
  }
  if (!stream->is_terminal) shutdown(stream->fd, SHUT_WR);
  stream_rearm(stream);
}

/* Takes a process that has ended and has nothing more to be read out of the table; whether it did. */
bool process_settle(struct process *process) {
  struct processes *all = process->owner;
  if (!process->exited || process_find(all, process->id) != process) return false;
  for (int i = 0; i < process->stream_count; i++) {
    if (process->streams[i].can_read) return false;
  }
  leave(process);
  process->next_finished = all->finished;
  all->finished = process;
  if (!all->dispatching) processes_free_finished(all);
  return true;
}
#endif
