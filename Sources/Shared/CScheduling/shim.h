// What Swift cannot ask of Linux: the length of a thread's time slices. sched_setattr(2) has no wrapper in glibc, and
// syscall(2) is variadic. https://docs.kernel.org/scheduler/sched-eevdf.html
#ifndef CLINICAVOICE_CSCHEDULING_SHIM_H
#define CLINICAVOICE_CSCHEDULING_SHIM_H

#include <stdint.h>

#ifdef __linux__
#include <sys/syscall.h>

extern long syscall(long number, ...);  // <unistd.h> declares it for GNU sources only

typedef struct {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;  // runtime: of a normal thread the slice in nanoseconds, since Linux 6.12
  uint32_t util_min, util_max;
} CSAttributes;

enum { CS_SHORT_SLICE = 100000 };  // the least that the kernel grants

// Of the calling thread, in nanoseconds; 0: the kernel does not say.
static inline uint64_t cs_slice(void) {
  CSAttributes attributes = {0};
  return syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0 ? attributes.runtime : 0;
}

// Asks for short slices for the calling thread, which works briefly and often. When it wakes it then takes the processor from
// threads with longer slices; its share of the processor stays the same. Where the kernel knows no slices nothing happens.
static inline void cs_request_short_slices(void) {
  CSAttributes attributes = {0};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != 0) return;  // an operator has decided
  attributes.runtime = CS_SHORT_SLICE;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}
#else
static inline uint64_t cs_slice(void) { return 0; }
static inline void cs_request_short_slices(void) {}
#endif

#endif
