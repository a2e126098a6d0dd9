// A SQLite VFS for tests, between SQLite (or the encrypting VFS) and the disk. It fails calls that a test chooses, and it
// keeps a log of what was written and synced, from which a test rebuilds what a disk may hold after a power cut.
//
// Each disk is registered by a name of its own, over SQLite's default VFS, and is meant for the files of one directory. Its
// syncs are not passed on: the machine under a test keeps its power. The WAL index (-shm) is memory and is not in the log.
#ifndef CFAULTYDISK_H
#define CFAULTYDISK_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FaultyDisk FaultyDisk;
// SQLITE_OK, SQLITE_MISUSE if the name is taken, SQLITE_NOMEM.
int faulty_disk_create(const char *name, FaultyDisk **disk);
// SQLITE_BUSY, and nothing happens, while a file is open.
int faulty_disk_destroy(FaultyDisk *disk);

// Kinds of calls, to be combined. Locks are not among them: the default VFS says SQLITE_BUSY whatever is wrong with one.
static const uint32_t FAULTY_READ = 1 << 0;
static const uint32_t FAULTY_WRITE = 1 << 1;
static const uint32_t FAULTY_TRUNCATE = 1 << 2;
static const uint32_t FAULTY_SYNC = 1 << 3;
static const uint32_t FAULTY_SIZE = 1 << 4;
static const uint32_t FAULTY_OPEN = 1 << 5;
static const uint32_t FAULTY_DELETE = 1 << 6;
static const uint32_t FAULTY_ACCESS = 1 << 7;
static const uint32_t FAULTY_MAP = 1 << 8;  // of the WAL index
static const uint32_t FAULTY_ALL = (1 << 9) - 1;

typedef struct {
  uint32_t kinds;    // the calls that count and may fail
  int64_t number;    // the first of them that fails, from 1; 0: none, only count
  bool persistent;   // and all after it
  int code;          // what they return; 0: SQLITE_IOERR with the extension of the kind, SQLITE_CANTOPEN for opens
  bool torn;         // a failing write writes the first half of its bytes
} FaultyDiskFault;

// Replaces the fault and starts counting anew. A failing sync leaves it open which unsynced bytes are durable, and no later
// sync makes up for it, as in Linux: the log says so.
void faulty_disk_set_fault(FaultyDisk *disk, FaultyDiskFault fault);
// Calls of these kinds since the fault was set.
int64_t faulty_disk_calls(FaultyDisk *disk, uint32_t kinds);
// Kinds of calls that failed since the fault was set.
uint32_t faulty_disk_failed(FaultyDisk *disk);

// Starts the log. No file of the disk may be open. What a file holds when it is first opened counts as durable.
int faulty_disk_record(FaultyDisk *disk);
// The length of the log: a place between two events.
int64_t faulty_disk_position(FaultyDisk *disk);

// What survives of that which was not synced when the power went.
typedef enum {
  FAULTY_SURVIVES_NOTHING,
  FAULTY_SURVIVES_EVERYTHING,
  FAULTY_SURVIVES_SOME,  // each 512-byte sector, file size and directory entry by itself, as the seed has it
} FaultyDiskSurvival;

// Writes into `directory` (empty) what the disk may hold after a power cut at `position`. SQLITE_OK, SQLITE_NOMEM or
// SQLITE_IOERR.
int faulty_disk_rebuild(
    FaultyDisk *disk, int64_t position, FaultyDiskSurvival survival, uint64_t seed, const char *directory);

#endif
