#include "CScheduling.h"

#ifdef __linux__
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

extern long syscall(long number, ...);  // <unistd.h> declares it for GNU sources only

typedef struct {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;  // runtime: of a normal thread the slice in nanoseconds, since Linux 6.12
  uint32_t util_min, util_max;
} Attributes;

static bool get(Attributes *attributes) {
  return syscall(SYS_sched_getattr, 0, attributes, sizeof *attributes, 0) == 0;
}

void cs_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

uint64_t cs_slice(void) {
  Attributes attributes = {0};
  return get(&attributes) ? attributes.runtime : 0;
}

void cs_request_short_slices(void) {
  Attributes attributes = {0};
  if (!get(&attributes) || attributes.policy != SCHED_OTHER) return;
  attributes.runtime = CS_SHORT_SLICE;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static int64_t nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static _Thread_local bool gives_way;
static _Thread_local int64_t began;  // the stretch under way

void cs_begin_giving_way(void) {
  cs_request_short_slices();
  gives_way = cs_slice() == CS_SHORT_SLICE;
  began = nanoseconds();
}

bool cs_give_way(void) {
  if (!gives_way || nanoseconds() - began < CS_STRETCH) return false;
  sched_yield();
  began = nanoseconds();
  return true;
}
#else
void cs_name_thread(const char *name) {}
uint64_t cs_slice(void) { return 0; }
void cs_request_short_slices(void) {}
void cs_begin_giving_way(void) {}
bool cs_give_way(void) { return false; }
#endif
