#ifndef FAULTYDISK_INTERNAL_H
#define FAULTYDISK_INTERNAL_H

#include "CFaultyDisk.h"

#include <pthread.h>

#define KINDS 9
#define MAXIMUM_FILES 4096  // inodes in one log

typedef enum { LOG_CREATE, LOG_WRITE, LOG_TRUNCATE, LOG_SYNC, LOG_SYNC_FAILED, LOG_DELETE, LOG_SYNC_DIRECTORY } EventKind;

typedef struct {
  EventKind kind;
  int inode;
  int64_t offset;  // of a write; the size of a truncation; how far into the log a sync reaches
  int64_t length;  // of `bytes`: what is written, or what the file held when the log first saw it
  uint8_t *bytes;
} Event;

typedef struct {
  Event *events;
  int64_t count, capacity;
  char *names[MAXIMUM_FILES];  // by inode, without the directory
  bool is_linked[MAXIMUM_FILES];
  int inodes;
  bool failed;  // out of memory: the log is not whole
} Log;

struct FaultyDisk {
  sqlite3_vfs vfs;
  sqlite3_vfs *base;
  char name[64];
  pthread_mutex_t mutex;
  int open_files;
  FaultyDiskFault fault;
  int64_t counted;  // calls of the fault's kinds
  int64_t calls[KINDS];
  uint32_t failed;
  Log *log;  // NULL until the recording starts
};

// disk.c

typedef struct {
  sqlite3_file file;  // SQLite's part, first
  FaultyDisk *disk;
  sqlite3_file *real;  // in the memory behind this struct
  int inode;           // -1: not in the log
  // The default VFS syncs the directory with the first sync of a journal or WAL that it may have made (unixSync).
  bool syncs_directory;
} File;

extern const sqlite3_io_methods file_methods;  // files.c

// Counts a call. SQLITE_OK, or what it shall return.
int disk_strike(FaultyDisk *disk, uint32_t kind);
// Takes and gives back the disk's mutex: between these, what is done to the disk and its entry in the log are one.
Log *disk_begin(FaultyDisk *disk);
void disk_end(FaultyDisk *disk);

// log.c and rebuild.c: all with the disk's mutex held.
Log *log_create(void);
void log_destroy(Log *log);
// The inode that `path` names now; -1: none. The log must know every file that exists, so a new one is told with its content.
int log_find(const Log *log, const char *path);
int log_create_file(Log *log, const char *path, const uint8_t *bytes, int64_t length);
void log_append(Log *log, EventKind kind, int inode, int64_t offset, const void *bytes, int64_t length);

int log_rebuild(const Log *log, int64_t position, FaultyDiskSurvival survival, uint64_t seed, const char *directory);

#endif
