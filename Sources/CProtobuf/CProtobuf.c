#include "CProtobuf.h"

// Most messages fit, so that encoding and decoding them allocates nothing. Static thread-local storage needs no
// destructor, and its pages cost no memory on threads that never touch them.
static _Thread_local _Alignas(16) uint8_t scratch[CLINICAVOICE_SCRATCH_SIZE];
static _Thread_local int is_taken;

void *clinicavoice_scratch_take(void) {
  if (is_taken) {
    return NULL;
  }
  is_taken = 1;
  return scratch;
}

void clinicavoice_scratch_give(void) { is_taken = 0; }
