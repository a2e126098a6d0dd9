#include "CPageCache.h"

#include <sqlite3.h>
#include <stdlib.h>

CPCNumbers cpc_numbers(unsigned page_size) {
  return (CPCNumbers){.lock_byte_page = 0x40000000 / page_size + 1, .highest = 0};
}

void cpc_note(CPCNumbers *numbers, unsigned number) {
  // On its way to another number: no page is there when a transaction ends.
  if (number == numbers->lock_byte_page) return;
  if (number > numbers->highest) numbers->highest = number;
}

bool cpc_drop(CPCNumbers *numbers, unsigned from) {
  if (from > numbers->highest) return false;
  numbers->highest = from > 0 ? from - 1 : 0;
  return true;
}

typedef struct {
  sqlite3_pcache *below;
  CPCNumbers numbers;
} Cache;

static sqlite3_pcache_methods2 below;  // SQLite's own; set once, before any cache is made

static Cache *of(sqlite3_pcache *handle) { return (Cache *)handle; }

static sqlite3_pcache *create(int page_size, int extra_size, int is_purgeable) {
  Cache *cache = malloc(sizeof *cache);
  if (cache == NULL) return NULL;
  cache->numbers = cpc_numbers((unsigned)page_size);
  cache->below = below.xCreate(page_size, extra_size, is_purgeable);
  if (cache->below != NULL) return (sqlite3_pcache *)cache;
  free(cache);
  return NULL;
}

static void destroy(sqlite3_pcache *handle) {
  below.xDestroy(of(handle)->below);
  free(of(handle));
}

static sqlite3_pcache_page *fetch(sqlite3_pcache *handle, unsigned number, int create_flag) {
  if (create_flag != 0) cpc_note(&of(handle)->numbers, number);
  return below.xFetch(of(handle)->below, number, create_flag);
}

static void rekey(sqlite3_pcache *handle, sqlite3_pcache_page *page, unsigned old_number, unsigned new_number) {
  cpc_note(&of(handle)->numbers, new_number);
  below.xRekey(of(handle)->below, page, old_number, new_number);
}

static void truncate_from(sqlite3_pcache *handle, unsigned number) {
  if (cpc_drop(&of(handle)->numbers, number)) below.xTruncate(of(handle)->below, number);
}

static void unpin(sqlite3_pcache *handle, sqlite3_pcache_page *page, int discards) {
  below.xUnpin(of(handle)->below, page, discards);
}

static void resize(sqlite3_pcache *handle, int pages) { below.xCachesize(of(handle)->below, pages); }
static int count(sqlite3_pcache *handle) { return below.xPagecount(of(handle)->below); }
static void shrink(sqlite3_pcache *handle) { below.xShrink(of(handle)->below); }

static bool is_installed;

bool cpc_is_installed(void) { return is_installed; }

__attribute__((constructor)) static void install(void) {
  if (sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &below) != SQLITE_OK) return;
  sqlite3_pcache_methods2 methods = {
      .iVersion = 1,
      .pArg = below.pArg,
      .xInit = below.xInit,
      .xShutdown = below.xShutdown,
      .xCreate = create,
      .xCachesize = resize,
      .xPagecount = count,
      .xFetch = fetch,
      .xUnpin = unpin,
      .xRekey = rekey,
      .xTruncate = truncate_from,
      .xDestroy = destroy,
      .xShrink = shrink,
  };
  is_installed = sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods) == SQLITE_OK;
}
