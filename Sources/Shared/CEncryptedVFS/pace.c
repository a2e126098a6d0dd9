// A checkpoint that leaves the processor to others.
#include "internal.h"

#include <time.h>

static int64_t nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void cev_pace(CEVFile *file) {
  if (file->rest == 0 || nanoseconds() - file->rested_at < file->rest) return;
  nanosleep(&(struct timespec){0, (long)file->rest}, NULL);
  file->rested_at = nanoseconds();
}

int cev_pace_set(CEVFile *file, int32_t nanoseconds) {
  if (nanoseconds < 0 || nanoseconds >= 1000000000) return SQLITE_MISUSE;
  file->rest = nanoseconds;
  return SQLITE_OK;
}

int cev_rest_between_pages(sqlite3 *connection, int32_t nanoseconds) {
  if (!cev_is_encrypted(connection)) return SQLITE_MISUSE;
  return sqlite3_file_control(connection, "main", CEV_FCNTL_PACE, &nanoseconds);
}
