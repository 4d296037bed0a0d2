/* Where the default allocator takes large blocks from: regions of memory asked of the system in huge pages.
 *
 * Weights and activations of a network are some tens of megabytes read once a run: thousands of small pages, more than a
 * processor translates addresses for, and on a virtual machine every missing translation walks two page tables. */
#ifndef SUMI_BASE_HEAP_H
#define SUMI_BASE_HEAP_H

#include <stddef.h>

/* Under AddressSanitizer every block comes alone, so that it sees each one's ends. */
#if defined __SANITIZE_ADDRESS__
#define SUMI_HEAP_ALONE 1
#elif defined __has_feature
#define SUMI_HEAP_ALONE __has_feature(address_sanitizer)
#else
#define SUMI_HEAP_ALONE 0
#endif

enum { SUMI_HEAP_LEAST = 16 << 10 }; /* bytes: smaller blocks stay with the C library */

/* bytes (>= SUMI_HEAP_LEAST) aligned to 64, not zeroed, or NULL. Safe between threads. */
void *sumi_heap_alloc(size_t bytes);
/* bytes: as asked for. */
void sumi_heap_free(void *block, size_t bytes);

#endif
