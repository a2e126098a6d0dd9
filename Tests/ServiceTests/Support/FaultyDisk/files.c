// What is done to an open file: each call counts, may fail, goes on to the VFS below, and is entered in the log.
#include "internal.h"

static File *file_of(sqlite3_file *handle) { return (File *)handle; }

static int file_close(sqlite3_file *handle) {
  File *file = file_of(handle);
  int result = file->real->pMethods != NULL ? file->real->pMethods->xClose(file->real) : SQLITE_OK;
  disk_begin(file->disk);
  file->disk->open_files--;
  disk_end(file->disk);
  handle->pMethods = NULL;
  return result;
}

static int file_read(sqlite3_file *handle, void *bytes, int amount, sqlite3_int64 offset) {
  File *file = file_of(handle);
  int result = disk_strike(file->disk, FAULTY_READ);
  return result == SQLITE_OK ? file->real->pMethods->xRead(file->real, bytes, amount, offset) : result;
}

static int file_write(sqlite3_file *handle, const void *bytes, int amount, sqlite3_int64 offset) {
  File *file = file_of(handle);
  int failure = disk_strike(file->disk, FAULTY_WRITE);
  if (failure != SQLITE_OK) {
    disk_begin(file->disk);
    amount = file->disk->fault.torn ? amount / 2 : 0;
    disk_end(file->disk);
    if (amount == 0) return failure;
  }
  Log *log = disk_begin(file->disk);
  int result = file->real->pMethods->xWrite(file->real, bytes, amount, offset);
  if (result == SQLITE_OK && log != NULL && file->inode >= 0) {
    log_append(log, LOG_WRITE, file->inode, offset, bytes, amount);
  }
  disk_end(file->disk);
  return failure != SQLITE_OK ? failure : result;
}

static int file_truncate(sqlite3_file *handle, sqlite3_int64 size) {
  File *file = file_of(handle);
  int result = disk_strike(file->disk, FAULTY_TRUNCATE);
  if (result != SQLITE_OK) return result;
  Log *log = disk_begin(file->disk);
  result = file->real->pMethods->xTruncate(file->real, size);
  if (result == SQLITE_OK && log != NULL && file->inode >= 0) {
    log_append(log, LOG_TRUNCATE, file->inode, size, NULL, 0);
  }
  disk_end(file->disk);
  return result;
}

static int file_sync(sqlite3_file *handle, int flags) {
  (void)flags;
  File *file = file_of(handle);
  Log *log = disk_begin(file->disk);
  int64_t covered = log != NULL ? log->count : 0;
  disk_end(file->disk);
  int result = disk_strike(file->disk, FAULTY_SYNC);
  disk_begin(file->disk);
  if (log != NULL && file->inode >= 0) {
    log_append(log, result == SQLITE_OK ? LOG_SYNC : LOG_SYNC_FAILED, file->inode, covered, NULL, 0);
    if (result == SQLITE_OK && file->syncs_directory) log_append(log, LOG_SYNC_DIRECTORY, file->inode, 0, NULL, 0);
  }
  if (result == SQLITE_OK) file->syncs_directory = false;
  disk_end(file->disk);
  return result;
}

static int file_size(sqlite3_file *handle, sqlite3_int64 *size) {
  File *file = file_of(handle);
  int result = disk_strike(file->disk, FAULTY_SIZE);
  return result == SQLITE_OK ? file->real->pMethods->xFileSize(file->real, size) : result;
}

static int file_lock(sqlite3_file *handle, int level) {
  return file_of(handle)->real->pMethods->xLock(file_of(handle)->real, level);
}
static int file_unlock(sqlite3_file *handle, int level) {
  return file_of(handle)->real->pMethods->xUnlock(file_of(handle)->real, level);
}
static int file_check_reserved_lock(sqlite3_file *handle, int *result) {
  return file_of(handle)->real->pMethods->xCheckReservedLock(file_of(handle)->real, result);
}
static int file_control(sqlite3_file *handle, int op, void *argument) {
  return file_of(handle)->real->pMethods->xFileControl(file_of(handle)->real, op, argument);
}
static int file_sector_size(sqlite3_file *handle) {
  return file_of(handle)->real->pMethods->xSectorSize(file_of(handle)->real);
}
static int file_characteristics(sqlite3_file *handle) {
  return file_of(handle)->real->pMethods->xDeviceCharacteristics(file_of(handle)->real);
}
static int file_shm_map(sqlite3_file *handle, int region, int length, int extend, void volatile **address) {
  int result = disk_strike(file_of(handle)->disk, FAULTY_MAP);
  if (result != SQLITE_OK) return result;
  return file_of(handle)->real->pMethods->xShmMap(file_of(handle)->real, region, length, extend, address);
}
static int file_shm_lock(sqlite3_file *handle, int offset, int count, int flags) {
  return file_of(handle)->real->pMethods->xShmLock(file_of(handle)->real, offset, count, flags);
}
static void file_shm_barrier(sqlite3_file *handle) {
  file_of(handle)->real->pMethods->xShmBarrier(file_of(handle)->real);
}
static int file_shm_unmap(sqlite3_file *handle, int remove) {
  return file_of(handle)->real->pMethods->xShmUnmap(file_of(handle)->real, remove);
}

// Version 2: without xFetch, so that every read and write comes by.
const sqlite3_io_methods file_methods = {
    2, file_close, file_read, file_write, file_truncate, file_sync, file_size, file_lock, file_unlock,
    file_check_reserved_lock, file_control, file_sector_size, file_characteristics, file_shm_map, file_shm_lock,
    file_shm_barrier, file_shm_unmap, NULL, NULL,
};
