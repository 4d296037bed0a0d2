/* What the room's callers ask for and get. Read this header first.
 *
 * A job works on a copy of a model's graph as the file has it (no simplifying passes) and returns the list of changes for
 * the writer of files, and a report. */
#ifndef SUMI_COMPRESS_COMPRESS_H
#define SUMI_COMPRESS_COMPRESS_H

#include <sumi/compress.h>

#include "graph/change.h"

#endif
