// Encrypting the database file anew, a batch of pages at a time, while it is in use.
//
// The content of a page does not change, so nothing that SQLite knows becomes wrong; only its bytes on disk do, and they are
// overwritten in place. Who else could write them: a checkpoint, which this step keeps out by SQLite's own checkpoint lock.
// Who could read them meanwhile: anybody, who then sees half of each page, notices (it does not authenticate) and reads
// again, see database.c. What a loss of power could tear: the page being overwritten, so the batch is first written to
// "<database>-rekey" and made durable. Mending replaces a page only if it does not authenticate, by a record that does, so a
// file that was left over, however old, can do no harm: what a checkpoint tears later is repaired by SQLite from the WAL.
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

// https://www.sqlite.org/walformat.html#wal_locks
#define WAL_CHECKPOINT_LOCK 1
// Trailers looked at in one step, so that a step is short where nothing is left to do.
#define SCAN_LIMIT 16384

enum { RECORD = 4 + CEV_PAGE };  // page number, sealed page

// The file beside the database, reached through the VFS below as all files, and locked against other processes and
// connections: it is mended from by one at a time, and not while a step fills it.
typedef struct {
  char *path;
  sqlite3_file *real;
  int lock;
} Side;

static char *side_path(const CEVFile *file) { return sqlite3_mprintf("%s-rekey", file->path); }

static void side_close(Side *side) {
  if (side->real != NULL && side->real->pMethods != NULL) side->real->pMethods->xClose(side->real);
  free(side->real);
  if (side->lock >= 0) close(side->lock);
  sqlite3_free(side->path);
}

static int lock_exclusively(Side *side) {
  side->lock = open(side->path, O_RDWR | O_CLOEXEC);
  if (side->lock < 0) return SQLITE_CANTOPEN;
  int result;
  do result = flock(side->lock, LOCK_EX);
  while (result != 0 && errno == EINTR);
  return result == 0 ? SQLITE_OK : SQLITE_IOERR_LOCK;
}

// The kind of a journal gives it the database's mode, and lets its first sync be one of the directory too.
static int side_open(CEVFile *file, int flags, Side *side) {
  sqlite3_vfs *base = file->vfs->base;
  *side = (Side){side_path(file), calloc(1, (size_t)base->szOsFile), -1};
  if (side->path == NULL || side->real == NULL) return SQLITE_NOMEM;
  flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_MAIN_JOURNAL;
  int result = base->xOpen(base, side->path, side->real, flags, NULL);
  return result == SQLITE_OK ? lock_exclusively(side) : result;
}

static int side_empty(Side *side) { return side->real->pMethods->xTruncate(side->real, 0); }

static int exists_with_content(CEVFile *file, int *answer) {
  *answer = 0;
  char *path = side_path(file);
  if (path == NULL) return SQLITE_NOMEM;
  sqlite3_vfs *base = file->vfs->base;
  int result = base->xAccess(base, path, SQLITE_ACCESS_EXISTS, answer);  // to SQLite an empty file does not exist
  sqlite3_free(path);
  return result;
}

bool cev_rekey_underway(CEVFile *file) {
  int answer;
  return exists_with_content(file, &answer) == SQLITE_OK && answer != 0;
}

// A page that is as the step left it is written once more: if the step's sync failed, nobody knows whether it is on the disk.
static int mend_page(CEVFile *file, const uint8_t *record) {
  uint32_t page = cev_get32(record);
  sqlite3_int64 offset = (sqlite3_int64)page * CEV_PAGE;
  int result = cev_real_read(file, file->buffer, CEV_PAGE, offset);
  if (result == SQLITE_IOERR_SHORT_READ) return SQLITE_OK;  // the database has become shorter since
  if (result != SQLITE_OK) return result;
  bool is_new = memcmp(file->buffer, record + 4, CEV_PAGE) == 0;
  if (!is_new && cev_page_open(file, page, file->buffer) == CEV_OK) return SQLITE_OK;
  memcpy(file->buffer, record + 4, CEV_PAGE);
  if (cev_page_open(file, page, file->buffer) != CEV_OK) return SQLITE_OK;
  if (!is_new) {
    sqlite3_log(SQLITE_NOTICE, "page %u of %s was torn while it was encrypted anew: mended", page, file->path);
  }
  return cev_real_write(file, record + 4, CEV_PAGE, offset);
}

static int mend_from(CEVFile *file, Side *side) {
  sqlite3_int64 size = 0;
  int result = side->real->pMethods->xFileSize(side->real, &size);
  uint8_t record[RECORD];
  for (sqlite3_int64 at = 0; result == SQLITE_OK && at + RECORD <= size; at += RECORD) {
    result = side->real->pMethods->xRead(side->real, record, RECORD, at);
    if (result == SQLITE_OK) result = mend_page(file, record);
  }
  memset(file->buffer, 0, sizeof file->buffer);
  if (result == SQLITE_OK && size > 0) {
    result = file->real->pMethods->xSync(file->real, SQLITE_SYNC_NORMAL);
    if (result == SQLITE_OK) result = side_empty(side);
  }
  return result;
}

int cev_rekey_mend(CEVFile *file) {
  int exists = 0;
  int result = file->identified ? exists_with_content(file, &exists) : SQLITE_OK;
  if (result != SQLITE_OK || !exists) return result;
  Side side;
  result = side_open(file, 0, &side);
  if (result == SQLITE_OK) result = mend_from(file, &side);
  side_close(&side);
  // Another connection may just have ended its rekey and removed the file.
  if (result == SQLITE_CANTOPEN && exists_with_content(file, &exists) == SQLITE_OK && !exists) return SQLITE_OK;
  return result;
}

// Collects up to CEV_REKEY_BATCH pages that are not under the newest key, sealed anew.
static int collect(CEVFile *file, CEVRekeyStep *step, uint8_t *records) {
  const CEVKey *newest = cev_ring_newest(file->vfs->ring);
  if (newest == NULL) return SQLITE_MISUSE;
  uint32_t page = step->next_page == 0 ? 1 : step->next_page;
  for (int scanned = 0; page <= step->page_count && scanned < SCAN_LIMIT; page++, scanned++) {
    if (step->rewritten == CEV_REKEY_BATCH) break;
    uint8_t trailer[CEV_TRAILER];
    sqlite3_int64 offset = (sqlite3_int64)page * CEV_PAGE;
    int result = cev_real_read(file, trailer, CEV_TRAILER, offset + CEV_BODY);
    if (result != SQLITE_OK) return result;
    if (cev_trailer_key_id(trailer) == newest->id && cev_trailer_check(file->vfs->ring, trailer) == CEV_OK) continue;

    uint8_t *record = records + (size_t)step->rewritten * RECORD;
    cev_put32(record, page);
    result = cev_real_read(file, record + 4, CEV_PAGE, offset);
    if (result != SQLITE_OK) return result;
    // A hole: a checkpoint that a reader's snapshot kept from copying all has written pages behind this one, whose only
    // content is still in the WAL. Or the page where SQLite has its locks and stores nothing.
    if (cev_is_zero(record + 4, CEV_PAGE)) continue;
    CEVStatus status = cev_page_open(file, page, record + 4);
    if (status == CEV_OK) status = cev_page_seal(file, page, record + 4);
    if (status != CEV_OK) return cev_report(status, file, "page", page);
    step->rewritten++;
  }
  step->next_page = page;
  return SQLITE_OK;
}

static int overwrite(CEVFile *file, Side *side, const uint8_t *records, uint32_t count) {
  const sqlite3_io_methods *methods = side->real->pMethods;
  int result = side_empty(side);
  for (uint32_t i = 0; result == SQLITE_OK && i < count; i++) {
    result = methods->xWrite(side->real, records + (size_t)i * RECORD, RECORD, (sqlite3_int64)i * RECORD);
  }
  if (result == SQLITE_OK) result = methods->xSync(side->real, SQLITE_SYNC_NORMAL);
  for (uint32_t i = 0; result == SQLITE_OK && i < count; i++) {
    const uint8_t *record = records + (size_t)i * RECORD;
    result = cev_real_write(file, record + 4, CEV_PAGE, (sqlite3_int64)cev_get32(record) * CEV_PAGE);
  }
  if (result == SQLITE_OK) result = file->real->pMethods->xSync(file->real, SQLITE_SYNC_NORMAL);
  // After a failure the file stays, and the next step or open mends from it.
  return result == SQLITE_OK ? side_empty(side) : result;
}

static int replace(CEVFile *file, const uint8_t *records, uint32_t count) {
  Side side;
  int result = side_open(file, SQLITE_OPEN_CREATE, &side);
  if (result == SQLITE_OK) result = overwrite(file, &side, records, count);
  side_close(&side);
  return result;
}

static void remove_side(CEVFile *file) {
  char *path = side_path(file);
  sqlite3_vfs *base = file->vfs->base;
  if (path != NULL) base->xDelete(base, path, 0);  // what is left over is empty and does no harm
  sqlite3_free(path);
}

static int step_locked(CEVFile *file, CEVRekeyStep *step) {
  sqlite3_int64 size = 0;
  int result = cev_rekey_mend(file);
  if (result == SQLITE_OK) result = cev_real_size(file, &size);
  if (result != SQLITE_OK) return result;
  step->page_count = size > CEV_HEADER_BLOCK ? (uint32_t)((size - CEV_HEADER_BLOCK) / CEV_PAGE) : 0;
  uint8_t *records = malloc((size_t)CEV_REKEY_BATCH * RECORD);
  if (records == NULL) return SQLITE_NOMEM;
  uint32_t first = step->next_page;
  result = collect(file, step, records);
  if (result == SQLITE_OK && step->rewritten > 0) result = replace(file, records, step->rewritten);
  if (result != SQLITE_OK) step->next_page = first;
  cev_wipe(records, (size_t)CEV_REKEY_BATCH * RECORD);
  free(records);
  if (result == SQLITE_OK && step->next_page > step->page_count) remove_side(file);
  return result;
}

int cev_rekey_control(CEVFile *file, CEVRekeyStep *step) {
  step->rewritten = 0;
  if (file->index == NULL || !file->identified) return SQLITE_MISUSE;
  const sqlite3_io_methods *below = file->real->pMethods;
  int result =
      below->xShmLock(file->real, WAL_CHECKPOINT_LOCK, 1, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE);
  if (result != SQLITE_OK) return result;
  result = step_locked(file, step);
  below->xShmLock(file->real, WAL_CHECKPOINT_LOCK, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
  return result;
}

int cev_rekey_step(sqlite3 *connection, CEVRekeyStep *step) {
  if (!cev_is_encrypted(connection)) return SQLITE_MISUSE;
  return sqlite3_file_control(connection, "main", CEV_FCNTL_REKEY, step);
}
