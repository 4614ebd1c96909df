/*
 * Starting a program without copying the address space: clone(CLONE_VM | CLONE_VFORK), as posix_spawn(3) does it, since
 * fork(2) copies page tables and that costs milliseconds in an engine with hundreds of megabytes.
 *
 * Until it executes the program or exits, the child runs in our memory on a stack of its own while the calling thread
 * sleeps and the other threads go on. So the child allocates nothing, takes no lock, and must never run one of our
 * signal handlers: all signals are blocked from before the clone until their handlers are gone. A failure is written
 * straight into the caller's memory.
 */
#ifdef __linux__
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#define CLOSE_RANGE_CLOEXEC_FLAG 4u

struct child {
  struct program *program;
  pid_t parent;
  struct spawn_failure failure;
};

_Noreturn static void fail(struct child *child, enum spawn_step step) {
  child->failure.error = errno;
  child->failure.step = step;
  _exit(127);
}

static void reset_signals(void) {
  const struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &standard, NULL); /* EINVAL for KILL, STOP, libc's */
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Puts sources[i] at descriptor i. Sources that lie among the targets are first duplicated above them, so that no
 * dup2 overwrites a source still needed.
 */
static void place_descriptors(struct child *child) {
  int *sources = child->program->sources;
  int count = child->program->source_count;
  for (int i = 0; i < count; i++) {
    if (sources[i] < 0 || sources[i] >= count || sources[i] == i) continue;
    sources[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, count);
    if (sources[i] < 0) fail(child, STEP_STDIO);
  }
  for (int i = 0; i < count; i++) {
    if (sources[i] < 0) close(i);
    else if (sources[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(sources[i], i) < 0) fail(child, STEP_STDIO);
  }
}

/*
 * Node makes a pipe that it opens as its stdin, stdout or stderr non-blocking, for all who share it; programs that get
 * these from us expect to wait, and fail with EAGAIN instead where the other end is slow.
 */
static void make_standard_descriptors_blocking(int count) {
  for (int fd = 0; fd < count && fd <= STDERR_FILENO; fd++) {
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && flags & O_NONBLOCK) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  }
}

/*
 * Descriptors above the table close on exec even if this process got them without that flag from its own parent.
 * Before Linux 5.11 there is no such call and only those would leak.
 */
static void close_others_on_exec(int first) {
  syscall(SYS_close_range, (unsigned)first, ~0u, CLOSE_RANGE_CLOEXEC_FLAG);
}

/* As execvp(3): a file without a known format is a script for the shell. */
static void execute(struct program *program, char *path) {
  execve(path, program->argv, program->env);
  if (errno != ENOEXEC) return;
  program->shell_argv[1] = path;
  execve(program->shell_argv[0], program->shell_argv, program->env);
}

/* Whether execvp(3) goes on to the next directory of PATH after this error. */
static bool is_absent(int error) {
  return error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENODEV || error == ETIMEDOUT;
}

/* Tries the candidates in order; a file that may not be executed is the answer only when no other one is found. */
_Noreturn static void execute_first(struct child *child) {
  bool denied = false;
  for (char **path = child->program->candidates; *path; path++) {
    execute(child->program, *path);
    if (errno == EACCES) denied = true;
    else if (!is_absent(errno)) fail(child, STEP_EXEC);
  }
  if (denied) errno = EACCES;
  fail(child, STEP_EXEC);
}

/* A leader of a new session leads a new group too. Its terminal, if it has one, becomes the controlling one. */
static void make_group(struct child *child) {
  struct program *program = child->program;
  if (program->new_session) {
    if (setsid() < 0) fail(child, STEP_GROUP);
    if (program->terminal >= 0 && ioctl(program->terminal, TIOCSCTTY, 0) < 0) fail(child, STEP_STDIO);
  } else if (program->new_group && setpgid(0, 0) < 0) {
    fail(child, STEP_GROUP);
  }
}

static void set_limits(struct child *child) {
  for (size_t i = 0; i < child->program->limit_count; i++) {
    const struct limit *limit = &child->program->limits[i];
    struct rlimit both;
    if (getrlimit(limit->resource, &both) < 0) fail(child, STEP_LIMITS);
    both.rlim_cur = limit->soft < both.rlim_max ? limit->soft : both.rlim_max;
    if (setrlimit(limit->resource, &both) < 0) fail(child, STEP_LIMITS);
  }
}

/*
 * A process that is killed ends nobody's programs, so the kernel does, when the thread ends that made them: one of libuv's
 * pool, or of JavaScript. The process may be gone already.
 */
static void die_with_parent(const struct child *child) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != child->parent) _exit(127);
}

static int run_child(void *argument) {
  struct child *child = argument;
  struct program *program = child->program;
  reset_signals();
  if (!program->outlives_us) die_with_parent(child);
  make_group(child);
  if (program->directory && chdir(program->directory) < 0) fail(child, STEP_DIRECTORY);
  place_descriptors(child);
  make_standard_descriptors_blocking(program->source_count);
  close_others_on_exec(program->source_count);
  if (program->umask >= 0) umask((mode_t)program->umask);
  if (program->cpus && sched_setaffinity(0, program->cpus_bytes, program->cpus) < 0) fail(child, STEP_CPUS);
  set_limits(child); /* last, since they would hold for the above: of open files, say */
  if (program->stop_in_exec) ptrace(PTRACE_TRACEME, 0, NULL, NULL);
  execute_first(child);
}

/*
 * The child stops with SIGTRAP when it has executed the program; there it is let go with a SIGSTOP to come. It may take
 * a moment to get to that stop, and others may take notice of it (takeStopped), so it is not waited for but tried.
 */
static void turn_into_stopped(pid_t pid) {
  const struct timespec moment = {.tv_nsec = 50 * 1000};
  kill(pid, SIGSTOP);
  for (int tries = 0; tries < 20000 && ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0 && errno == ESRCH; tries++) {
    nanosleep(&moment, NULL);
  }
}

static void reap(pid_t pid) {
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}

pid_t program_spawn(struct program *program, void *stack, int *pidfd, struct spawn_failure *failure) {
  struct child child = {.program = program, .parent = getpid()};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pid_t pid = clone(run_child, (char *)stack + SPAWN_STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &child,
                    pidfd);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (pid < 0) {
    *failure = (struct spawn_failure){STEP_CLONE, error};
    return -1;
  }
  if (child.failure.error) {
    *failure = child.failure;
    close(*pidfd);
    *pidfd = -1;
    reap(pid);
    return -1;
  }
  if (program->stop_in_exec) turn_into_stopped(pid);
  return pid;
}

/* Linux 5.3 and no sandbox in the way; CLONE_PIDFD is older, so this answers for both. */
bool pidfd_available(void) {
  int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  if (fd < 0) return false;
  close(fd);
  return true;
}
#endif
