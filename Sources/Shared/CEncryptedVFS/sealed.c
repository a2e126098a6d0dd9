// Sealed regions of files that are not SQLite's, under the same keys and trailers as pages.
#include "internal.h"

#include <stdlib.h>

struct CEVSealedFile {
  CEVKeyRing *ring;
  uint8_t identity[CEV_IDENTITY];
  CEVSealer sealer;
  CEVOpener opener;
};

_Static_assert(CEV_SEALED_IDENTITY_LENGTH == CEV_IDENTITY, "a sealed file has an identity like a database");
_Static_assert(CEV_SEALED_HEADER_LENGTH == CEV_FRAME_CLEAR, "a sealed frame's header is authenticated like a WAL frame's");

CEVSealedFile *cev_sealed_create(CEVKeyRing *ring, const uint8_t *identity) {
  CEVSealedFile *file = calloc(1, sizeof *file);
  if (file == NULL) return NULL;
  file->ring = cev_ring_retain(ring);
  memcpy(file->identity, identity, CEV_IDENTITY);
  return file;
}

void cev_sealed_destroy(CEVSealedFile *file) {
  if (file == NULL) return;
  cev_sealer_close(&file->sealer);
  cev_opener_close(&file->opener);
  cev_ring_release(file->ring);
  free(file);
}

static CEVPlace place_of(const CEVSealedFile *file, uint64_t position, const uint8_t *header) {
  CEVPlace place = {CEV_IN_SEALED_FILE, file->identity, position, header};
  return place;
}

static CEVSealedStatus public_status(CEVStatus status) {
  switch (status) {
    case CEV_OK: return CEV_SEALED_OK;
    case CEV_DAMAGED: return CEV_SEALED_DAMAGED;
    case CEV_UNKNOWN_KEY: return CEV_SEALED_UNKNOWN_KEY;
    case CEV_WRONG_KEY: return CEV_SEALED_WRONG_KEY;
    case CEV_FAILED: break;
  }
  return CEV_SEALED_FAILED;
}

CEVSealedStatus cev_sealed_seal(
    CEVSealedFile *file, uint64_t position, const uint8_t *header, uint8_t *bytes, int length, uint8_t *trailer) {
  CEVPlace place = place_of(file, position, header);
  return public_status(cev_seal(&file->sealer, file->ring, &place, bytes, length, trailer));
}

CEVSealedStatus cev_sealed_open(
    CEVSealedFile *file, uint64_t position, const uint8_t *header, uint8_t *bytes, int length, const uint8_t *trailer) {
  CEVPlace place = place_of(file, position, header);
  return public_status(cev_open(&file->opener, file->ring, &place, bytes, length, trailer));
}

uint32_t cev_sealed_key_id(const uint8_t *trailer) { return cev_trailer_key_id(trailer); }

bool cev_random_bytes(uint8_t *bytes, size_t length) { return cev_random(bytes, length); }
