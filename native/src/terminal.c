/* Pseudo terminals: a master for us, a slave for a child, which makes it its controlling terminal (spawn.c). */
#ifdef __linux__
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int terminal_resize(int ours, int rows, int columns) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  return ioctl(ours, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

/* The slave's path; ptsname(3) would share one buffer with all threads. */
static int open_slave(int master) {
  char name[64];
  int error = ptsname_r(master, name, sizeof name);
  if (error) return -error;
  int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return slave < 0 ? -errno : slave;
}

int terminal_open(int *ours, int *theirs, int rows, int columns) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return -errno;
  int result = grantpt(master) < 0 || unlockpt(master) < 0 ? -errno : open_slave(master);
  if (result >= 0) {
    *theirs = result;
    *ours = master;
    return rows > 0 || columns > 0 ? terminal_resize(master, rows, columns) : 0;
  }
  close(master);
  return result;
}
#endif
