// The rollback journal: page images are sealed, the rest holds no content. https://www.sqlite.org/fileformat2.html#the_rollback_journal
//
// With POWERSAFE_OVERWRITE a journal header has 512 bytes, so what has the length of a page is a page.
#include "internal.h"

static int journal_read(sqlite3_file *handle, void *bytes, int amount, sqlite3_int64 offset) {
  CEVFile *file = cev_file(handle);
  int result = cev_real_read(file, bytes, amount, offset);
  if (result != SQLITE_OK || amount != CEV_PAGE) return result;
  result = cev_database_identify(file->database);
  if (result != SQLITE_OK) return result;
  uint8_t *page = bytes;
  CEVPlace place = {CEV_IN_JOURNAL, file->database->identity, (uint64_t)offset, NULL};
  CEVStatus status = cev_open(&file->opener, file->vfs->ring, &place, page, CEV_BODY, page + CEV_BODY);
  memset(page + CEV_BODY, 0, CEV_TRAILER);
  // SQLite counts records in the header only once they are durable, so one that it reads back must be whole.
  return cev_report(status, file, "journal record at", offset);
}

static int journal_write(sqlite3_file *handle, const void *bytes, int amount, sqlite3_int64 offset) {
  CEVFile *file = cev_file(handle);
  if (amount != CEV_PAGE) return cev_real_write(file, bytes, amount, offset);
  int result = cev_database_identify(file->database);
  if (result != SQLITE_OK) return result;
  if (!file->database->identified) return SQLITE_IOERR_WRITE;  // an empty database has no page to keep
  memcpy(file->buffer, bytes, CEV_BODY);
  CEVPlace place = {CEV_IN_JOURNAL, file->database->identity, (uint64_t)offset, NULL};
  CEVStatus status =
      cev_seal(&file->sealer, file->vfs->ring, &place, file->buffer, CEV_BODY, file->buffer + CEV_BODY);
  if (status != CEV_OK) return cev_report(status, file, "journal record at", offset);
  return cev_real_write(file, file->buffer, CEV_PAGE, offset);
}

const sqlite3_io_methods cev_journal_methods = {
    1, cev_file_close, journal_read, journal_write, cev_file_truncate, cev_file_sync, cev_file_size, cev_file_lock,
    cev_file_unlock, cev_file_check_reserved_lock, cev_file_control, cev_file_sector_size, cev_file_characteristics,
    NULL, NULL, NULL, NULL, NULL, NULL,
};
