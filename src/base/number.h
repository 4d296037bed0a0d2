/* Floating-point numbers as text, the same in every locale: read as written, written so that reading gives the same
 * number back, with few digits. */
#ifndef SUMI_BASE_NUMBER_H
#define SUMI_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

enum { SUMI_NUMBER_TEXT = 40 }; /* bytes that any printed number fits into */

/* All n bytes as [+-]digits[.digits][e[+-]digits], or inf, infinity, nan in any case. Rounds to nearest even (to float
 * or double at once); what is too large is infinity. False: it is something else, or longer than 1,000 bytes. */
bool sumi_number_read_f32(const char *s, size_t n, float *out);
bool sumi_number_read_f64(const char *s, size_t n, double *out);

/* Into buf[SUMI_NUMBER_TEXT]; returns buf. Infinity is "inf", NaN "nan", with "-" where the sign is set. */
char *sumi_number_print_f32(float x, char *buf);
char *sumi_number_print_f64(double x, char *buf);

#endif
