// SQLite's own page cache, without its walks in vain.
//
// When a B-tree balances, SQLite swaps the numbers of pages by way of a number that no page has, the lock-byte page's (262145
// with pages of 4096 bytes). Its cache remembers that as the highest number it holds. So the commit that follows, which drops
// what lies behind the end of the database, looks for such pages in the whole cache, until the database is larger than a
// gigabyte: 1.6 ms with 64 MiB, a fifth of the processor time of a store that is written at random keys. The cache here knows
// the highest number better, and asks SQLite's to drop pages only where there can be some.
//
// https://www.sqlite.org/c3ref/pcache_methods2.html, https://www.sqlite.org/fileformat2.html#the_lock_byte_page
#ifndef CLINICAVOICE_CPAGECACHE_H
#define CLINICAVOICE_CPAGECACHE_H

#include <stdbool.h>

// Bounds the numbers of the pages in one cache.
typedef struct {
  unsigned lock_byte_page, highest;
} CPCNumbers;

// Of an empty cache for pages of so many bytes.
CPCNumbers cpc_numbers(unsigned page_size);
// A page of the cache has this number now.
void cpc_note(CPCNumbers *numbers, unsigned number);
// All pages from this number on are to be dropped; says whether there can be any.
bool cpc_drop(CPCNumbers *numbers, unsigned from);

// Whether the connections of this process have this cache: it is installed when the program is loaded, since SQLite takes
// another cache only before it is used for the first time.
bool cpc_is_installed(void);

#endif
