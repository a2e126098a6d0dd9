// What is done with a WAL where SQLite does too little after a failed sync.
#include "internal.h"

#include <stdlib.h>

enum { CHUNK = 1 << 16 };

static int write_again(sqlite3_file *file) {
  uint8_t *bytes = malloc(CHUNK);
  if (bytes == NULL) return SQLITE_NOMEM;
  sqlite3_int64 size = 0;
  int result = file->pMethods->xFileSize(file, &size);
  for (sqlite3_int64 at = 0; result == SQLITE_OK && at < size; at += CHUNK) {
    int length = size - at < CHUNK ? (int)(size - at) : CHUNK;
    result = file->pMethods->xRead(file, bytes, length, at);
    if (result == SQLITE_OK) result = file->pMethods->xWrite(file, bytes, length, at);
  }
  free(bytes);
  return result == SQLITE_OK ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) : result;
}

int cev_wal_write_again(const char *base, const char *path) {
  sqlite3_vfs *vfs = sqlite3_initialize() == SQLITE_OK ? sqlite3_vfs_find(base) : NULL;
  if (vfs == NULL) return SQLITE_ERROR;
  char *name = sqlite3_mprintf("%s-wal", path);
  sqlite3_file *file = calloc(1, (size_t)vfs->szOsFile);
  int exists = 0;
  int result = name != NULL && file != NULL ? vfs->xAccess(vfs, name, SQLITE_ACCESS_EXISTS, &exists) : SQLITE_NOMEM;
  if (result == SQLITE_OK && exists) {
    // With CREATE the first sync is one of the directory too.
    int flags = SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    result = vfs->xOpen(vfs, name, file, flags, NULL);
    if (result == SQLITE_OK) result = write_again(file);
    if (file->pMethods != NULL) file->pMethods->xClose(file);
  }
  free(file);
  sqlite3_free(name);
  return result;
}

int cev_keep_wal(sqlite3 *connection, bool keeps) {
  return sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps ? 1 : 0, NULL);
}
