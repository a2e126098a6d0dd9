// Registration, and the opening of files. Everything about names and the machine is the VFS below's.
#include "internal.h"

#include <pthread.h>
#include <stdlib.h>

// One of these is set in each call of xOpen, https://www.sqlite.org/c3ref/vfs.html
#define KINDS                                                                                                \
  (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_MAIN_JOURNAL |         \
   SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL)

static CEVVFS *cev_vfs(sqlite3_vfs *vfs) { return vfs->pAppData; }
static sqlite3_vfs *base_of(sqlite3_vfs *vfs) { return cev_vfs(vfs)->base; }

// The log line carries what SQLITE_NOTADB cannot.
static int check_database(CEVFile *file) {
  CEVInspection found = cev_inspect_file(file->vfs->ring, file->real, file->identity);
  const char *reason = NULL;
  switch (found.state) {
    case CEV_STATE_EMPTY: return SQLITE_OK;
    case CEV_STATE_READABLE: file->identified = true; return SQLITE_OK;
    case CEV_STATE_NOT_ENCRYPTED: reason = "is a plain SQLite database"; break;
    case CEV_STATE_NOT_A_DATABASE: reason = "is no encrypted database, or its header is damaged"; break;
    case CEV_STATE_NEWER_FORMAT: reason = "was written by a newer version"; break;
    case CEV_STATE_UNKNOWN_KEY: reason = "is encrypted under a key that is not in the key ring"; break;
    case CEV_STATE_WRONG_KEY: reason = "is encrypted under another key than the key ring's of that id"; break;
    case CEV_STATE_UNREADABLE: return found.code;
  }
  sqlite3_log(SQLITE_NOTADB, "%s %s (key id %u)", file->path, reason, found.key_id);
  return SQLITE_NOTADB;
}

static int open_on_disk(CEVVFS *vfs, const char *name, CEVFile *file, int flags, int *out, int kind) {
  memset(file, 0, sizeof *file);
  file->vfs = vfs;
  file->path = name;
  file->real = (sqlite3_file *)(file + 1);
  file->real->pMethods = NULL;
  file->database = kind == SQLITE_OPEN_MAIN_DB ? file : (CEVFile *)sqlite3_database_file_object(name);
  int result = vfs->base->xOpen(vfs->base, name, file->real, flags, out);
  if (result != SQLITE_OK) {
    if (file->real->pMethods != NULL) file->real->pMethods->xClose(file->real);
    return result;
  }
  atomic_fetch_add(&vfs->open_files, 1);
  cev_file_note_place(file);
  file->file.pMethods = kind == SQLITE_OPEN_MAIN_DB ? &cev_database_methods
                        : kind == SQLITE_OPEN_WAL   ? &cev_wal_methods
                                                    : &cev_journal_methods;
  if (kind == SQLITE_OPEN_MAIN_DB) {
    result = check_database(file);
    if (result == SQLITE_OK && (flags & SQLITE_OPEN_READONLY) == 0) result = cev_rekey_mend(file);
    if (result != SQLITE_OK) cev_file_close(&file->file);
  }
  return result;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *handle, int flags, int *out) {
  handle->pMethods = NULL;
  int kind = flags & KINDS;
  switch (kind) {
    case SQLITE_OPEN_MAIN_DB:
    case SQLITE_OPEN_WAL:
    case SQLITE_OPEN_MAIN_JOURNAL:
      if (name == NULL) return SQLITE_CANTOPEN;
      return open_on_disk(cev_vfs(vfs), name, cev_file(handle), flags, out, kind);
    case SQLITE_OPEN_TEMP_DB:
    case SQLITE_OPEN_TRANSIENT_DB:
    case SQLITE_OPEN_TEMP_JOURNAL:
    case SQLITE_OPEN_SUBJOURNAL:
      if (out != NULL) *out = flags;
      return cev_memory_open(handle);
    default:  // super-journals, for transactions over several files outside WAL mode
      sqlite3_log(SQLITE_CANTOPEN, "the encrypting VFS opens no file of the kind %x", kind);
      return SQLITE_CANTOPEN;
  }
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
  return base_of(vfs)->xDelete(base_of(vfs), name, sync);
}
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
  return base_of(vfs)->xAccess(base_of(vfs), name, flags, result);
}
static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int length, char *out) {
  return base_of(vfs)->xFullPathname(base_of(vfs), name, length, out);
}
static void *vfs_dl_open(sqlite3_vfs *vfs, const char *name) { return base_of(vfs)->xDlOpen(base_of(vfs), name); }
static void vfs_dl_error(sqlite3_vfs *vfs, int length, char *text) {
  base_of(vfs)->xDlError(base_of(vfs), length, text);
}
static void (*vfs_dl_sym(sqlite3_vfs *vfs, void *library, const char *symbol))(void) {
  return base_of(vfs)->xDlSym(base_of(vfs), library, symbol);
}
static void vfs_dl_close(sqlite3_vfs *vfs, void *library) { base_of(vfs)->xDlClose(base_of(vfs), library); }
static int vfs_randomness(sqlite3_vfs *vfs, int length, char *out) {
  return base_of(vfs)->xRandomness(base_of(vfs), length, out);
}
static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) { return base_of(vfs)->xSleep(base_of(vfs), microseconds); }
static int vfs_current_time(sqlite3_vfs *vfs, double *time) {
  return base_of(vfs)->xCurrentTime(base_of(vfs), time);
}
static int vfs_last_error(sqlite3_vfs *vfs, int length, char *text) {
  return base_of(vfs)->xGetLastError(base_of(vfs), length, text);
}
static int vfs_current_time64(sqlite3_vfs *vfs, sqlite3_int64 *time) {
  return base_of(vfs)->xCurrentTimeInt64(base_of(vfs), time);
}

bool cev_is_encrypted(sqlite3 *connection) {
  sqlite3_vfs *vfs = NULL;
  int result = sqlite3_file_control(connection, "main", SQLITE_FCNTL_VFS_POINTER, &vfs);
  return result == SQLITE_OK && vfs != NULL && vfs->xOpen == vfs_open;
}

// SQLite runs this on every connection that is opened. The reserved bytes must be asked for before a database is created; with
// secure_delete SQLite writes free pages too, so that a page that was never sealed is always damage.
static int prepare_connection(sqlite3 *connection, char **error, const struct sqlite3_api_routines *api) {
  (void)error, (void)api;
  int reserved = CEV_RESERVED_LENGTH;
  if (!cev_is_encrypted(connection)) return SQLITE_OK;
  int result = sqlite3_file_control(connection, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  return result == SQLITE_OK ? sqlite3_exec(connection, "PRAGMA secure_delete = ON", NULL, NULL, NULL) : result;
}

// Paths name the VFS (`file:…?vfs=name`), so URIs must be understood; Debian's SQLite does by default.
static int prepare_sqlite(void) {
  if (!sqlite3_compileoption_used("USE_URI") && sqlite3_config(SQLITE_CONFIG_URI, 1) != SQLITE_OK) return SQLITE_ERROR;
  int result = sqlite3_initialize();
  return result == SQLITE_OK ? sqlite3_auto_extension((void (*)(void))prepare_connection) : result;
}

static pthread_mutex_t registering = PTHREAD_MUTEX_INITIALIZER;

static int register_locked(CEVVFS *vfs, const char *base) {
  int result = prepare_sqlite();
  if (result != SQLITE_OK) return result;
  if (sqlite3_vfs_find(vfs->name) != NULL) return SQLITE_MISUSE;
  vfs->base = sqlite3_vfs_find(base);
  if (vfs->base == NULL || vfs->base->iVersion < 2) return SQLITE_ERROR;
  int memory = cev_memory_size();
  int disk = (int)sizeof(CEVFile) + vfs->base->szOsFile;
  vfs->vfs = (sqlite3_vfs){
      .iVersion = 2,
      .szOsFile = disk > memory ? disk : memory,
      .mxPathname = vfs->base->mxPathname,
      .zName = vfs->name,
      .pAppData = vfs,
      .xOpen = vfs_open,
      .xDelete = vfs_delete,
      .xAccess = vfs_access,
      .xFullPathname = vfs_full_pathname,
      .xDlOpen = vfs_dl_open,
      .xDlError = vfs_dl_error,
      .xDlSym = vfs_dl_sym,
      .xDlClose = vfs_dl_close,
      .xRandomness = vfs_randomness,
      .xSleep = vfs_sleep,
      .xCurrentTime = vfs_current_time,
      .xGetLastError = vfs_last_error,
      .xCurrentTimeInt64 = vfs_current_time64,
  };
  return sqlite3_vfs_register(&vfs->vfs, 0);
}

int cev_vfs_register(const char *name, const char *base, CEVKeyRing *ring, CEVVFS **out) {
  *out = NULL;
  CEVVFS *vfs = calloc(1, sizeof *vfs);
  if (vfs == NULL) return SQLITE_NOMEM;
  if (strlen(name) >= sizeof vfs->name) {
    free(vfs);
    return SQLITE_TOOBIG;
  }
  strcpy(vfs->name, name);
  vfs->ring = cev_ring_retain(ring);
  pthread_mutex_lock(&registering);
  int result = register_locked(vfs, base);
  pthread_mutex_unlock(&registering);
  if (result != SQLITE_OK) {
    cev_ring_release(ring);
    free(vfs);
    return result;
  }
  *out = vfs;
  return SQLITE_OK;
}

int cev_vfs_unregister(CEVVFS *vfs) {
  if (atomic_load(&vfs->open_files) != 0) return SQLITE_BUSY;
  int result = sqlite3_vfs_unregister(&vfs->vfs);
  if (result != SQLITE_OK) return result;
  cev_ring_release(vfs->ring);
  free(vfs);
  return SQLITE_OK;
}
