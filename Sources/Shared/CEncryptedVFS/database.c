// The database file: the header block, then each page at its number times 4096.
#include "internal.h"

#include <time.h>

static sqlite3_int64 place_of(uint32_t page) { return (sqlite3_int64)page * CEV_PAGE; }

int cev_database_identify(CEVFile *file) {
  if (file->identified) return SQLITE_OK;
  sqlite3_int64 size = 0;
  CEVHeader header;
  int result = cev_real_size(file, &size);
  if (result == SQLITE_OK) result = cev_header_read(file->real, size, &header, file->identity);
  if (result != SQLITE_OK) return result;
  if (header != CEV_HEADER_VALID && header != CEV_HEADER_ABSENT) return SQLITE_NOTADB;
  file->identified = header == CEV_HEADER_VALID;
  return SQLITE_OK;
}

// Gives an empty file its identity; SQLite holds the exclusive lock when it writes the first page.
static int create_header(CEVFile *file) {
  int result = cev_database_identify(file);
  if (result != SQLITE_OK || file->identified) return result;
  uint8_t block[CEV_HEADER_BLOCK];
  if (!cev_random(file->identity, CEV_IDENTITY) || !cev_header_make(file->identity, block)) return SQLITE_IOERR_WRITE;
  result = cev_real_write(file, block, CEV_HEADER_BLOCK, 0);
  // Durable before any page, so that a page without a header is damage and never a crash.
  if (result == SQLITE_OK) result = file->real->pMethods->xSync(file->real, SQLITE_SYNC_NORMAL);
  file->identified = result == SQLITE_OK;
  return result;
}

CEVStatus cev_page_open(CEVFile *file, uint32_t page, uint8_t *bytes) {
  CEVPlace place = {CEV_IN_DATABASE, file->identity, page, NULL};
  CEVStatus status = cev_open(&file->opener, file->vfs->ring, &place, bytes, CEV_BODY, bytes + CEV_BODY);
  memset(bytes + CEV_BODY, 0, CEV_TRAILER);
  return status;
}

CEVStatus cev_page_seal(CEVFile *file, uint32_t page, uint8_t *bytes) {
  CEVPlace place = {CEV_IN_DATABASE, file->identity, page, NULL};
  return cev_seal(&file->sealer, file->vfs->ring, &place, bytes, CEV_BODY, bytes + CEV_BODY);
}

// Page 1 of a database without pages reads as zeros with SQLITE_IOERR_SHORT_READ, as SQLite expects. Any other page past the
// end is one that the file has lost: with secure_delete SQLite writes every page that it counts, and it takes what it cannot
// read for zeros.
static int read_page_once(CEVFile *file, uint32_t page, uint8_t *bytes, CEVStatus *status) {
  *status = CEV_OK;
  int result = cev_real_read(file, bytes, CEV_PAGE, place_of(page));
  if (result == SQLITE_OK) {
    *status = cev_page_open(file, page, bytes);
  } else if (result == SQLITE_IOERR_SHORT_READ) {
    sqlite3_int64 size = 0;
    int sized = cev_real_size(file, &size);
    if (sized != SQLITE_OK) return sized;
    memset(bytes, 0, CEV_PAGE);
    if (page == 1 && size <= CEV_HEADER_BLOCK) return result;
    *status = CEV_DAMAGED;
    return SQLITE_OK;
  }
  return result;
}

static int read_page(CEVFile *file, uint32_t page, uint8_t *bytes) {
  int result = cev_database_identify(file);
  if (result != SQLITE_OK) return result;
  if (!file->identified) {
    memset(bytes, 0, CEV_PAGE);
    return SQLITE_IOERR_SHORT_READ;
  }
  CEVStatus status;
  result = read_page_once(file, page, bytes, &status);
  // A rekey step overwrites pages while others read, and a read may see half of such a write. The writer may lose its
  // processor just there, so the patience is a second.
  long pause = 200000;
  for (int attempt = 0; result == SQLITE_OK && status == CEV_DAMAGED && attempt < 100; attempt++) {
    if (attempt > 0) {
      if (!cev_rekey_underway(file)) break;
      nanosleep(&(struct timespec){0, pause}, NULL);
      if (pause < 10000000) pause *= 2;
    }
    result = read_page_once(file, page, bytes, &status);
  }
  return result == SQLITE_OK ? cev_report(status, file, "page", page) : result;
}

// When SQLite opens a database it reads the start of page 1 for the page's format, before it looks at the WAL. If a crash tore
// that page in a checkpoint, the whole one is in the WAL, so the format is told in its place: it is the same in every file.
// All else is zero, and SQLite reads the page itself before it uses more of it.
// https://www.sqlite.org/fileformat2.html#the_database_header
enum { DATABASE_HEADER = 100 };
static void tell_format(uint8_t *bytes) {
  memset(bytes, 0, DATABASE_HEADER);
  memcpy(bytes, "SQLite format 3", 16);
  bytes[16] = CEV_PAGE >> 8;
  bytes[18] = bytes[19] = 2;  // WAL
  bytes[20] = CEV_TRAILER;
}

// SQLite reads whole pages, and parts of page 1 before it knows the page size.
static int database_read(sqlite3_file *handle, void *bytes, int amount, sqlite3_int64 offset) {
  CEVFile *file = cev_file(handle);
  uint32_t page = (uint32_t)(offset / CEV_PAGE) + 1;
  int within = (int)(offset % CEV_PAGE);
  if (amount > CEV_PAGE - within) return SQLITE_IOERR_READ;
  if (amount == CEV_PAGE) return read_page(file, page, bytes);
  int result = read_page(file, page, file->buffer);
  if (result == SQLITE_IOERR_DATA && offset == 0 && amount == DATABASE_HEADER) {
    tell_format(bytes);
    return SQLITE_OK;
  }
  memcpy(bytes, file->buffer + within, (size_t)amount);
  return result;
}

static int write_page(CEVFile *file, uint32_t page, const uint8_t *bytes) {
  memcpy(file->buffer, bytes, CEV_BODY);
  CEVStatus status = cev_page_seal(file, page, file->buffer);
  if (status != CEV_OK) return cev_report(status, file, "page", page);
  return cev_real_write(file, file->buffer, CEV_PAGE, place_of(page));
}

static int database_write(sqlite3_file *handle, const void *bytes, int amount, sqlite3_int64 offset) {
  CEVFile *file = cev_file(handle);
  if (amount != CEV_PAGE || offset % CEV_PAGE != 0) {
    sqlite3_log(SQLITE_IOERR_WRITE, "%s: the encrypting VFS needs pages of 4096 bytes", file->path);
    return SQLITE_IOERR_WRITE;
  }
  uint32_t page = (uint32_t)(offset / CEV_PAGE) + 1;
  const uint8_t *content = bytes;
  // The database header's page size (16) and reserved bytes (20), https://www.sqlite.org/fileformat2.html#the_database_header
  if (page == 1 && (content[16] != CEV_PAGE >> 8 || content[17] != 0 || content[20] != CEV_TRAILER)) {
    sqlite3_log(SQLITE_IOERR_WRITE, "%s: the encrypting VFS needs 48 reserved bytes a page of 4096", file->path);
    return SQLITE_IOERR_WRITE;
  }
  cev_pace(file);
  int result = create_header(file);
  if (result == SQLITE_OK) result = cev_mark_checkpoint(file);
  return result == SQLITE_OK ? write_page(file, page, content) : result;
}

static int database_size(sqlite3_file *handle, sqlite3_int64 *size) {
  int result = cev_real_size(cev_file(handle), size);
  if (result == SQLITE_OK) *size = *size > CEV_HEADER_BLOCK ? *size - CEV_HEADER_BLOCK : 0;
  return result;
}

static int database_truncate(sqlite3_file *handle, sqlite3_int64 size) {
  CEVFile *file = cev_file(handle);
  int result = cev_database_identify(file);
  if (result != SQLITE_OK || !file->identified) return result;  // nothing there to cut
  if (size == 0) file->identified = false;                      // what comes next is another database
  return cev_file_truncate(handle, size + CEV_HEADER_BLOCK);
}

// The WAL index: page numbers and locks, shared with every process that uses the store.

static int shm_map(sqlite3_file *handle, int region, int length, int extend, void volatile **address) {
  CEVFile *file = cev_file(handle);
  int result = file->real->pMethods->xShmMap(file->real, region, length, extend, address);
  if (result == SQLITE_OK && region == 0) file->index = (const volatile uint8_t *)*address;
  return result;
}

static int shm_lock(sqlite3_file *handle, int offset, int count, int flags) {
  CEVFile *file = cev_file(handle);
  return file->real->pMethods->xShmLock(file->real, offset, count, flags);
}

static void shm_barrier(sqlite3_file *handle) {
  CEVFile *file = cev_file(handle);
  file->real->pMethods->xShmBarrier(file->real);
}

static int shm_unmap(sqlite3_file *handle, int remove) {
  CEVFile *file = cev_file(handle);
  file->index = NULL;
  return file->real->pMethods->xShmUnmap(file->real, remove);
}

// Version 2: there is no xFetch, so SQLite never maps the file.
const sqlite3_io_methods cev_database_methods = {
    2, cev_file_close, database_read, database_write, database_truncate, cev_file_sync, database_size, cev_file_lock,
    cev_file_unlock, cev_file_check_reserved_lock, cev_file_control, cev_file_sector_size, cev_file_characteristics,
    shm_map, shm_lock, shm_barrier, shm_unmap, NULL, NULL,
};
