// Replays a log up to a power cut, as a disk that keeps what was synced and any part of the rest.
#include "internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512

typedef struct {
  uint8_t *bytes;  // durable
  int64_t size, capacity;
  int64_t *pending;  // events that no sync has covered, in their order
  int64_t pending_count, pending_capacity;
  bool is_entered;    // its directory entry exists for the process,
  bool is_durable;    // and on the disk
} Inode;

typedef struct {
  const Log *log;
  Inode *inodes;
  uint64_t random;
  bool failed;
} Replay;

// SplitMix64.
static uint64_t next_random(Replay *replay) {
  uint64_t value = replay->random += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

// Whether something that was not synced survives. `percent` differs from cut to cut, so that there are cuts that lose little and
// cuts that lose much.
static bool survives(Replay *replay, FaultyDiskSurvival survival, int percent) {
  if (survival != FAULTY_SURVIVES_SOME) return survival == FAULTY_SURVIVES_EVERYTHING;
  return (int)(next_random(replay) % 100) < percent;
}

static void resize(Replay *replay, Inode *inode, int64_t size) {
  if (size > inode->capacity) {
    int64_t capacity = size + size / 2;
    uint8_t *bytes = realloc(inode->bytes, (size_t)capacity);
    if (bytes == NULL) {
      replay->failed = true;
      return;
    }
    inode->bytes = bytes;
    inode->capacity = capacity;
  }
  if (size > inode->size) memset(inode->bytes + inode->size, 0, (size_t)(size - inode->size));
  inode->size = size;
}

static void put(Replay *replay, Inode *inode, const Event *event, int64_t from, int64_t to) {
  if (to > inode->size) resize(replay, inode, to);
  if (!replay->failed) memcpy(inode->bytes + from, event->bytes + (from - event->offset), (size_t)(to - from));
}

static void apply(Replay *replay, Inode *inode, const Event *event, FaultyDiskSurvival survival, int percent) {
  if (event->kind == LOG_TRUNCATE) {
    if (survives(replay, survival, percent)) resize(replay, inode, event->offset);
    return;
  }
  int64_t end = event->offset + event->length;
  for (int64_t from = event->offset; from < end && !replay->failed;) {
    int64_t to = (from / SECTOR + 1) * SECTOR;
    if (to > end) to = end;
    if (survives(replay, survival, percent)) put(replay, inode, event, from, to);
    from = to;
  }
}

// Decides the fate of the pending events before `covered`.
static void settle(Replay *replay, Inode *inode, int64_t covered, FaultyDiskSurvival survival) {
  static const int chances[] = {5, 50, 95};
  int percent = chances[next_random(replay) % 3];
  int64_t kept = 0;
  for (int64_t i = 0; i < inode->pending_count; i++) {
    int64_t place = inode->pending[i];
    if (place < covered) apply(replay, inode, &replay->log->events[place], survival, percent);
    else inode->pending[kept++] = place;
  }
  inode->pending_count = kept;
}

static void postpone(Replay *replay, Inode *inode, int64_t place) {
  if (inode->pending_count == inode->pending_capacity) {
    int64_t capacity = inode->pending_capacity == 0 ? 64 : inode->pending_capacity * 2;
    int64_t *pending = realloc(inode->pending, (size_t)capacity * sizeof *pending);
    if (pending == NULL) {
      replay->failed = true;
      return;
    }
    inode->pending = pending;
    inode->pending_capacity = capacity;
  }
  inode->pending[inode->pending_count++] = place;
}

static void replay_event(Replay *replay, int64_t place) {
  const Event *event = &replay->log->events[place];
  Inode *inode = &replay->inodes[event->inode];
  switch (event->kind) {
    case LOG_CREATE:
      inode->is_entered = true;
      if (event->length == 0) break;
      inode->is_durable = true;
      put(replay, inode, event, 0, event->length);
      break;
    case LOG_WRITE:
    case LOG_TRUNCATE: postpone(replay, inode, place); break;
    case LOG_SYNC: settle(replay, inode, event->offset, FAULTY_SURVIVES_EVERYTHING); break;
    // The kernel has forgotten that these bytes are not on the disk.
    case LOG_SYNC_FAILED: settle(replay, inode, place, FAULTY_SURVIVES_SOME); break;
    case LOG_DELETE: inode->is_entered = false; break;
    case LOG_SYNC_DIRECTORY:
      for (int i = 0; i < replay->log->inodes; i++) replay->inodes[i].is_durable = replay->inodes[i].is_entered;
      break;
  }
}

static bool write_file(const Inode *inode, const char *directory, const char *name) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) return false;
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  bool good = true;
  for (int64_t done = 0; good && done < inode->size;) {
    ssize_t count = write(file, inode->bytes + done, (size_t)(inode->size - done));
    good = count > 0;
    if (good) done += count;
  }
  return close(file) == 0 && good;
}

// A name whose entry was not synced leads to the file before or the file after; the later inode is written last.
static bool finish(Replay *replay, FaultyDiskSurvival survival, const char *directory) {
  for (int i = 0; i < replay->log->inodes; i++) {
    Inode *inode = &replay->inodes[i];
    settle(replay, inode, INT64_MAX, survival);
    bool exists = inode->is_durable;
    if (inode->is_entered != inode->is_durable && survives(replay, survival, 50)) exists = inode->is_entered;
    if (exists && (replay->failed || !write_file(inode, directory, replay->log->names[i]))) return false;
  }
  return true;
}

int log_rebuild(const Log *log, int64_t position, FaultyDiskSurvival survival, uint64_t seed, const char *directory) {
  if (log->failed) return SQLITE_NOMEM;
  Replay replay = {log, calloc((size_t)log->inodes + 1, sizeof(Inode)), seed, false};
  if (replay.inodes == NULL) return SQLITE_NOMEM;
  if (position > log->count) position = log->count;
  for (int64_t place = 0; place < position; place++) replay_event(&replay, place);
  bool good = finish(&replay, survival, directory);
  for (int i = 0; i < log->inodes; i++) {
    free(replay.inodes[i].bytes);
    free(replay.inodes[i].pending);
  }
  free(replay.inodes);
  return replay.failed ? SQLITE_NOMEM : good ? SQLITE_OK : SQLITE_IOERR;
}
