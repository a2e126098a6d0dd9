// What Swift cannot do by itself in a benchmark of storage.
#ifndef CSYNCCOUNTER_H
#define CSYNCCOUNTER_H

#include <stdint.h>

// How often this process has asked for a file to be made durable. The target defines fsync and fdatasync, which stand in front
// of the C library's for everything in the process, libsqlite3 included.
uint64_t sync_count(void);

// Sleeps until the monotonic clock shows `nanoseconds`, without the slack that the kernel gives to timers.
void sleep_until(int64_t nanoseconds);

int64_t monotonic_nanoseconds(void);

// User and system time of all threads so far.
int64_t cpu_nanoseconds(void);

// The processor time of a little work (some 2 µs) that is always the same and needs no memory: it grows when the machine
// gives a slower processor, not while other threads run.
int64_t fixed_work_nanoseconds(void);

#endif
