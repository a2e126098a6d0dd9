// A SQLite VFS that encrypts everything it puts on disk, page by page, with AES-256-GCM (libcrypto).
//
// FORMAT, version 1
//
// Database file: a header block of 4096 bytes in clear (magic, format version, a random 128-bit file identity; two copies
// with SHA-256 checks; the mark of the last checkpoint, mark.c), then page n of SQLite at offset n * 4096. SQLite keeps 48
// reserved bytes at the end of each page; they hold the page's trailer:
//
//   0  key id       u32 big endian: which key of the ring
//   4  key check    4 bytes of HMAC-SHA256(key, "…key check…"): tells a wrong key from a damaged page
//   8  salt         16 random bytes, drawn by each file handle before its first write
//   24 counter      u64 big endian: counts the pages written under that salt
//   32 tag          16 bytes, GCM
//
// page key = HKDF-Expand-SHA256(ring key, label, key id, file identity, salt)     nonce = 0^32 || counter
// associated data = domain (page, WAL frame, journal) || file identity || position || frame header || trailer before the tag
//
// NONCES. A handle never uses a counter twice under its salt, and a salt is never used by two handles: it is drawn from the
// kernel at open, not stored, so a store that is copied or restored continues under other salts than its origin. For a pair
// (page key, nonce) to repeat, two of n handles must draw the same 128 bits: n^2 / 2^129, that is 2^-65 after 2^32 opens. A
// salt is renewed after 2^28 pages (1 TiB, 2^36 AES blocks), where GCM's advantage bound is still below 2^-55. There is no
// table of salts to keep: every page says what opens it. (That is why 48 bytes and not 32: a 96-bit random nonce would allow
// only 2^32 pages in the life of a key, and a short id of a salt needs a table that must survive every crash and copy.)
// Not covered: a virtual machine cloned while a handle is open runs on with the same salt and counter in both clones.
//
// WAL. Header (32 bytes: salts, no data) and the first 16 bytes of a frame header (page number, commit size, salts) are in
// clear and authenticated per frame; the frame's checksum, which SQLite computes over the plaintext, is encrypted together
// with the page. While SQLite recovers (it reads whole frames), a frame that does not authenticate reads as zeros, which
// SQLite takes for the end of the log, as it does with a torn write; a frame under a key that the ring does not hold is an
// error instead, so that a wrong ring cannot cut the log, and so is a log that ends before what a checkpoint has copied from
// it into the database. A committed frame read later (page by page) that does not authenticate is SQLITE_IOERR_DATA.
//
// ROLLBACK JOURNAL. Page images are encrypted alike, bound to their offset; page numbers and SQLite's 32-bit sampling
// checksum (the sum of some 20 bytes of the page) stay in clear. It is in use only while a store is created, since the store
// works in WAL mode. Temporary files never reach a disk: they are kept in memory, at most CEV_TEMPORARY_LIMIT bytes each.
// The shared-memory file holds page numbers and locks, no page content. Memory-mapped reads are refused.
//
// REPLAY. Nothing here knows which version of a page is the newest: a page, a frame, a WAL or a whole store replaced by an
// older version of itself *at the same place* authenticates. A page moved to another place, from another store, from the WAL
// into the database, zeroed or altered in any bit does not. A WAL cut at any place opens at the last whole commit before the
// cut, or does not open if the database is newer than that. Finding replayed pages is the task of the store's `verify`, which
// compares items with the journal.
#ifndef CENCRYPTEDVFS_H
#define CENCRYPTEDVFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CEV_KEY_LENGTH 32
#define CEV_PAGE_LENGTH 4096
#define CEV_RESERVED_LENGTH 48
#define CEV_MAXIMUM_KEYS 64
#define CEV_TEMPORARY_LIMIT (1LL << 30)

// Keys by id; the one added last encrypts what is written. Counted references; safe from any thread; keys are wiped when the
// last reference goes.
typedef struct CEVKeyRing CEVKeyRing;
CEVKeyRing *cev_ring_create(void);
CEVKeyRing *cev_ring_retain(CEVKeyRing *ring);
void cev_ring_release(CEVKeyRing *ring);
// SQLITE_OK; SQLITE_MISUSE for id 0 or an id or key that the ring holds; SQLITE_FULL over CEV_MAXIMUM_KEYS; SQLITE_NOMEM.
int cev_ring_add(CEVKeyRing *ring, uint32_t id, const uint8_t *key);
bool cev_ring_contains(CEVKeyRing *ring, uint32_t id);
// What every page says in clear of the key that it is under.
typedef struct {
  uint32_t id;
  uint32_t check;
} CEVKeyLabel;
// Writes the labels, the newest last, to `labels`, which has room for CEV_MAXIMUM_KEYS, and returns how many there are.
int cev_ring_labels(CEVKeyRing *ring, CEVKeyLabel *labels);
// Adds the keys of `other` that the ring does not hold, in their order: all of them or, on any error, none. `*id` is the key at
// fault. SQLITE_MISMATCH: the ring holds another key under that id, or that key under another id. SQLITE_RANGE: that key, the
// newest of `other`, would not be the newest of the ring. SQLITE_FULL over CEV_MAXIMUM_KEYS.
int cev_ring_merge(CEVKeyRing *ring, CEVKeyRing *other, uint32_t *id);

// One registered VFS, stacked over the VFS named `base`, or over the default VFS of the process.
typedef struct CEVVFS CEVVFS;
// Registers `name` (copied), which retains `ring`. Connections opened through it get their reserved bytes by themselves.
// SQLITE_MISUSE if the name is taken, SQLITE_ERROR if there is no such base or this SQLite cannot open URIs.
int cev_vfs_register(const char *name, const char *base, CEVKeyRing *ring, CEVVFS **vfs);
// SQLITE_BUSY, and nothing happens, while a file is open. Nobody may be about to open one.
int cev_vfs_unregister(CEVVFS *vfs);
// Whether the main database of `connection` goes through a VFS of ours.
bool cev_is_encrypted(sqlite3 *connection);

// What a look at a database file's header and key checks says, before SQLite opens it.
typedef enum {
  CEV_STATE_EMPTY,           // absent, or without any page yet
  CEV_STATE_READABLE,        // encrypted under keys that the ring holds
  CEV_STATE_NOT_ENCRYPTED,   // a plain SQLite database
  CEV_STATE_NOT_A_DATABASE,  // neither of the two, or both copies of the header are damaged
  CEV_STATE_NEWER_FORMAT,
  CEV_STATE_UNKNOWN_KEY,     // under a key id that the ring does not hold
  CEV_STATE_WRONG_KEY,       // the ring holds another key under that id
  CEV_STATE_UNREADABLE,      // an error of the file system, see `code`
} CEVState;

typedef struct {
  CEVState state;
  uint32_t key_id;  // for UNKNOWN_KEY and WRONG_KEY
  int code;         // SQLite's result code for UNREADABLE
} CEVInspection;

CEVInspection cev_inspect(CEVVFS *vfs, const char *path);

typedef struct {
  uint32_t id;
  uint64_t pages;  // in the database file
  uint64_t frames; // in the WAL, those of earlier rounds included
} CEVKeyUse;

// Counts, per key id, what in the database and its WAL is encrypted under it; `uses` has room for CEV_MAXIMUM_KEYS, `*count`
// is set. Reads trailers only. SQLITE_FULL if there are more ids than that, SQLITE_NOTADB if the file is not of this format.
int cev_keys_in_use(CEVVFS *vfs, const char *path, CEVKeyUse *uses, int *count);

typedef struct {
  uint32_t next_page;   // in: the page to go on from, 1 at first; out: the page to go on from, > page_count when all is done
  uint32_t page_count;  // out: pages in the database file now
  uint32_t rewritten;   // out: pages encrypted anew by this step
} CEVRekeyStep;

// Encrypts anew, in place, at most `CEV_REKEY_BATCH` pages of the main database that are not under the newest key. The new
// ciphertexts are made durable beside the database before the first page is overwritten, and a page that a crash tore is
// mended from there at the next open. Writers and readers go on; only checkpoints wait. SQLITE_BUSY: a checkpoint runs, try
// again. SQLITE_MISUSE: not one of our connections, or it is not in WAL mode or has not read yet. SQLITE_IOERR_DATA: a page
// does not authenticate; the step changed nothing.
#define CEV_REKEY_BATCH 256
int cev_rekey_step(sqlite3 *connection, CEVRekeyStep *step);

// Lets a connection that writes many pages to the database, as a checkpoint does, rest for so long after each stretch of as
// much work, so that whoever else wants the processor gets it soon. 0: it never rests, as at first. SQLITE_MISUSE: not one of
// our connections, or a second or more.
int cev_rest_between_pages(sqlite3 *connection, int32_t nanoseconds);

// Regions outside SQLite: the frames of a sealed file, which is what a store's archive keeps beside database files. Keys,
// trailers and nonces are those of pages; a frame opens only in the file of that identity, at that position, under that
// clear header of 16 bytes. One handle for one thread at a time; each draws a salt of its own.
typedef struct CEVSealedFile CEVSealedFile;
#define CEV_SEALED_IDENTITY_LENGTH 16
#define CEV_SEALED_HEADER_LENGTH 16
typedef enum { CEV_SEALED_OK, CEV_SEALED_DAMAGED, CEV_SEALED_UNKNOWN_KEY, CEV_SEALED_WRONG_KEY, CEV_SEALED_FAILED } CEVSealedStatus;

// NULL: no memory.
CEVSealedFile *cev_sealed_create(CEVKeyRing *ring, const uint8_t *identity);
void cev_sealed_destroy(CEVSealedFile *file);
// Encrypts `length` bytes in place and fills the trailer of CEV_RESERVED_LENGTH bytes.
CEVSealedStatus cev_sealed_seal(
    CEVSealedFile *file, uint64_t position, const uint8_t *header, uint8_t *bytes, int length, uint8_t *trailer);
// Decrypts in place; the bytes are zeroed unless the result is CEV_SEALED_OK.
CEVSealedStatus cev_sealed_open(
    CEVSealedFile *file, uint64_t position, const uint8_t *header, uint8_t *bytes, int length, const uint8_t *trailer);
// Of the key that a trailer names; 0: none.
uint32_t cev_sealed_key_id(const uint8_t *trailer);
// Random bytes of the kernel, for identities. False: there are none.
bool cev_random_bytes(uint8_t *bytes, size_t length);

// For any SQLite database: writes the bytes of its WAL, if it has one, to their places again and syncs them. After a failed
// sync the kernel may take bytes for written that the disk does not have; SQLite would recover them, commit after them, and
// lose both with the power. Nobody may have the database open. `base` as for cev_vfs_register.
int cev_wal_write_again(const char *base, const char *path);
// For any SQLite connection: whether closing it, as the last one, leaves the WAL as it is.
int cev_keep_wal(sqlite3 *connection, bool keeps);

// Runs a command (no shell; PATH is searched) and keeps its standard output, at most `capacity` bytes; its standard input is
// empty. Returns the output's length; -1 could not be started, -2 failed (exit status or signal in `*status`), -3 took longer
// than `timeout_ms`, -4 printed more than `capacity`.
long cev_run_command(const char *const *arguments, int timeout_ms, uint8_t *output, size_t capacity, int *status);

// Overwrites memory in a way that the compiler keeps.
void cev_wipe(void *bytes, size_t length);

#endif
