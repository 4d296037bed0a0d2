/* What a JPEG 2000 file asks for, read before the library sees it. */
#ifndef SUMI_IMAGE_JPEG2000_H
#define SUMI_IMAGE_JPEG2000_H

#include "image/image.h"

/* Walks over boxes and markers of bytes[n] without decoding. SUMI_E_LIMIT: its size, number of components, tiles,
 * precincts or layers would make a decoder allocate out of proportion; SUMI_E_FORMAT: there is no size to be found. *boxed:
 * whether it is a JP2 file rather than a bare codestream. */
sumi_status sumi_jpeg2000_check(const uint8_t *bytes, size_t n, int64_t max_pixels, bool *boxed,
                                struct sumi_err *err);

#endif
