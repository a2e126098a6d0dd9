// Running the command that prints keys. In C so that the keys pass through no buffer but the caller's, who wipes it.
#include "CEncryptedVFS.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { NOT_STARTED = -1, FAILED = -2, TOO_SLOW = -3, TOO_LONG = -4 };

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int start(const char *const *arguments, int output, pid_t *child) {
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions) != 0) return NOT_STARTED;
  int result = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (result == 0) result = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  if (result == 0) result = posix_spawnp(child, arguments[0], &actions, NULL, (char *const *)arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  return result == 0 ? 0 : NOT_STARTED;
}

static long drain(int input, long long deadline, uint8_t *output, size_t capacity) {
  size_t length = 0;
  for (;;) {
    long long left = deadline - now_ms();
    if (left <= 0) return TOO_SLOW;
    struct pollfd waiting = {input, POLLIN, 0};
    int ready = poll(&waiting, 1, (int)left);
    if (ready < 0 && errno != EINTR) return FAILED;
    if (ready <= 0) continue;
    uint8_t extra;
    bool full = length == capacity;
    ssize_t n = full ? read(input, &extra, 1) : read(input, output + length, capacity - length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FAILED;
    if (n == 0) return (long)length;
    if (full) return TOO_LONG;
    length += (size_t)n;
  }
}

// The child has closed its output or is killed; it may still take its time to end, within the deadline.
static bool reap(pid_t child, long long deadline, int *status) {
  for (;;) {
    pid_t ended = waitpid(child, status, WNOHANG);
    if (ended == child) return true;
    if (ended < 0 && errno != EINTR) return false;
    if (now_ms() >= deadline) return false;
    struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
  }
}

long cev_run_command(const char *const *arguments, int timeout_ms, uint8_t *output, size_t capacity, int *status) {
  *status = 0;
  int ends[2];
  if (pipe(ends) != 0) return NOT_STARTED;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  long long deadline = now_ms() + timeout_ms;
  pid_t child = 0;
  long result = start(arguments, ends[1], &child);
  close(ends[1]);
  if (result == 0) {
    result = drain(ends[0], deadline, output, capacity);
    if (result >= 0 && !reap(child, deadline, status)) result = TOO_SLOW;
    else if (result >= 0) child = 0;
    if (child != 0) {
      kill(child, SIGKILL);
      while (waitpid(child, status, 0) < 0 && errno == EINTR) continue;
    }
    if (result >= 0 && *status != 0) result = FAILED;
  }
  close(ends[0]);
  if (result < 0) cev_wipe(output, capacity);
  return result;
}
