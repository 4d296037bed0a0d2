/* Regular expressions as RE2 writes them, for a library that has Perl's. */
#ifndef SUMI_OP_RE2_SYNTAX_H
#define SUMI_OP_RE2_SYNTAX_H

#include "base/text.h"

/* Adds to out (initialised by the caller) a pattern for PCRE2 that means what re means to RE2
 * (https://github.com/google/re2/wiki/Syntax, default options) under the options UTF and
 * ALT_CIRCUMFLEX; groups do not capture. SUMI_E_VALUE: not RE2's syntax (backward references, looking around, possessive
 * quantifiers, ...); SUMI_E_UNSUPPORTED: \C, a single byte. What only a name or a range decides (\p{Greek}, [z-a]) is left
 * for the library to refuse. */
sumi_status sumi_re2_translate(struct sumi_str re, struct sumi_text *out, struct sumi_err *err);

#endif
