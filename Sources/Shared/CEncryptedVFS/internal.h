// What the parts of the VFS share. The format is described in include/CEncryptedVFS.h.
#ifndef CEV_INTERNAL_H
#define CEV_INTERNAL_H

#include "CEncryptedVFS.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/types.h>

#define CEV_PAGE CEV_PAGE_LENGTH
#define CEV_TRAILER CEV_RESERVED_LENGTH
#define CEV_BODY (CEV_PAGE - CEV_TRAILER)
#define CEV_HEADER_BLOCK 4096  // keeps pages aligned with the file system's
#define CEV_WAL_HEADER 32
#define CEV_FRAME_HEADER 24
#define CEV_FRAME (CEV_FRAME_HEADER + CEV_PAGE)
#define CEV_FRAME_CLEAR 16     // of a frame header; the other 8 bytes are the checksum
#define CEV_IDENTITY 16
#define CEV_SALT 16
#define CEV_TRAILER_HEAD 32    // the trailer without its tag
#define CEV_TAG 16
#define CEV_WAL_CUT (8LL << 20)  // bytes that a log which begins anew gives back at most
#define CEV_SALT_LIMIT (1ULL << 28)
#define CEV_CACHED_KEYS 16

// SQLite leaves opcodes above 100 to applications.
#define CEV_FCNTL_REKEY 0x43564b01
#define CEV_FCNTL_PACE 0x43564b02

// keys.c

typedef struct {
  uint32_t id;
  uint8_t check[4];
  uint8_t bytes[CEV_KEY_LENGTH];
} CEVKey;

const CEVKey *cev_ring_newest(CEVKeyRing *ring);  // NULL if the ring is empty
const CEVKey *cev_ring_find(CEVKeyRing *ring, uint32_t id);

// cipher.c

typedef enum { CEV_OK, CEV_DAMAGED, CEV_UNKNOWN_KEY, CEV_WRONG_KEY, CEV_FAILED } CEVStatus;

// Where a sealed region lives; a region opens nowhere else.
typedef struct {
  enum { CEV_IN_DATABASE = 1, CEV_IN_WAL = 2, CEV_IN_JOURNAL = 3, CEV_IN_SEALED_FILE = 4 } domain;
  const uint8_t *identity;  // of the database file, or of the sealed file
  uint64_t position;        // page number, or offset in the WAL, journal or sealed file
  const uint8_t *clear;     // CEV_FRAME_CLEAR bytes of frame header, or NULL
} CEVPlace;

typedef struct {
  EVP_CIPHER_CTX *context;  // NULL until the first write
  const CEVKey *key;
  uint8_t identity[CEV_IDENTITY];
  uint8_t salt[CEV_SALT];
  uint64_t counter;
} CEVSealer;

typedef struct {
  EVP_CIPHER_CTX *context;
  uint32_t key_id;
  uint8_t identity[CEV_IDENTITY];
  uint8_t salt[CEV_SALT];
  uint64_t last_use;
} CEVCachedKey;

typedef struct {
  CEVCachedKey keys[CEV_CACHED_KEYS];
  uint64_t clock;
} CEVOpener;

// Encrypts `length` bytes in place and fills the trailer.
CEVStatus cev_seal(CEVSealer *, CEVKeyRing *, const CEVPlace *, uint8_t *region, int length, uint8_t *trailer);
// Decrypts in place. The region is zeroed unless the result is CEV_OK.
CEVStatus cev_open(CEVOpener *, CEVKeyRing *, const CEVPlace *, uint8_t *region, int length, const uint8_t *trailer);
// What the trailer says about its key, without decrypting: CEV_OK, CEV_UNKNOWN_KEY, CEV_WRONG_KEY; CEV_DAMAGED for id 0.
CEVStatus cev_trailer_check(CEVKeyRing *, const uint8_t *trailer);
uint32_t cev_trailer_key_id(const uint8_t *trailer);
void cev_sealer_close(CEVSealer *);
void cev_opener_close(CEVOpener *);
bool cev_random(uint8_t *bytes, size_t length);
bool cev_is_zero(const uint8_t *bytes, size_t length);

static inline void cev_put32(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8), p[3] = (uint8_t)v;
}
static inline void cev_put64(uint8_t *p, uint64_t v) {
  cev_put32(p, (uint32_t)(v >> 32));
  cev_put32(p + 4, (uint32_t)v);
}
static inline uint32_t cev_get32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// header.c

typedef enum { CEV_HEADER_VALID, CEV_HEADER_ABSENT, CEV_HEADER_PLAIN, CEV_HEADER_NEWER, CEV_HEADER_DAMAGED } CEVHeader;

bool cev_header_make(const uint8_t *identity, uint8_t *block);
CEVHeader cev_header_parse(const uint8_t *block, uint8_t *identity);
// Reads the header of an open file of `size` bytes. SQLITE_OK or the error of the read.
int cev_header_read(sqlite3_file *real, sqlite3_int64 size, CEVHeader *header, uint8_t *identity);

// The VFS and its files

struct CEVVFS {
  sqlite3_vfs vfs;  // registered; its name is `name`
  sqlite3_vfs *base;
  CEVKeyRing *ring;
  atomic_int open_files;
  char name[64];
};

typedef struct CEVFile CEVFile;
struct CEVFile {
  sqlite3_file file;   // SQLite's part, first
  CEVVFS *vfs;
  sqlite3_file *real;  // of the VFS below, in the memory behind this struct
  CEVFile *database;   // the database that a WAL or journal belongs to; of a database, itself
  const char *path;    // SQLite keeps it alive as long as the file is open
  dev_t device;        // which file was at the path when it was opened
  ino_t inode;
  CEVSealer sealer;
  CEVOpener opener;

  // Database
  bool identified;
  uint8_t identity[CEV_IDENTITY];
  const volatile uint8_t *index;  // the start of the WAL index, while SQLite has it mapped, so that WAL locks work
  uint8_t mark[12];               // the checkpoint mark that this handle wrote last
  int64_t rest, rested_at;        // pace.c, nanoseconds

  // WAL
  bool pending;  // a frame header that waits for its page, so that both are encrypted and written as one
  sqlite3_int64 pending_offset;
  uint8_t pending_header[CEV_FRAME_HEADER];
  sqlite3_int64 own_start, own_end;  // the frames that this handle wrote since the log's last start
  sqlite3_int64 required_end;        // recovery must find whole frames up to here
  bool length_checked;               // since the last sync: nobody has cut what is to be written behind

  uint8_t buffer[CEV_FRAME];
};

static inline CEVFile *cev_file(sqlite3_file *file) { return (CEVFile *)file; }

extern const sqlite3_io_methods cev_database_methods, cev_wal_methods, cev_journal_methods;

// files.c: what all files on disk share
int cev_file_close(sqlite3_file *);
int cev_file_sync(sqlite3_file *, int flags);
int cev_file_lock(sqlite3_file *, int level);
int cev_file_unlock(sqlite3_file *, int level);
int cev_file_check_reserved_lock(sqlite3_file *, int *result);
int cev_file_control(sqlite3_file *, int op, void *argument);
int cev_file_sector_size(sqlite3_file *);
int cev_file_characteristics(sqlite3_file *);
int cev_file_size(sqlite3_file *, sqlite3_int64 *size);
int cev_file_truncate(sqlite3_file *, sqlite3_int64 size);
int cev_real_read(CEVFile *, void *bytes, int amount, sqlite3_int64 offset);
int cev_real_write(CEVFile *, const void *bytes, int amount, sqlite3_int64 offset);
int cev_real_size(CEVFile *, sqlite3_int64 *size);
// Remembers which file is at the path, and says whether it still is.
void cev_file_note_place(CEVFile *);
bool cev_file_is_in_place(const CEVFile *);
// The SQLite result for a region that did not open, with a log line that says where.
int cev_report(CEVStatus status, const CEVFile *file, const char *what, sqlite3_int64 where);

// database.c
int cev_database_identify(CEVFile *);  // SQLITE_OK with `identified` false: the file is still empty
CEVStatus cev_page_open(CEVFile *, uint32_t page, uint8_t *bytes);
CEVStatus cev_page_seal(CEVFile *, uint32_t page, uint8_t *bytes);

// mark.c
// Before a page is written to the database: notes what a checkpoint under way copies. Does nothing outside of one.
int cev_mark_checkpoint(CEVFile *database);
// Where the frames end that a log with this header must have; 0 if it may end anywhere.
int cev_mark_required(CEVFile *database, const uint8_t *wal_header, sqlite3_int64 *end);

// pace.c
// Before a page is written to the database: rests, if it is time to.
void cev_pace(CEVFile *database);
int cev_pace_set(CEVFile *database, int32_t nanoseconds);

// memory.c
int cev_memory_open(sqlite3_file *);
int cev_memory_size(void);

// rekey.c
int cev_rekey_control(CEVFile *, CEVRekeyStep *);
// Mends pages that a crash tore while a rekey step overwrote them.
int cev_rekey_mend(CEVFile *);
bool cev_rekey_underway(CEVFile *);

// inspect.c
CEVInspection cev_inspect_file(CEVKeyRing *, sqlite3_file *real, uint8_t *identity);

#endif
