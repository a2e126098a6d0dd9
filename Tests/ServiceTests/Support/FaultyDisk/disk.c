// The disk: faults, the opening of files, and what tests call.
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static FaultyDisk *disk_of(sqlite3_vfs *vfs) { return vfs->pAppData; }
static sqlite3_vfs *base_of(sqlite3_vfs *vfs) { return disk_of(vfs)->base; }

static const int failures[KINDS] = {
    SQLITE_IOERR_READ, SQLITE_IOERR_WRITE,  SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_FSYNC,  SQLITE_IOERR_FSTAT,
    SQLITE_CANTOPEN,   SQLITE_IOERR_DELETE, SQLITE_IOERR_ACCESS,   SQLITE_IOERR_SHMMAP,
};

int disk_strike(FaultyDisk *disk, uint32_t kind) {
  pthread_mutex_lock(&disk->mutex);
  int index = __builtin_ctz(kind);
  FaultyDiskFault fault = disk->fault;
  disk->calls[index]++;
  int result = SQLITE_OK;
  if (fault.kinds & kind) {
    disk->counted++;
    bool hit = fault.persistent ? disk->counted >= fault.number : disk->counted == fault.number;
    if (fault.number > 0 && hit) {
      disk->failed |= kind;
      result = fault.code != 0 ? fault.code : failures[index];
    }
  }
  pthread_mutex_unlock(&disk->mutex);
  return result;
}

Log *disk_begin(FaultyDisk *disk) {
  pthread_mutex_lock(&disk->mutex);
  return disk->log;
}
void disk_end(FaultyDisk *disk) { pthread_mutex_unlock(&disk->mutex); }

// The inode of a file just opened, entered in the log with its content if it is new there.
static int inode_of(Log *log, sqlite3_file *real, const char *name) {
  int inode = log_find(log, name);
  if (inode >= 0) return inode;
  sqlite3_int64 size = 0;
  if (real->pMethods->xFileSize(real, &size) != SQLITE_OK) log->failed = true;
  uint8_t *bytes = malloc((size_t)size + 1);
  if (bytes == NULL || (size > 0 && real->pMethods->xRead(real, bytes, (int)size, 0) != SQLITE_OK)) log->failed = true;
  inode = log_create_file(log, name, bytes, size);
  free(bytes);
  return inode;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *handle, int flags, int *out) {
  FaultyDisk *disk = disk_of(vfs);
  File *file = (File *)handle;
  memset(file, 0, sizeof *file);
  int result = disk_strike(disk, FAULTY_OPEN);
  if (result != SQLITE_OK) return result;
  file->disk = disk;
  file->real = (sqlite3_file *)(file + 1);
  file->real->pMethods = NULL;
  file->inode = -1;
  Log *log = disk_begin(disk);
  result = disk->base->xOpen(disk->base, name, file->real, flags, out);
  if (result == SQLITE_OK) {
    int synced = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    if (log != NULL && name != NULL) file->inode = inode_of(log, file->real, name);
    file->syncs_directory = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & synced) != 0;
    file->file.pMethods = &file_methods;
    disk->open_files++;
  } else if (file->real->pMethods != NULL) {
    file->real->pMethods->xClose(file->real);
  }
  disk_end(disk);
  return result;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync) {
  FaultyDisk *disk = disk_of(vfs);
  int result = disk_strike(disk, FAULTY_DELETE);
  if (result != SQLITE_OK) return result;
  Log *log = disk_begin(disk);
  result = disk->base->xDelete(disk->base, name, 0);
  int inode = log != NULL ? log_find(log, name) : -1;
  if (result == SQLITE_OK && inode >= 0) {
    log_append(log, LOG_DELETE, inode, 0, NULL, 0);
    if (sync) log_append(log, LOG_SYNC_DIRECTORY, inode, 0, NULL, 0);
  }
  disk_end(disk);
  return result;
}

static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *answer) {
  int result = disk_strike(disk_of(vfs), FAULTY_ACCESS);
  return result == SQLITE_OK ? base_of(vfs)->xAccess(base_of(vfs), name, flags, answer) : result;
}

static int disk_full_pathname(sqlite3_vfs *vfs, const char *name, int length, char *out) {
  return base_of(vfs)->xFullPathname(base_of(vfs), name, length, out);
}
static void *disk_dl_open(sqlite3_vfs *vfs, const char *name) { return base_of(vfs)->xDlOpen(base_of(vfs), name); }
static void disk_dl_error(sqlite3_vfs *vfs, int length, char *text) {
  base_of(vfs)->xDlError(base_of(vfs), length, text);
}
static void (*disk_dl_sym(sqlite3_vfs *vfs, void *library, const char *symbol))(void) {
  return base_of(vfs)->xDlSym(base_of(vfs), library, symbol);
}
static void disk_dl_close(sqlite3_vfs *vfs, void *library) { base_of(vfs)->xDlClose(base_of(vfs), library); }
static int disk_randomness(sqlite3_vfs *vfs, int length, char *out) {
  return base_of(vfs)->xRandomness(base_of(vfs), length, out);
}
static int disk_sleep(sqlite3_vfs *vfs, int time) { return base_of(vfs)->xSleep(base_of(vfs), time); }
static int disk_current_time(sqlite3_vfs *vfs, double *time) { return base_of(vfs)->xCurrentTime(base_of(vfs), time); }
static int disk_last_error(sqlite3_vfs *vfs, int length, char *text) {
  return base_of(vfs)->xGetLastError(base_of(vfs), length, text);
}
static int disk_current_time64(sqlite3_vfs *vfs, sqlite3_int64 *time) {
  return base_of(vfs)->xCurrentTimeInt64(base_of(vfs), time);
}

static int add_vfs(FaultyDisk *disk, const char *name) {
  if (sqlite3_initialize() != SQLITE_OK || strlen(name) >= sizeof disk->name) return SQLITE_ERROR;
  if (sqlite3_vfs_find(name) != NULL) return SQLITE_MISUSE;
  strcpy(disk->name, name);
  disk->base = sqlite3_vfs_find(NULL);
  if (disk->base == NULL || disk->base->iVersion < 2) return SQLITE_ERROR;
  disk->vfs = (sqlite3_vfs){
      .iVersion = 2,
      .szOsFile = (int)sizeof(File) + disk->base->szOsFile,
      .mxPathname = disk->base->mxPathname,
      .zName = disk->name,
      .pAppData = disk,
      .xOpen = disk_open,
      .xDelete = disk_delete,
      .xAccess = disk_access,
      .xFullPathname = disk_full_pathname,
      .xDlOpen = disk_dl_open,
      .xDlError = disk_dl_error,
      .xDlSym = disk_dl_sym,
      .xDlClose = disk_dl_close,
      .xRandomness = disk_randomness,
      .xSleep = disk_sleep,
      .xCurrentTime = disk_current_time,
      .xGetLastError = disk_last_error,
      .xCurrentTimeInt64 = disk_current_time64,
  };
  return sqlite3_vfs_register(&disk->vfs, 0);
}

// What tests call

int faulty_disk_create(const char *name, FaultyDisk **out) {
  *out = NULL;
  FaultyDisk *disk = calloc(1, sizeof *disk);
  if (disk == NULL) return SQLITE_NOMEM;
  int result = pthread_mutex_init(&disk->mutex, NULL) == 0 ? add_vfs(disk, name) : SQLITE_ERROR;
  if (result == SQLITE_OK) *out = disk;
  else free(disk);
  return result;
}

int faulty_disk_destroy(FaultyDisk *disk) {
  disk_begin(disk);
  int open_files = disk->open_files;
  disk_end(disk);
  if (open_files != 0) return SQLITE_BUSY;
  int result = sqlite3_vfs_unregister(&disk->vfs);
  if (result != SQLITE_OK) return result;
  log_destroy(disk->log);
  pthread_mutex_destroy(&disk->mutex);
  free(disk);
  return SQLITE_OK;
}

void faulty_disk_set_fault(FaultyDisk *disk, FaultyDiskFault fault) {
  disk_begin(disk);
  disk->fault = fault;
  disk->counted = 0;
  disk->failed = 0;
  memset(disk->calls, 0, sizeof disk->calls);
  disk_end(disk);
}

int64_t faulty_disk_calls(FaultyDisk *disk, uint32_t kinds) {
  disk_begin(disk);
  int64_t sum = 0;
  for (int i = 0; i < KINDS; i++) sum += kinds & (1u << i) ? disk->calls[i] : 0;
  disk_end(disk);
  return sum;
}

uint32_t faulty_disk_failed(FaultyDisk *disk) {
  disk_begin(disk);
  uint32_t failed = disk->failed;
  disk_end(disk);
  return failed;
}

int faulty_disk_record(FaultyDisk *disk) {
  disk_begin(disk);
  int result = disk->open_files != 0 ? SQLITE_BUSY : SQLITE_OK;
  if (result == SQLITE_OK) {
    log_destroy(disk->log);
    disk->log = log_create();
    if (disk->log == NULL) result = SQLITE_NOMEM;
  }
  disk_end(disk);
  return result;
}

int64_t faulty_disk_position(FaultyDisk *disk) {
  Log *log = disk_begin(disk);
  int64_t position = log != NULL ? log->count : 0;
  disk_end(disk);
  return position;
}

int faulty_disk_rebuild(
    FaultyDisk *disk, int64_t position, FaultyDiskSurvival survival, uint64_t seed, const char *directory) {
  Log *log = disk_begin(disk);
  int result = log != NULL ? log_rebuild(log, position, survival, seed, directory) : SQLITE_MISUSE;
  disk_end(disk);
  return result;
}
