// Temporary files (sorters, statement journals, VACUUM's copy): kept in memory, so that they need no key.
#include "internal.h"

#include <stdlib.h>

typedef struct {
  sqlite3_file file;
  uint8_t *bytes;
  sqlite3_int64 size, capacity;
} Memory;

static int memory_close(sqlite3_file *handle) {
  Memory *memory = (Memory *)handle;
  if (memory->bytes != NULL) cev_wipe(memory->bytes, (size_t)memory->capacity);
  free(memory->bytes);
  memset(memory, 0, sizeof *memory);
  return SQLITE_OK;
}

static int memory_read(sqlite3_file *handle, void *bytes, int amount, sqlite3_int64 offset) {
  Memory *memory = (Memory *)handle;
  sqlite3_int64 present = offset < memory->size ? memory->size - offset : 0;
  if (present > amount) present = amount;
  if (present > 0) memcpy(bytes, memory->bytes + offset, (size_t)present);
  if (present == amount) return SQLITE_OK;
  memset((uint8_t *)bytes + present, 0, (size_t)(amount - present));
  return SQLITE_IOERR_SHORT_READ;
}

static int grow(Memory *memory, sqlite3_int64 size) {
  if (size > CEV_TEMPORARY_LIMIT) return SQLITE_FULL;
  if (size > memory->capacity) {
    sqlite3_int64 capacity = memory->capacity == 0 ? 65536 : memory->capacity;
    while (capacity < size) capacity *= 2;
    uint8_t *bytes = realloc(memory->bytes, (size_t)capacity);
    if (bytes == NULL) return SQLITE_IOERR_NOMEM;
    memory->bytes = bytes;
    memory->capacity = capacity;
  }
  if (size > memory->size) {
    memset(memory->bytes + memory->size, 0, (size_t)(size - memory->size));
    memory->size = size;
  }
  return SQLITE_OK;
}

static int memory_write(sqlite3_file *handle, const void *bytes, int amount, sqlite3_int64 offset) {
  Memory *memory = (Memory *)handle;
  int result = grow(memory, offset + amount);
  if (result == SQLITE_OK) memcpy(memory->bytes + offset, bytes, (size_t)amount);
  return result;
}

static int memory_truncate(sqlite3_file *handle, sqlite3_int64 size) {
  Memory *memory = (Memory *)handle;
  if (size >= memory->size) return grow(memory, size);
  memory->size = size;
  return SQLITE_OK;
}

static int memory_sync(sqlite3_file *handle, int flags) { return (void)handle, (void)flags, SQLITE_OK; }

static int memory_size(sqlite3_file *handle, sqlite3_int64 *size) {
  *size = ((Memory *)handle)->size;
  return SQLITE_OK;
}

static int memory_lock(sqlite3_file *handle, int level) { return (void)handle, (void)level, SQLITE_OK; }

static int memory_check_lock(sqlite3_file *handle, int *result) {
  (void)handle;
  *result = 0;
  return SQLITE_OK;
}

static int memory_control(sqlite3_file *handle, int op, void *argument) {
  return (void)handle, (void)op, (void)argument, SQLITE_NOTFOUND;
}

static int memory_sector(sqlite3_file *handle) { return (void)handle, 512; }
static int memory_characteristics(sqlite3_file *handle) {
  return (void)handle, SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL;
}

static const sqlite3_io_methods memory_methods = {
    1, memory_close, memory_read, memory_write, memory_truncate, memory_sync, memory_size, memory_lock, memory_lock,
    memory_check_lock, memory_control, memory_sector, memory_characteristics, NULL, NULL, NULL, NULL, NULL, NULL,
};

int cev_memory_size(void) { return (int)sizeof(Memory); }

int cev_memory_open(sqlite3_file *handle) {
  memset(handle, 0, sizeof(Memory));
  handle->pMethods = &memory_methods;
  return SQLITE_OK;
}
