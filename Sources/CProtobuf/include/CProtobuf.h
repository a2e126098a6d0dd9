#ifndef CLINICAVOICE_CPROTOBUF_H
#define CLINICAVOICE_CPROTOBUF_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "../generated/messages.h"

/// Size of the block that `clinicavoice_scratch_take` lends.
#define CLINICAVOICE_SCRATCH_SIZE 16384

/// Lends this thread's scratch block, aligned to 16 bytes, or NULL while it is lent already.
///
/// The block belongs to the calling thread: whoever takes it gives it back on the same thread, without suspending.
void *clinicavoice_scratch_take(void);

/// Takes the block back.
void clinicavoice_scratch_give(void);

#endif
