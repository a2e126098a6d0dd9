// Looking at a store without opening it: what it is, and which keys it needs.
//
// Files are opened through the VFS below even here: closing a descriptor of its own would drop the process's POSIX locks on the
// database (https://www.sqlite.org/howtocorrupt.html, 2.2).
#include "internal.h"

#include <stdlib.h>

#define LOOKED_AT 8  // pages whose key is looked at before SQLite opens a database

static int read_trailer(sqlite3_file *real, sqlite3_int64 page_end, uint8_t *trailer) {
  return real->pMethods->xRead(real, trailer, CEV_TRAILER, page_end - CEV_TRAILER);
}

// One page under a key of the ring is enough to open; the others then answer for themselves. If there is none, the first page
// says which key is missing.
static CEVInspection inspect_keys(CEVKeyRing *ring, sqlite3_file *real, sqlite3_int64 size) {
  CEVInspection found = {CEV_STATE_READABLE, 0, SQLITE_OK};
  for (int page = 1; page <= LOOKED_AT && (sqlite3_int64)(page + 1) * CEV_PAGE <= size; page++) {
    uint8_t trailer[CEV_TRAILER];
    int result = read_trailer(real, (sqlite3_int64)(page + 1) * CEV_PAGE, trailer);
    if (result != SQLITE_OK) return (CEVInspection){CEV_STATE_UNREADABLE, 0, result};
    CEVStatus status = cev_trailer_check(ring, trailer);
    if (status == CEV_OK) return (CEVInspection){CEV_STATE_READABLE, 0, SQLITE_OK};
    if (status == CEV_DAMAGED || found.state != CEV_STATE_READABLE) continue;
    found.state = status == CEV_UNKNOWN_KEY ? CEV_STATE_UNKNOWN_KEY : CEV_STATE_WRONG_KEY;
    found.key_id = cev_trailer_key_id(trailer);
  }
  return found;
}

CEVInspection cev_inspect_file(CEVKeyRing *ring, sqlite3_file *real, uint8_t *identity) {
  CEVInspection found = {CEV_STATE_UNREADABLE, 0, SQLITE_OK};
  sqlite3_int64 size = 0;
  CEVHeader header = CEV_HEADER_ABSENT;
  found.code = real->pMethods->xFileSize(real, &size);
  if (found.code == SQLITE_OK) found.code = cev_header_read(real, size, &header, identity);
  if (found.code != SQLITE_OK) return found;
  switch (header) {
    case CEV_HEADER_ABSENT: found.state = CEV_STATE_EMPTY; break;
    case CEV_HEADER_PLAIN: found.state = CEV_STATE_NOT_ENCRYPTED; break;
    case CEV_HEADER_NEWER: found.state = CEV_STATE_NEWER_FORMAT; break;
    case CEV_HEADER_DAMAGED: found.state = CEV_STATE_NOT_A_DATABASE; break;
    case CEV_HEADER_VALID: found = inspect_keys(ring, real, size); break;
  }
  return found;
}

// A database and its WAL, opened for reading through the VFS below.
typedef struct {
  const char *name;  // of sqlite3_create_filename
  sqlite3_file *database, *wal;
} Files;

static sqlite3_file *open_file(sqlite3_vfs *base, const char *name, int kind, int *result) {
  int exists = 0;
  *result = base->xAccess(base, name, SQLITE_ACCESS_EXISTS, &exists);
  if (*result != SQLITE_OK || !exists) return NULL;
  sqlite3_file *file = calloc(1, (size_t)base->szOsFile);
  if (file == NULL) {
    *result = SQLITE_NOMEM;
    return NULL;
  }
  *result = base->xOpen(base, name, file, kind | SQLITE_OPEN_READONLY, NULL);
  if (*result == SQLITE_OK) return file;
  if (file->pMethods != NULL) file->pMethods->xClose(file);
  free(file);
  return NULL;
}

static void close_files(Files *files) {
  sqlite3_file *both[] = {files->database, files->wal};
  for (int i = 0; i < 2; i++) {
    if (both[i] == NULL) continue;
    both[i]->pMethods->xClose(both[i]);
    free(both[i]);
  }
  sqlite3_free_filename((char *)files->name);
}

static int open_files(CEVVFS *vfs, const char *path, Files *files) {
  *files = (Files){NULL, NULL, NULL};
  char *full = calloc(1, (size_t)vfs->base->mxPathname + 1);
  if (full == NULL) return SQLITE_NOMEM;
  int result = vfs->base->xFullPathname(vfs->base, path, vfs->base->mxPathname, full);
  char *wal = sqlite3_mprintf("%s-wal", full);
  // Any but SQLITE_OK for a path that is a link is a remark: SQLITE_OK_SYMLINK.
  if ((result & 0xff) == SQLITE_OK && wal != NULL) files->name = sqlite3_create_filename(full, "", wal, 0, NULL);
  result = (result & 0xff) != SQLITE_OK ? result : files->name == NULL ? SQLITE_NOMEM : SQLITE_OK;
  sqlite3_free(wal);
  free(full);
  if (result != SQLITE_OK) return result;
  files->database = open_file(vfs->base, files->name, SQLITE_OPEN_MAIN_DB, &result);
  if (files->database != NULL) {
    files->wal = open_file(vfs->base, sqlite3_filename_wal(files->name), SQLITE_OPEN_WAL, &result);
  }
  if (result != SQLITE_OK) close_files(files);
  return result;
}

CEVInspection cev_inspect(CEVVFS *vfs, const char *path) {
  Files files;
  int result = open_files(vfs, path, &files);
  if (result != SQLITE_OK) return (CEVInspection){CEV_STATE_UNREADABLE, 0, result};
  CEVInspection found = {CEV_STATE_EMPTY, 0, SQLITE_OK};
  uint8_t identity[CEV_IDENTITY];
  if (files.database != NULL) found = cev_inspect_file(vfs->ring, files.database, identity);
  close_files(&files);
  return found;
}

// Counts the trailers of regions of `length` bytes that start at `start`.
static int count_keys(
    sqlite3_file *file, sqlite3_int64 start, sqlite3_int64 length, bool in_wal, CEVKeyUse *uses, int *count) {
  sqlite3_int64 size = 0;
  int result = file->pMethods->xFileSize(file, &size);
  for (sqlite3_int64 end = start + length; result == SQLITE_OK && end <= size; end += length) {
    uint8_t trailer[CEV_TRAILER];
    result = read_trailer(file, end, trailer);
    uint32_t id = cev_trailer_key_id(trailer);
    if (result != SQLITE_OK || id == 0) continue;
    int i = 0;
    while (i < *count && uses[i].id != id) i++;
    if (i == CEV_MAXIMUM_KEYS) return SQLITE_FULL;
    if (i == *count) uses[(*count)++] = (CEVKeyUse){id, 0, 0};
    if (in_wal) uses[i].frames++;
    else uses[i].pages++;
  }
  return result == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : result;  // it has become shorter while we looked
}

int cev_keys_in_use(CEVVFS *vfs, const char *path, CEVKeyUse *uses, int *count) {
  *count = 0;
  Files files;
  int result = open_files(vfs, path, &files);
  if (result != SQLITE_OK) return result;
  if (files.database != NULL) {
    uint8_t identity[CEV_IDENTITY];
    sqlite3_int64 size = 0;
    CEVHeader header = CEV_HEADER_ABSENT;
    result = files.database->pMethods->xFileSize(files.database, &size);
    if (result == SQLITE_OK) result = cev_header_read(files.database, size, &header, identity);
    if (result == SQLITE_OK && header != CEV_HEADER_VALID && header != CEV_HEADER_ABSENT) result = SQLITE_NOTADB;
    if (result == SQLITE_OK) {
      result = count_keys(files.database, CEV_HEADER_BLOCK, CEV_PAGE, false, uses, count);
    }
    if (result == SQLITE_OK && files.wal != NULL) {
      result = count_keys(files.wal, CEV_WAL_HEADER, CEV_FRAME, true, uses, count);
    }
  }
  close_files(&files);
  return result;
}
