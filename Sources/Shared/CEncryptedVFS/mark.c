// The checkpoint mark: how much of the WAL the database may hold already.
//
// A WAL that lost its end would be recovered up to an earlier commit, and pages of that time would be read beside pages that
// a checkpoint has brought into the database since: a state that never was. So a checkpoint first notes in the header block
// which log it copies from (by the salts in the log's header) and how many of its frames; recovery of that log must then
// reach that frame. The note needs no sync: SQLite makes the frames durable before it copies the first of them, so a mark
// never asks for more than the disk has, and where a mark is lost only the protection is.
#include "internal.h"

enum { AT_MARK = 1024, SALTS = 8, DIGESTED = CEV_IDENTITY + SALTS + 4, LENGTH = SALTS + 4 + 32 };
// In the WAL index, https://www.sqlite.org/walformat.html#the_wal_index_file_format
enum { AT_INDEX_SALTS = 32, AT_BACKFILL_ATTEMPTED = 128 };
enum { AT_WAL_SALTS = 16 };

static bool digest(const uint8_t *identity, const uint8_t *mark, uint8_t out[32]) {
  uint8_t digested[DIGESTED];
  memcpy(digested, identity, CEV_IDENTITY);
  memcpy(digested + CEV_IDENTITY, mark, SALTS + 4);
  unsigned length = 0;
  return EVP_Digest(digested, DIGESTED, out, &length, EVP_sha256(), NULL) == 1;
}

int cev_mark_checkpoint(CEVFile *database) {
  if (database->index == NULL) return SQLITE_OK;
  uint8_t mark[LENGTH];
  for (int i = 0; i < SALTS; i++) mark[i] = database->index[AT_INDEX_SALTS + i];
  uint32_t frames = *(const volatile uint32_t *)(database->index + AT_BACKFILL_ATTEMPTED);
  cev_put32(mark + SALTS, frames);
  if (frames == 0 || memcmp(mark, database->mark, sizeof database->mark) == 0) return SQLITE_OK;
  if (!digest(database->identity, mark, mark + SALTS + 4)) return SQLITE_IOERR_WRITE;
  int result = cev_real_write(database, mark, LENGTH, AT_MARK);
  if (result == SQLITE_OK) memcpy(database->mark, mark, sizeof database->mark);
  return result;
}

int cev_mark_required(CEVFile *database, const uint8_t *wal_header, sqlite3_int64 *end) {
  *end = 0;
  int result = cev_database_identify(database);
  if (result != SQLITE_OK || !database->identified) return result;
  uint8_t mark[LENGTH], expected[32];
  result = cev_real_read(database, mark, LENGTH, AT_MARK);
  if (result != SQLITE_OK) return result;
  if (!digest(database->identity, mark, expected)) return SQLITE_IOERR_READ;
  bool is_of_this_log = memcmp(mark + SALTS + 4, expected, sizeof expected) == 0 &&
                        memcmp(mark, wal_header + AT_WAL_SALTS, SALTS) == 0;
  if (is_of_this_log) *end = CEV_WAL_HEADER + (sqlite3_int64)cev_get32(mark + SALTS) * CEV_FRAME;
  return SQLITE_OK;
}
