/* Who is at the other end of a UNIX domain socket. */
#include "addon.h"

#include <errno.h>
#include <sys/socket.h>
#ifdef __APPLE__
#include <sys/un.h>
#endif
#include <unistd.h>

struct credentials {
  double uid, gid, pid; /* pid is 0 where the system does not tell */
};

#ifdef SO_PEERCRED
static int read_credentials(int fd, struct credentials *out) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -errno;
  /* A socket without a peer, or of another family, answers with uid and gid -1. */
  if (peer.uid == (uid_t)-1) return -ENOTCONN;
  *out = (struct credentials){peer.uid, peer.gid, peer.pid};
  return 0;
}
#else
static int read_credentials(int fd, struct credentials *out) {
  uid_t uid;
  gid_t gid;
  if (getpeereid(fd, &uid, &gid) < 0) return -errno;
  *out = (struct credentials){uid, gid, 0};
#ifdef LOCAL_PEERPID
  pid_t pid;
  socklen_t size = sizeof pid;
  if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &pid, &size) == 0) out->pid = pid;
#endif
  return 0;
}
#endif

/* peerCredentials(fd, Float64Array [uid, gid, pid]) -> 0 or a negated errno */
static napi_value peer_credentials(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  int32_t fd;
  size_t length;
  void *out;
  napi_typedarray_type type;
  if (!get_arguments(env, info, 2, arguments)) return NULL;
  NAPI_TRY(env, napi_get_value_int32(env, arguments[0], &fd));
  NAPI_TRY(env, napi_get_typedarray_info(env, arguments[1], &type, &length, &out, NULL, NULL));
  if (type != napi_float64_array || length < 3) return from_int(env, -EINVAL);
  return from_int(env, read_credentials(fd, out));
}

napi_status export_credentials(napi_env env, napi_value exports) {
  return export_function(env, exports, "peerCredentials", peer_credentials);
}
