// The write-ahead log. Format of the plaintext: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
#include "internal.h"

static sqlite3_int64 frame_at(sqlite3_int64 offset) {
  return offset - (offset - CEV_WAL_HEADER) % CEV_FRAME;
}

static CEVPlace place_of(CEVFile *file, sqlite3_int64 offset, const uint8_t *frame) {
  CEVPlace place = {CEV_IN_WAL, file->database->identity, (uint64_t)offset, frame};
  return place;
}

// The sealed region runs from the checksum in the frame header to the trailer.
enum { REGION = CEV_FRAME_HEADER - CEV_FRAME_CLEAR + CEV_BODY };

static CEVStatus open_frame(CEVFile *file, sqlite3_int64 offset, uint8_t *frame) {
  CEVPlace place = place_of(file, offset, frame);
  uint8_t *trailer = frame + CEV_FRAME_HEADER + CEV_BODY;
  CEVStatus status =
      cev_open(&file->opener, file->vfs->ring, &place, frame + CEV_FRAME_CLEAR, REGION, trailer);
  // As SQLite wrote them; its checksum covers them.
  memset(trailer, 0, CEV_TRAILER);
  return status;
}

// Recovery would end where somebody has cut the log, and what is written behind that place would be lost.
static int check_length(CEVFile *file, sqlite3_int64 offset) {
  if (file->length_checked) return SQLITE_OK;
  sqlite3_int64 size = 0;
  int result = cev_real_size(file, &size);
  if (result == SQLITE_OK && size < offset) {
    sqlite3_log(SQLITE_IOERR_WRITE, "%s was cut while in use", file->path);
    return SQLITE_IOERR_WRITE;
  }
  file->length_checked = result == SQLITE_OK;
  return result;
}

static int write_frame(CEVFile *file, sqlite3_int64 offset, uint8_t *frame) {
  int checked = check_length(file, offset);
  if (checked != SQLITE_OK) return checked;
  uint8_t *trailer = frame + CEV_FRAME_HEADER + CEV_BODY;
  // Other bytes than zeros would be lost and fail SQLite's checksum when the log is recovered.
  if (!cev_is_zero(trailer, CEV_TRAILER)) {
    sqlite3_log(SQLITE_IOERR_WRITE, "%s: a page without the 48 reserved bytes", file->path);
    return SQLITE_IOERR_WRITE;
  }
  CEVPlace place = place_of(file, offset, frame);
  CEVStatus status = cev_seal(&file->sealer, file->vfs->ring, &place, frame + CEV_FRAME_CLEAR, REGION, trailer);
  if (status != CEV_OK) return cev_report(status, file, "WAL frame at", offset);
  int result = cev_real_write(file, frame, CEV_FRAME, offset);
  if (result == SQLITE_OK) {
    if (file->own_end == 0 || offset < file->own_start) file->own_start = offset;
    if (offset + CEV_FRAME > file->own_end) file->own_end = offset + CEV_FRAME;
  }
  return result;
}

static bool is_own(const CEVFile *file, sqlite3_int64 offset) {
  return offset >= file->own_start && offset + CEV_FRAME <= file->own_end;
}

static int read_frame(CEVFile *file, sqlite3_int64 offset, uint8_t *frame, CEVStatus *status) {
  *status = CEV_OK;
  int result = cev_database_identify(file->database);
  if (result == SQLITE_OK) result = cev_real_read(file, frame, CEV_FRAME, offset);
  if (result == SQLITE_OK) *status = open_frame(file, offset, frame);
  return result;
}

// SQLite reads the header when it recovers the log.
static int read_log_header(CEVFile *file, uint8_t *header) {
  int result = cev_real_read(file, header, CEV_WAL_HEADER, 0);
  if (result == SQLITE_OK) result = cev_mark_required(file->database, header, &file->required_end);
  sqlite3_int64 size = 0;
  if (result == SQLITE_OK) result = cev_real_size(file, &size);
  if (result != SQLITE_OK || size >= file->required_end) return result;
  return cev_report(CEV_DAMAGED, file, "what should follow offset", size);
}

static int wal_read(sqlite3_file *handle, void *bytes, int amount, sqlite3_int64 offset) {
  CEVFile *file = cev_file(handle);
  if (offset == 0 && amount == CEV_WAL_HEADER) return read_log_header(file, bytes);
  if (offset < CEV_WAL_HEADER) return SQLITE_IOERR_READ;
  sqlite3_int64 start = frame_at(offset);
  int within = (int)(offset - start);
  if (amount > CEV_FRAME - within) return SQLITE_IOERR_READ;

  CEVStatus status;
  int result = read_frame(file, start, file->buffer, &status);
  bool whole = amount == CEV_FRAME;
  if (result == SQLITE_OK && status == CEV_DAMAGED && whole && !is_own(file, start) && start >= file->required_end) {
    // Only recovery reads whole frames of others: this is where the log ends.
    sqlite3_log(SQLITE_NOTICE_RECOVER_WAL, "%s ends before offset %lld: the frame there is not whole", file->path, start);
    memset(file->buffer, 0, CEV_FRAME);
    status = CEV_OK;
  }
  if (result == SQLITE_OK) result = cev_report(status, file, "WAL frame at", start);
  if (result == SQLITE_OK || result == SQLITE_IOERR_SHORT_READ) {
    memcpy(bytes, file->buffer + within, (size_t)amount);
  }
  return result;
}

// The header of a frame that this handle wrote before: SQLite corrects the checksums after it has overwritten a page within
// one transaction. Sealed anew at once, since no page follows.
static int rewrite_header(CEVFile *file, sqlite3_int64 offset, const uint8_t *header, bool *done) {
  CEVStatus status;
  int result = read_frame(file, offset, file->buffer, &status);
  if (result != SQLITE_OK && result != SQLITE_IOERR_SHORT_READ) return result;
  *done = result == SQLITE_OK && status == CEV_OK;
  if (!*done) return SQLITE_OK;  // another connection has begun the log anew, or a write was torn: the page follows
  memcpy(file->buffer, header, CEV_FRAME_HEADER);
  return write_frame(file, offset, file->buffer);
}

static int write_header(CEVFile *file, sqlite3_int64 offset, const uint8_t *header) {
  bool done = false;
  if (is_own(file, offset)) {
    int result = rewrite_header(file, offset, header, &done);
    if (result != SQLITE_OK || done) return result;
  }
  memcpy(file->pending_header, header, CEV_FRAME_HEADER);
  file->pending_offset = offset;
  file->pending = true;
  return SQLITE_OK;
}

static int write_content(CEVFile *file, sqlite3_int64 offset, const uint8_t *content) {
  if (file->pending && file->pending_offset == offset) {
    file->pending = false;
    memcpy(file->buffer, file->pending_header, CEV_FRAME_HEADER);
  } else {  // a page that changed again within its transaction: the header stays
    CEVStatus status;
    int result = read_frame(file, offset, file->buffer, &status);
    if (result == SQLITE_OK) result = cev_report(status, file, "WAL frame at", offset);
    if (result != SQLITE_OK) return result;
  }
  memcpy(file->buffer + CEV_FRAME_HEADER, content, CEV_PAGE);
  return write_frame(file, offset, file->buffer);
}

static int wal_write(sqlite3_file *handle, const void *bytes, int amount, sqlite3_int64 offset) {
  CEVFile *file = cev_file(handle);
  int result = cev_database_identify(file->database);
  if (result != SQLITE_OK) return result;
  if (!file->database->identified) return SQLITE_IOERR_WRITE;  // a database enters WAL mode by a write to its page 1
  if (offset == 0 && amount == CEV_WAL_HEADER) {
    file->pending = false;
    file->own_start = file->own_end = file->required_end = 0;
    return cev_real_write(file, bytes, amount, offset);
  }
  if (offset >= CEV_WAL_HEADER) {
    sqlite3_int64 start = frame_at(offset);
    if (offset == start && amount == CEV_FRAME_HEADER) return write_header(file, start, bytes);
    if (offset == start + CEV_FRAME_HEADER && amount == CEV_PAGE) return write_content(file, start, bytes);
  }
  sqlite3_log(SQLITE_IOERR_WRITE, "%s: %d bytes at %lld are no part of a WAL", file->path, amount, offset);
  return SQLITE_IOERR_WRITE;
}

// A commit is durable only if it can be found again: not in a file that was deleted or moved, which SQLite would go on
// writing.
static int wal_sync(sqlite3_file *handle, int flags) {
  CEVFile *file = cev_file(handle);
  if (!cev_file_is_in_place(file) || !cev_file_is_in_place(file->database)) {
    sqlite3_log(SQLITE_READONLY_DBMOVED, "%s or its database was moved or deleted while in use", file->path);
    return SQLITE_READONLY_DBMOVED;
  }
  file->length_checked = false;
  return cev_file_sync(handle, flags);
}

// Above zero this is SQLite's journal_size_limit: a log that was begun anew may shrink. The commit that begins it waits for
// that, and a file system takes long to give hundreds of megabytes back, so each time only a part is cut off.
static int largest_cut(CEVFile *file, sqlite3_int64 *size) {
  sqlite3_int64 now = 0;
  int result = cev_real_size(file, &now);
  if (result == SQLITE_OK && *size < now - CEV_WAL_CUT) *size = now - CEV_WAL_CUT;
  return result;
}

static int wal_truncate(sqlite3_file *handle, sqlite3_int64 size) {
  CEVFile *file = cev_file(handle);
  file->pending = false;
  int result = SQLITE_OK;
  if (size == 0) {
    file->own_start = file->own_end = file->required_end = 0;
  } else {
    result = largest_cut(file, &size);
  }
  if (result == SQLITE_OK) result = cev_file_truncate(handle, size);
  // SQLite needs no sync here: the frames do no harm if they come back. But they may be under a key that is then gone.
  return result == SQLITE_OK && size == 0 ? cev_file_sync(handle, SQLITE_SYNC_NORMAL) : result;
}

const sqlite3_io_methods cev_wal_methods = {
    1, cev_file_close, wal_read, wal_write, wal_truncate, wal_sync, cev_file_size, cev_file_lock, cev_file_unlock,
    cev_file_check_reserved_lock, cev_file_control, cev_file_sector_size, cev_file_characteristics,
    NULL, NULL, NULL, NULL, NULL, NULL,
};
