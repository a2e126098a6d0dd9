#ifndef CLINICAVOICE_CINTEROP_H
#define CLINICAVOICE_CINTEROP_H

// First, so that what both modules take from protobuf-c belongs to CProtobuf alone.
#include <CProtobuf.h>

#include "../generated/messages.h"

#endif
