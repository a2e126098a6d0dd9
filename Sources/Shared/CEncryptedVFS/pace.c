// A checkpoint that leaves the processor to others.
#include "internal.h"

#include <time.h>

// A rest that takes this much longer than asked for: the machine is busy.
enum { LATE = 1000000 };

static int64_t nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void cev_pace(CEVFile *file) {
  if (file->rest == 0) return;
  int64_t time = nanoseconds();
  if (time - file->rested_at < file->stretch) return;
  nanosleep(&(struct timespec){0, (long)file->rest}, NULL);
  file->rested_at = nanoseconds();
  int64_t rested = file->rested_at - time;
  // On a busy machine each rest costs a turn. The work then goes on for as long, so that it gets done at all.
  file->stretch = rested < file->rest + LATE ? file->rest : rested;
}

int cev_pace_set(CEVFile *file, int32_t nanoseconds) {
  if (nanoseconds < 0 || nanoseconds >= 1000000000) return SQLITE_MISUSE;
  file->rest = file->stretch = nanoseconds;
  return SQLITE_OK;
}

int cev_rest_between_pages(sqlite3 *connection, int32_t nanoseconds) {
  if (!cev_is_encrypted(connection)) return SQLITE_MISUSE;
  return sqlite3_file_control(connection, "main", CEV_FCNTL_PACE, &nanoseconds);
}
