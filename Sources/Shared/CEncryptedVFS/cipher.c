// AES-256-GCM over one region (a page, or a page with its frame's checksum), keyed per file handle.
#include "internal.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

enum { AT_KEY_ID = 0, AT_CHECK = 4, AT_SALT = 8, AT_COUNTER = 24, AT_TAG = 32 };

#define ASSOCIATED (4 + CEV_IDENTITY + 8 + CEV_FRAME_CLEAR + CEV_TRAILER_HEAD)

bool cev_random(uint8_t *bytes, size_t length) { return getentropy(bytes, length) == 0; }

bool cev_is_zero(const uint8_t *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

uint32_t cev_trailer_key_id(const uint8_t *trailer) { return cev_get32(trailer + AT_KEY_ID); }

CEVStatus cev_trailer_check(CEVKeyRing *ring, const uint8_t *trailer) {
  uint32_t id = cev_trailer_key_id(trailer);
  if (id == 0) return CEV_DAMAGED;
  const CEVKey *key = cev_ring_find(ring, id);
  if (key == NULL) return CEV_UNKNOWN_KEY;
  return memcmp(key->check, trailer + AT_CHECK, sizeof key->check) == 0 ? CEV_OK : CEV_WRONG_KEY;
}

// A context that holds the page key of (key, identity, salt); the nonce comes with each page.
static bool context_for(
    EVP_CIPHER_CTX **context, const CEVKey *key, const uint8_t *identity, const uint8_t *salt, int encrypting) {
  static const char label[] = "clinicavoice store page key 1";
  uint8_t info[sizeof label - 1 + 4 + CEV_IDENTITY + CEV_SALT + 1], *p = info;
  memcpy(p, label, sizeof label - 1), p += sizeof label - 1;
  cev_put32(p, key->id), p += 4;
  memcpy(p, identity, CEV_IDENTITY), p += CEV_IDENTITY;
  memcpy(p, salt, CEV_SALT), p += CEV_SALT;
  *p = 1;

  if (*context == NULL) *context = EVP_CIPHER_CTX_new();
  if (*context == NULL) return false;
  uint8_t derived[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  bool good = HMAC(EVP_sha256(), key->bytes, CEV_KEY_LENGTH, info, sizeof info, derived, &length) != NULL &&
              EVP_CipherInit_ex(*context, EVP_aes_256_gcm(), NULL, derived, NULL, encrypting) == 1;
  OPENSSL_cleanse(derived, sizeof derived);
  return good;
}

// Every field has a fixed place and length, so no two places give the same bytes.
static void associated_data(const CEVPlace *place, const uint8_t *trailer, uint8_t data[ASSOCIATED]) {
  memset(data, 0, ASSOCIATED);
  cev_put32(data, (uint32_t)place->domain);
  memcpy(data + 4, place->identity, CEV_IDENTITY);
  cev_put64(data + 4 + CEV_IDENTITY, place->position);
  if (place->clear != NULL) memcpy(data + 4 + CEV_IDENTITY + 8, place->clear, CEV_FRAME_CLEAR);
  memcpy(data + 4 + CEV_IDENTITY + 8 + CEV_FRAME_CLEAR, trailer, CEV_TRAILER_HEAD);
}

static void nonce_of(const uint8_t *trailer, uint8_t nonce[12]) {
  memset(nonce, 0, 4);
  memcpy(nonce + 4, trailer + AT_COUNTER, 8);
}

CEVStatus cev_seal(
    CEVSealer *sealer, CEVKeyRing *ring, const CEVPlace *place, uint8_t *region, int length, uint8_t *trailer) {
  const CEVKey *newest = cev_ring_newest(ring);
  if (newest == NULL) return CEV_UNKNOWN_KEY;
  bool current = sealer->context != NULL && sealer->key == newest && sealer->counter < CEV_SALT_LIMIT &&
                 memcmp(sealer->identity, place->identity, CEV_IDENTITY) == 0;
  if (!current) {
    sealer->key = NULL;
    if (!cev_random(sealer->salt, CEV_SALT)) return CEV_FAILED;
    memcpy(sealer->identity, place->identity, CEV_IDENTITY);
    sealer->counter = 0;
    if (!context_for(&sealer->context, newest, place->identity, sealer->salt, 1)) return CEV_FAILED;
    sealer->key = newest;
  }

  // Counted before it is used: a failure below loses a number and never uses one twice.
  uint64_t counter = sealer->counter++;
  cev_put32(trailer + AT_KEY_ID, newest->id);
  memcpy(trailer + AT_CHECK, newest->check, sizeof newest->check);
  memcpy(trailer + AT_SALT, sealer->salt, CEV_SALT);
  cev_put64(trailer + AT_COUNTER, counter);

  uint8_t data[ASSOCIATED], nonce[12];
  associated_data(place, trailer, data);
  nonce_of(trailer, nonce);
  int done = 0;
  bool good = EVP_EncryptInit_ex(sealer->context, NULL, NULL, NULL, nonce) == 1 &&
              EVP_EncryptUpdate(sealer->context, NULL, &done, data, ASSOCIATED) == 1 &&
              EVP_EncryptUpdate(sealer->context, region, &done, region, length) == 1 && done == length &&
              EVP_EncryptFinal_ex(sealer->context, region + length, &done) == 1 &&
              EVP_CIPHER_CTX_ctrl(sealer->context, EVP_CTRL_GCM_GET_TAG, CEV_TAG, trailer + AT_TAG) == 1;
  return good ? CEV_OK : CEV_FAILED;
}

static EVP_CIPHER_CTX *cached_context(
    CEVOpener *opener, const CEVKey *key, const uint8_t *identity, const uint8_t *salt) {
  CEVCachedKey *oldest = &opener->keys[0];
  opener->clock++;
  for (int i = 0; i < CEV_CACHED_KEYS; i++) {
    CEVCachedKey *entry = &opener->keys[i];
    if (entry->key_id == key->id && memcmp(entry->salt, salt, CEV_SALT) == 0 &&
        memcmp(entry->identity, identity, CEV_IDENTITY) == 0) {
      entry->last_use = opener->clock;
      return entry->context;
    }
    if (entry->last_use < oldest->last_use) oldest = entry;
  }
  oldest->key_id = 0;  // not a key's id: the entry is no one's while it changes
  if (!context_for(&oldest->context, key, identity, salt, 0)) return NULL;
  oldest->key_id = key->id;
  memcpy(oldest->identity, identity, CEV_IDENTITY);
  memcpy(oldest->salt, salt, CEV_SALT);
  oldest->last_use = opener->clock;
  return oldest->context;
}

static CEVStatus open_region(
    CEVOpener *opener, CEVKeyRing *ring, const CEVPlace *place, uint8_t *region, int length, const uint8_t *trailer) {
  CEVStatus status = cev_trailer_check(ring, trailer);
  if (status != CEV_OK) return status;
  const CEVKey *key = cev_ring_find(ring, cev_trailer_key_id(trailer));
  EVP_CIPHER_CTX *context = cached_context(opener, key, place->identity, trailer + AT_SALT);
  if (context == NULL) return CEV_FAILED;

  uint8_t data[ASSOCIATED], nonce[12], tag[CEV_TAG];
  associated_data(place, trailer, data);
  nonce_of(trailer, nonce);
  memcpy(tag, trailer + AT_TAG, CEV_TAG);
  int done = 0;
  bool good = EVP_DecryptInit_ex(context, NULL, NULL, NULL, nonce) == 1 &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, CEV_TAG, tag) == 1 &&
              EVP_DecryptUpdate(context, NULL, &done, data, ASSOCIATED) == 1 &&
              EVP_DecryptUpdate(context, region, &done, region, length) == 1 && done == length;
  if (!good) return CEV_FAILED;
  return EVP_DecryptFinal_ex(context, region + length, &done) == 1 ? CEV_OK : CEV_DAMAGED;
}

CEVStatus cev_open(
    CEVOpener *opener, CEVKeyRing *ring, const CEVPlace *place, uint8_t *region, int length, const uint8_t *trailer) {
  CEVStatus status = open_region(opener, ring, place, region, length, trailer);
  if (status != CEV_OK) memset(region, 0, (size_t)length);
  return status;
}

void cev_sealer_close(CEVSealer *sealer) {
  EVP_CIPHER_CTX_free(sealer->context);  // wipes the key schedule
  memset(sealer, 0, sizeof *sealer);
}

void cev_opener_close(CEVOpener *opener) {
  for (int i = 0; i < CEV_CACHED_KEYS; i++) EVP_CIPHER_CTX_free(opener->keys[i].context);
  memset(opener, 0, sizeof *opener);
}
