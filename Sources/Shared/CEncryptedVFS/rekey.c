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
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// https://www.sqlite.org/walformat.html#wal_locks
#define WAL_CHECKPOINT_LOCK 1
// Trailers looked at in one step, so that a step is short where nothing is left to do.
#define SCAN_LIMIT 16384
#define PENDING_BYTE_PAGE (0x40000000 / CEV_PAGE + 1)  // SQLite stores nothing there

enum { RECORD = 4 + CEV_PAGE };  // page number, sealed page

static char *side_path(const CEVFile *file) { return sqlite3_mprintf("%s-rekey", file->path); }

static bool read_whole(int fd, uint8_t *bytes, size_t length, off_t offset) {
  for (size_t done = 0; done < length;) {
    ssize_t n = pread(fd, bytes + done, length - done, offset + (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

static bool write_whole(int fd, const uint8_t *bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t n = pwrite(fd, bytes + done, length - done, (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

static bool lock_exclusively(int fd) {
  int result;
  do result = flock(fd, LOCK_EX);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

static bool sync_directory_of(const char *path) {
  const char *slash = strrchr(path, '/');
  char *directory = slash == NULL ? sqlite3_mprintf(".") : sqlite3_mprintf("%.*s", (int)(slash - path) + 1, path);
  if (directory == NULL) return false;
  int fd = open(directory, O_RDONLY | O_CLOEXEC);
  sqlite3_free(directory);
  bool good = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  return good;
}

bool cev_rekey_underway(CEVFile *file) {
  char *path = side_path(file);
  struct stat status;
  bool underway = path != NULL && stat(path, &status) == 0 && status.st_size > 0;
  sqlite3_free(path);
  return underway;
}

static int mend_page(CEVFile *file, const uint8_t *record) {
  uint32_t page = cev_get32(record);
  sqlite3_int64 offset = (sqlite3_int64)page * CEV_PAGE;
  int result = cev_real_read(file, file->buffer, CEV_PAGE, offset);
  if (result == SQLITE_IOERR_SHORT_READ) return SQLITE_OK;  // the database has become shorter since
  if (result != SQLITE_OK || cev_page_open(file, page, file->buffer) == CEV_OK) return result;
  memcpy(file->buffer, record + 4, CEV_PAGE);
  if (cev_page_open(file, page, file->buffer) != CEV_OK) return SQLITE_OK;
  sqlite3_log(SQLITE_NOTICE, "page %u of %s was torn while it was encrypted anew: mended", page, file->path);
  return cev_real_write(file, record + 4, CEV_PAGE, offset);
}

static int mend_from(CEVFile *file, int fd) {
  struct stat status;
  if (!lock_exclusively(fd) || fstat(fd, &status) != 0) return SQLITE_IOERR;
  uint8_t record[RECORD];
  int result = SQLITE_OK;
  for (off_t at = 0; result == SQLITE_OK && at + RECORD <= status.st_size; at += RECORD) {
    result = read_whole(fd, record, RECORD, at) ? mend_page(file, record) : SQLITE_IOERR_READ;
  }
  memset(file->buffer, 0, sizeof file->buffer);
  if (result == SQLITE_OK && status.st_size > 0) {
    result = file->real->pMethods->xSync(file->real, SQLITE_SYNC_NORMAL);
    if (result == SQLITE_OK && ftruncate(fd, 0) != 0) result = SQLITE_IOERR_TRUNCATE;
  }
  return result;
}

int cev_rekey_mend(CEVFile *file) {
  if (!file->identified || !cev_rekey_underway(file)) return SQLITE_OK;
  char *path = side_path(file);
  if (path == NULL) return SQLITE_NOMEM;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  sqlite3_free(path);
  if (fd < 0) return errno == ENOENT ? SQLITE_OK : SQLITE_CANTOPEN;
  int result = mend_from(file, fd);
  close(fd);  // and with it the lock
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
    if (page == PENDING_BYTE_PAGE && cev_is_zero(record + 4, CEV_PAGE)) continue;
    CEVStatus status = cev_page_open(file, page, record + 4);
    if (status == CEV_OK) status = cev_page_seal(file, page, record + 4);
    if (status != CEV_OK) return cev_report(status, file, "page", page);
    step->rewritten++;
  }
  step->next_page = page;
  return SQLITE_OK;
}

static int overwrite(CEVFile *file, int fd, const uint8_t *records, uint32_t count) {
  if (!lock_exclusively(fd) || ftruncate(fd, 0) != 0) return SQLITE_IOERR;
  if (!write_whole(fd, records, (size_t)count * RECORD)) return errno == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  if (fsync(fd) != 0) return SQLITE_IOERR_FSYNC;
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *record = records + (size_t)i * RECORD;
    int result = cev_real_write(file, record + 4, CEV_PAGE, (sqlite3_int64)cev_get32(record) * CEV_PAGE);
    if (result != SQLITE_OK) return result;  // the next step or open mends
  }
  int result = file->real->pMethods->xSync(file->real, SQLITE_SYNC_NORMAL);
  if (result != SQLITE_OK) return result;
  return ftruncate(fd, 0) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

// Run by root, as SQLite does with its files: the service's user must be able to mend from it.
static void give_to_owner_of(const char *path, int fd) {
  struct stat status;
  if (geteuid() == 0 && stat(path, &status) == 0 && fchown(fd, status.st_uid, status.st_gid) != 0) {
    sqlite3_log(SQLITE_WARNING, "%s-rekey does not get the owner of %s", path, path);
  }
}

static int replace(CEVFile *file, const uint8_t *records, uint32_t count) {
  char *path = side_path(file);
  if (path == NULL) return SQLITE_NOMEM;
  int result = SQLITE_CANTOPEN;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0) {
    give_to_owner_of(file->path, fd);
    result = sync_directory_of(path) ? overwrite(file, fd, records, count) : SQLITE_IOERR_DIR_FSYNC;
    close(fd);
  }
  sqlite3_free(path);
  return result;
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
  if (result == SQLITE_OK && step->next_page > step->page_count) {
    char *path = side_path(file);
    if (path != NULL) unlink(path);
    sqlite3_free(path);
  }
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
