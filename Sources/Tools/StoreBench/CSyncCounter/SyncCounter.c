#define _GNU_SOURCE
#include "CSyncCounter.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_ullong syncs;

int fsync(int descriptor) {
  atomic_fetch_add(&syncs, 1);
  return (int)syscall(SYS_fsync, descriptor);
}

int fdatasync(int descriptor) {
  atomic_fetch_add(&syncs, 1);
  return (int)syscall(SYS_fdatasync, descriptor);
}

uint64_t sync_count(void) { return atomic_load(&syncs); }

static int64_t read_clock(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t monotonic_nanoseconds(void) { return read_clock(CLOCK_MONOTONIC); }
int64_t cpu_nanoseconds(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

int64_t fixed_work_nanoseconds(void) {
  int64_t start = read_clock(CLOCK_THREAD_CPUTIME_ID);
  volatile uint32_t sum = 0;
  for (uint32_t index = 0; index < 1000; index++) sum += index;
  return read_clock(CLOCK_THREAD_CPUTIME_ID) - start;
}

void sleep_until(int64_t nanoseconds) {
  static _Thread_local bool is_precise;
  if (!is_precise) {
    prctl(PR_SET_TIMERSLACK, 1UL);
    is_precise = true;
  }
  struct timespec when = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) {
  }
}
