// How threads share the processor and what they are called, for what Swift cannot ask of Linux: sched_setattr(2) has no
// wrapper in glibc, syscall(2) and prctl(2) are variadic. https://docs.kernel.org/scheduler/sched-eevdf.html
//
// With few cores, who wakes to answer a call waits for whoever works. Since 6.12 Linux lets a thread with short time slices
// take the processor from one with longer slices when it wakes; but in about one wake-up of a hundred it has had its share
// already, and then waits for the next tick, up to 4 ms. So threads that work for long also give way by themselves.
#ifndef CLINICAVOICE_CSCHEDULING_H
#define CLINICAVOICE_CSCHEDULING_H

#include <stdbool.h>
#include <stdint.h>

enum {
  CS_SHORT_SLICE = 100000,  // nanoseconds; the least that the kernel grants
  CS_STRETCH = 50000,       // nanoseconds between two times that a thread gives way
};

// Names the calling thread for the kernel, which keeps 15 bytes. A name that Foundation is given for a thread from within
// may not reach the kernel: it does only after the one who started the thread has been told of it.
void cs_name_thread(const char *name);

// The calling thread's, in nanoseconds; 0: the kernel does not say.
uint64_t cs_slice(void);

// Asks for short slices for the calling thread, which works briefly and often; its share of the processor stays the same.
// Where the kernel knows no slices, or an operator has given the thread a policy of its own, nothing happens.
void cs_request_short_slices(void);

// Lets the calling thread, which works for long, give way from now on whenever it calls cs_give_way, and asks for short
// slices: a thread that yields loses what is left of its slice, and with long ones would hardly run on a busy machine.
// Where short slices are not to be had the thread never gives way.
void cs_begin_giving_way(void);

// Between two pieces of work: lets others run first, if the thread has begun giving way and CS_STRETCH has passed since it
// last did; says whether it did. Costs a look at the clock.
bool cs_give_way(void);

#endif
