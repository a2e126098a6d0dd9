// The key ring: appended to, never changed, so that readers need no lock.
#include "internal.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>

struct CEVKeyRing {
  atomic_int references;
  pthread_mutex_t adding;
  atomic_int count;  // published after the key itself
  CEVKey keys[CEV_MAXIMUM_KEYS];
};

void cev_wipe(void *bytes, size_t length) { OPENSSL_cleanse(bytes, length); }

CEVKeyRing *cev_ring_create(void) {
  CEVKeyRing *ring = calloc(1, sizeof *ring);
  if (ring == NULL) return NULL;
  if (pthread_mutex_init(&ring->adding, NULL) != 0) {
    free(ring);
    return NULL;
  }
  atomic_init(&ring->references, 1);
  return ring;
}

CEVKeyRing *cev_ring_retain(CEVKeyRing *ring) {
  atomic_fetch_add(&ring->references, 1);
  return ring;
}

void cev_ring_release(CEVKeyRing *ring) {
  if (ring == NULL || atomic_fetch_sub(&ring->references, 1) != 1) return;
  pthread_mutex_destroy(&ring->adding);
  OPENSSL_cleanse(ring->keys, sizeof ring->keys);
  free(ring);
}

// RFC 5869 HKDF-Expand, one block: the ring's keys are uniformly random, so they need no extraction.
static bool key_check(const uint8_t *key, uint8_t check[4]) {
  static const uint8_t label[] = "clinicavoice store key check 1\x01";
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (HMAC(EVP_sha256(), key, CEV_KEY_LENGTH, label, sizeof label - 1, mac, &length) == NULL) return false;
  memcpy(check, mac, 4);
  return true;
}

int cev_ring_add(CEVKeyRing *ring, uint32_t id, const uint8_t *key) {
  if (id == 0) return SQLITE_MISUSE;
  int result = SQLITE_OK;
  pthread_mutex_lock(&ring->adding);
  int count = atomic_load(&ring->count);
  for (int i = 0; i < count; i++) {
    bool same = CRYPTO_memcmp(ring->keys[i].bytes, key, CEV_KEY_LENGTH) == 0;
    if (ring->keys[i].id == id || same) result = SQLITE_MISUSE;
  }
  if (result == SQLITE_OK && count == CEV_MAXIMUM_KEYS) result = SQLITE_FULL;
  if (result == SQLITE_OK) {
    CEVKey *entry = &ring->keys[count];
    entry->id = id;
    memcpy(entry->bytes, key, CEV_KEY_LENGTH);
    if (key_check(key, entry->check)) {
      atomic_store(&ring->count, count + 1);
    } else {
      OPENSSL_cleanse(entry, sizeof *entry);
      result = SQLITE_NOMEM;
    }
  }
  pthread_mutex_unlock(&ring->adding);
  return result;
}

static bool same_bytes(const CEVKey *one, const CEVKey *other) {
  return CRYPTO_memcmp(one->bytes, other->bytes, CEV_KEY_LENGTH) == 0;
}

static int merge_locked(CEVKeyRing *ring, CEVKeyRing *other, uint32_t *id) {
  int known = atomic_load(&ring->count), count = known, given = atomic_load(&other->count);
  int result = SQLITE_OK;
  for (int i = 0; i < given && result == SQLITE_OK; i++) {
    const CEVKey *key = &other->keys[i];
    *id = key->id;
    int j = 0;
    while (j < known && ring->keys[j].id != key->id && !same_bytes(&ring->keys[j], key)) j++;
    if (j < known) {
      if (ring->keys[j].id != key->id || !same_bytes(&ring->keys[j], key)) result = SQLITE_MISMATCH;
    } else if (count == CEV_MAXIMUM_KEYS) {
      result = SQLITE_FULL;
    } else {
      ring->keys[count++] = *key;  // nobody looks there before the count says so
    }
  }
  if (result == SQLITE_OK && given > 0 && ring->keys[count - 1].id != *id) result = SQLITE_RANGE;
  if (result == SQLITE_OK) {
    atomic_store(&ring->count, count);
  } else {
    OPENSSL_cleanse(&ring->keys[known], (size_t)(count - known) * sizeof(CEVKey));
  }
  return result;
}

int cev_ring_merge(CEVKeyRing *ring, CEVKeyRing *other, uint32_t *id) {
  *id = 0;
  pthread_mutex_lock(&ring->adding);
  int result = merge_locked(ring, other, id);
  pthread_mutex_unlock(&ring->adding);
  return result;
}

int cev_ring_labels(CEVKeyRing *ring, CEVKeyLabel *labels) {
  int count = atomic_load(&ring->count);
  for (int i = 0; i < count; i++) labels[i] = (CEVKeyLabel){ring->keys[i].id, cev_get32(ring->keys[i].check)};
  return count;
}

const CEVKey *cev_ring_newest(CEVKeyRing *ring) {
  int count = atomic_load(&ring->count);
  return count == 0 ? NULL : &ring->keys[count - 1];
}

const CEVKey *cev_ring_find(CEVKeyRing *ring, uint32_t id) {
  int count = atomic_load(&ring->count);
  for (int i = count - 1; i >= 0; i--) {
    if (ring->keys[i].id == id) return &ring->keys[i];
  }
  return NULL;
}

bool cev_ring_contains(CEVKeyRing *ring, uint32_t id) { return cev_ring_find(ring, id) != NULL; }
