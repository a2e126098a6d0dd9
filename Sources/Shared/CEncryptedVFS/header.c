// The header block in front of the pages: written once, made durable before the first page.
#include "internal.h"

// One copy: magic (16), format version u32, page length u32, reserved length u32, identity (16), zeros to 224, SHA-256 (32)
// of what precedes. Two copies in different sectors, since without the identity nothing can be decrypted.
enum { AT_VERSION = 16, AT_PAGE = 20, AT_RESERVED = 24, AT_IDENTITY = 28, AT_DIGEST = 224, COPY = 256, SECOND = 2048 };

static const uint8_t magic[16] = "CVstore encr \r\n";
static const uint8_t plain_magic[16] = "SQLite format 3";
#define FORMAT_VERSION 1

static bool digest(const uint8_t *copy, uint8_t out[32]) {
  unsigned length = 0;
  return EVP_Digest(copy, AT_DIGEST, out, &length, EVP_sha256(), NULL) == 1;
}

bool cev_header_make(const uint8_t *identity, uint8_t *block) {
  memset(block, 0, CEV_HEADER_BLOCK);
  memcpy(block, magic, sizeof magic);
  cev_put32(block + AT_VERSION, FORMAT_VERSION);
  cev_put32(block + AT_PAGE, CEV_PAGE);
  cev_put32(block + AT_RESERVED, CEV_TRAILER);
  memcpy(block + AT_IDENTITY, identity, CEV_IDENTITY);
  if (!digest(block, block + AT_DIGEST)) return false;
  memcpy(block + SECOND, block, COPY);
  return true;
}

static CEVHeader parse_copy(const uint8_t *copy, uint8_t *identity) {
  uint8_t expected[32];
  if (memcmp(copy, magic, sizeof magic) != 0) return CEV_HEADER_DAMAGED;
  if (!digest(copy, expected) || memcmp(expected, copy + AT_DIGEST, sizeof expected) != 0) return CEV_HEADER_DAMAGED;
  bool known = cev_get32(copy + AT_VERSION) == FORMAT_VERSION && cev_get32(copy + AT_PAGE) == CEV_PAGE &&
               cev_get32(copy + AT_RESERVED) == CEV_TRAILER;
  if (!known) return CEV_HEADER_NEWER;
  memcpy(identity, copy + AT_IDENTITY, CEV_IDENTITY);
  return CEV_HEADER_VALID;
}

CEVHeader cev_header_parse(const uint8_t *block, uint8_t *identity) {
  if (memcmp(block, plain_magic, sizeof plain_magic) == 0) return CEV_HEADER_PLAIN;
  CEVHeader first = parse_copy(block, identity);
  return first == CEV_HEADER_DAMAGED ? parse_copy(block + SECOND, identity) : first;
}

int cev_header_read(sqlite3_file *real, sqlite3_int64 size, CEVHeader *header, uint8_t *identity) {
  *header = CEV_HEADER_ABSENT;
  if (size == 0) return SQLITE_OK;
  uint8_t block[CEV_HEADER_BLOCK];
  int result = real->pMethods->xRead(real, block, CEV_HEADER_BLOCK, 0);  // a short read fills with zeros
  if (result != SQLITE_OK && result != SQLITE_IOERR_SHORT_READ) return result;
  *header = cev_header_parse(block, identity);
  // Pages follow only a durable header, so a file without pages never held anything. Its header may be torn; or look whole
  // and not be on the disk, if its sync failed: it gets another one.
  bool is_ours = *header == CEV_HEADER_DAMAGED || *header == CEV_HEADER_VALID;
  if (is_ours && size <= CEV_HEADER_BLOCK) *header = CEV_HEADER_ABSENT;
  return SQLITE_OK;
}
