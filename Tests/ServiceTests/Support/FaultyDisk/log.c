// The log of what was done to the files.
#include "internal.h"

#include <stdlib.h>
#include <string.h>

Log *log_create(void) { return calloc(1, sizeof(Log)); }

void log_destroy(Log *log) {
  if (log == NULL) return;
  for (int64_t i = 0; i < log->count; i++) free(log->events[i].bytes);
  for (int i = 0; i < log->inodes; i++) free(log->names[i]);
  free(log->events);
  free(log);
}

static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

int log_find(const Log *log, const char *path) {
  for (int i = log->inodes - 1; i >= 0; i--) {
    if (log->is_linked[i] && strcmp(log->names[i], name_of(path)) == 0) return i;
  }
  return -1;
}

int log_create_file(Log *log, const char *path, const uint8_t *bytes, int64_t length) {
  char *name = strdup(name_of(path));
  if (name == NULL || log->inodes == MAXIMUM_FILES) {
    free(name);
    log->failed = true;
    return -1;
  }
  int inode = log->inodes++;
  log->names[inode] = name;
  log->is_linked[inode] = true;
  log_append(log, LOG_CREATE, inode, 0, bytes, length);
  return inode;
}

void log_append(Log *log, EventKind kind, int inode, int64_t offset, const void *bytes, int64_t length) {
  if (log->failed) return;
  if (log->count == log->capacity) {
    int64_t capacity = log->capacity == 0 ? 1024 : log->capacity * 2;
    Event *events = realloc(log->events, (size_t)capacity * sizeof *events);
    if (events == NULL) {
      log->failed = true;
      return;
    }
    log->events = events;
    log->capacity = capacity;
  }
  uint8_t *copy = NULL;
  if (length > 0) {
    copy = malloc((size_t)length);
    if (copy == NULL) {
      log->failed = true;
      return;
    }
    memcpy(copy, bytes, (size_t)length);
  }
  if (kind == LOG_DELETE) log->is_linked[inode] = false;
  log->events[log->count++] = (Event){kind, inode, offset, length, copy};
}
