// What the database, WAL and journal files share: everything that does not move page content goes straight below.
#include "internal.h"

#include <CScheduling.h>
#include <sys/stat.h>

int cev_real_read(CEVFile *file, void *bytes, int amount, sqlite3_int64 offset) {
  cs_give_way();
  return file->real->pMethods->xRead(file->real, bytes, amount, offset);
}

int cev_real_write(CEVFile *file, const void *bytes, int amount, sqlite3_int64 offset) {
  cs_give_way();
  return file->real->pMethods->xWrite(file->real, bytes, amount, offset);
}

int cev_real_size(CEVFile *file, sqlite3_int64 *size) {
  return file->real->pMethods->xFileSize(file->real, size);
}

int cev_report(CEVStatus status, const CEVFile *file, const char *what, sqlite3_int64 where) {
  const char *path = file->path != NULL ? file->path : "(no name)";
  switch (status) {
    case CEV_OK: return SQLITE_OK;
    case CEV_DAMAGED:
      sqlite3_log(SQLITE_IOERR_DATA, "%s %lld of %s does not authenticate: damaged or not its own", what, where, path);
      return SQLITE_IOERR_DATA;
    case CEV_UNKNOWN_KEY:
      sqlite3_log(SQLITE_IOERR_AUTH, "%s %lld of %s: its key is not in the key ring", what, where, path);
      return SQLITE_IOERR_AUTH;
    case CEV_WRONG_KEY:
      sqlite3_log(SQLITE_IOERR_AUTH, "%s %lld of %s: the key ring holds another key under its id", what, where, path);
      return SQLITE_IOERR_AUTH;
    case CEV_FAILED: break;
  }
  sqlite3_log(SQLITE_IOERR, "%s %lld of %s: libcrypto or the random source failed", what, where, path);
  return SQLITE_IOERR;
}

void cev_file_note_place(CEVFile *file) {
  struct stat status;
  if (stat(file->path, &status) == 0) file->device = status.st_dev, file->inode = status.st_ino;
}

bool cev_file_is_in_place(const CEVFile *file) {
  struct stat status;
  return stat(file->path, &status) == 0 && status.st_dev == file->device && status.st_ino == file->inode;
}

int cev_file_close(sqlite3_file *handle) {
  CEVFile *file = cev_file(handle);
  int result = file->real->pMethods != NULL ? file->real->pMethods->xClose(file->real) : SQLITE_OK;
  cev_sealer_close(&file->sealer);
  cev_opener_close(&file->opener);
  memset(file->buffer, 0, sizeof file->buffer);
  atomic_fetch_sub(&file->vfs->open_files, 1);
  handle->pMethods = NULL;
  return result;
}

int cev_file_sync(sqlite3_file *handle, int flags) {
  CEVFile *file = cev_file(handle);
  return file->real->pMethods->xSync(file->real, flags);
}

int cev_file_size(sqlite3_file *handle, sqlite3_int64 *size) { return cev_real_size(cev_file(handle), size); }

int cev_file_truncate(sqlite3_file *handle, sqlite3_int64 size) {
  CEVFile *file = cev_file(handle);
  return file->real->pMethods->xTruncate(file->real, size);
}

int cev_file_lock(sqlite3_file *handle, int level) {
  CEVFile *file = cev_file(handle);
  return file->real->pMethods->xLock(file->real, level);
}

int cev_file_unlock(sqlite3_file *handle, int level) {
  CEVFile *file = cev_file(handle);
  return file->real->pMethods->xUnlock(file->real, level);
}

int cev_file_check_reserved_lock(sqlite3_file *handle, int *result) {
  CEVFile *file = cev_file(handle);
  return file->real->pMethods->xCheckReservedLock(file->real, result);
}

int cev_file_control(sqlite3_file *handle, int op, void *argument) {
  CEVFile *file = cev_file(handle);
  switch (op) {
    case CEV_FCNTL_REKEY:
      return file->database == file ? cev_rekey_control(file, argument) : SQLITE_NOTFOUND;
    case CEV_FCNTL_PACE:
      return file->database == file ? cev_pace_set(file, *(int32_t *)argument) : SQLITE_NOTFOUND;
    case SQLITE_FCNTL_VFSNAME:
      *(char **)argument = sqlite3_mprintf("%s", file->vfs->name);
      return SQLITE_OK;
    // Space allocated ahead would be pages that nobody sealed.
    case SQLITE_FCNTL_SIZE_HINT:
    case SQLITE_FCNTL_CHUNK_SIZE:
      return SQLITE_OK;
    // Both would let SQLite reach pages without passing here.
    case SQLITE_FCNTL_MMAP_SIZE:
    case SQLITE_FCNTL_BEGIN_ATOMIC_WRITE:
    case SQLITE_FCNTL_COMMIT_ATOMIC_WRITE:
    case SQLITE_FCNTL_ROLLBACK_ATOMIC_WRITE:
      return SQLITE_NOTFOUND;
    default:
      return file->real->pMethods->xFileControl(file->real, op, argument);
  }
}

int cev_file_sector_size(sqlite3_file *handle) {
  CEVFile *file = cev_file(handle);
  return file->real->pMethods->xSectorSize(file->real);
}

// POWERSAFE_OVERWRITE is part of the format: without it SQLite pads and splits what it writes to the WAL, and writes journal
// headers of the length of a page. Claims of atomic writes do not hold for what we write.
int cev_file_characteristics(sqlite3_file *handle) {
  CEVFile *file = cev_file(handle);
  int below = file->real->pMethods->xDeviceCharacteristics(file->real);
  return (below & SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN) | SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}
