/* Stands before some calls of libc (LD_PRELOAD) and counts them; kills the process at the Nth, or makes N, N+1, … fail.

   Armed by `fault_arm` from within the process; until then, and after `fault_arm(0, 0, 0, 0)`, everything passes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

enum { SYNC = 1, WRITE = 2, CONNECT = 4, SEND = 8, RECEIVE = 16, CLOSE = 32 };

static atomic_int groups;    /* which calls count */
static atomic_long seen;     /* how many of them there were */
static long first, how_many; /* 1: the first call */
static int number;           /* the errno to answer; 0: SIGKILL */

void fault_arm(int which, long nth, long count, int error) {
  atomic_store(&groups, 0);
  first = nth, how_many = count, number = error;
  atomic_store(&seen, 0);
  atomic_store(&groups, which);
}

long fault_seen(void) { return atomic_load(&seen); }

static int fails(int group) {
  if (!(atomic_load(&groups) & group)) return 0;
  long nth = atomic_fetch_add(&seen, 1) + 1;
  if (nth < first || nth >= first + how_many) return 0;
  if (number == 0)
    for (kill(getpid(), SIGKILL);;) pause();
  errno = number;
  return 1;
}

#define BEFORE(group, answer, name, given, passed) \
  answer name given {                              \
    static answer(*real) given;                    \
    if (!real) real = dlsym(RTLD_NEXT, #name);     \
    return fails(group) ? (answer)-1 : real passed; \
  }

BEFORE(SYNC, int, fsync, (int fd), (fd))
BEFORE(SYNC, int, fdatasync, (int fd), (fd))
BEFORE(WRITE, ssize_t, pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at))
BEFORE(WRITE, ssize_t, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
BEFORE(WRITE, int, ftruncate64, (int fd, off64_t size), (fd, size))
BEFORE(WRITE, int, ftruncate, (int fd, off_t size), (fd, size))
BEFORE(CONNECT, int, connect, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size))
BEFORE(SEND, ssize_t, send, (int fd, const void *from, size_t size, int flags), (fd, from, size, flags))
BEFORE(SEND, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
BEFORE(SEND, ssize_t, sendto,
       (int fd, const void *from, size_t size, int flags, const struct sockaddr *to, socklen_t length),
       (fd, from, size, flags, to, length))
BEFORE(RECEIVE, ssize_t, recv, (int fd, void *to, size_t size, int flags), (fd, to, size, flags))
BEFORE(RECEIVE, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
BEFORE(RECEIVE, ssize_t, recvfrom,
       (int fd, void *to, size_t size, int flags, struct sockaddr *from, socklen_t *length),
       (fd, to, size, flags, from, length))
BEFORE(CLOSE, int, close, (int fd), (fd))
