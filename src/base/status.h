/* Status codes and error text: how every fallible function says what happened.
 * Must not allocate, print or abort. */
#ifndef SUMI_BASE_STATUS_H
#define SUMI_BASE_STATUS_H

#include <stdarg.h>
#include <sumi/types.h>

#if defined(__GNUC__)
#define SUMI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SUMI_PRINTF(f, a)
#endif

/* Records status and text in err (may be NULL) unless it already holds a failure; returns status. */
sumi_status sumi_err_set(struct sumi_err *err, sumi_status status, const char *format, ...) SUMI_PRINTF(3, 4);

/* Puts "format: " before the text err already holds: where a failure from below happened. Returns err's status,
 * or status where err is NULL. */
sumi_status sumi_err_prefix(struct sumi_err *err, sumi_status status, const char *format, ...)
    SUMI_PRINTF(3, 4);

/* Forgets a failure. */
void sumi_err_clear(struct sumi_err *err);

/* Short lower-case name of a code ("shape"); "?" for what is none. */
const char *sumi_status_label(sumi_status status);

/* One sentence for a code. */
const char *sumi_status_sentence(sumi_status status);

#define SUMI_TRY(call)                                        \
  do {                                                        \
    const sumi_status sumi_try_status_ = (call);              \
    if (sumi_try_status_ != SUMI_OK) return sumi_try_status_; \
  } while (0)

#define SUMI_FAIL(err, status, ...) return sumi_err_set((err), (status), __VA_ARGS__)
#define SUMI_FAIL_MEMORY(err) return sumi_err_set((err), SUMI_E_MEMORY, "out of memory")

/* For our own mistakes only: returns SUMI_E_INTERNAL with place and condition. */
#define SUMI_ASSERT(err, cond)                                                                           \
  do {                                                                                                   \
    if (!(cond))                                                                                         \
      return sumi_err_set((err), SUMI_E_INTERNAL, "%s:%d: %s does not hold", __FILE__, __LINE__, #cond); \
  } while (0)

#endif
