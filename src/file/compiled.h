/* Compiled models: a file that holds a portable graph, its weights and weights packed for one machine.
 *
 *   sumi model 1                                    text, blanks up to byte SUMI_COMPILED_HEADER: head(1) shows it,
 *   library "0.1.0"                                 and the graph behind it
 *   byte_order "little"
 *   graph at 1024 bytes 88231 hash "..."            the graph as text (graph.h); larger tensors stand as
 *                                                   ["location": "weights", "offset": ..., "length": ...]
 *   weights at 89280 bytes 102228128 hash "..."     their bytes, each aligned to SUMI_ALIGN; offsets count from here
 *   packs at 102317440 bytes 8123 hash "..."        text, a line for each packed blob:
 *                                                   "path of node" "key" "kind" at OFFSET bytes BYTES
 *   packed at 102325568 bytes 102000000 hash "..."  the blobs, each aligned to SUMI_ALIGN
 *   packed_for isa "avx512vnni" graph "..."         level in force, sumi_stored_hash() of the machine graph
 *   checksum "..."                                  of the header up to here
 *
 * Sections stand in this order, each at the next multiple of SUMI_ALIGN; the last ends with the file. Hashes are 64-bit
 * FNV-1a. Opening checks header, graph and packs by hash, and weights and packed weights only where they stand: those
 * hashes are for sumi_compiled_verify(), which reads everything. Packed weights for another library version, level or
 * machine graph are passed over, and packed again by whoever needs them. What else a packed form depends on (shapes, rows in a
 * block) is in its key.
 *
 * A format that readers of this version cannot take has another number behind "sumi model". */
#ifndef SUMI_FILE_COMPILED_H
#define SUMI_FILE_COMPILED_H

#include "exec/model.h"

enum { SUMI_COMPILED_FORMAT = 1, SUMI_COMPILED_HEADER = 1024, SUMI_COMPILED_WORD = 32 };

struct sumi_compiled_section {
  uint64_t at, bytes, hash; /* at: from the file's first byte */
};

struct sumi_compiled {
  char library[SUMI_COMPILED_WORD], isa[SUMI_COMPILED_WORD];
  uint64_t machine_graph;
  struct sumi_compiled_section graph, weights, packs, packed;
};

/* Whether bytes begin as a compiled model of any format does. */
bool sumi_compiled_is(const void *bytes, size_t n);

/* header.c: the header as it stands in a file, and back. Reading checks everything but the sections' hashes. */
void sumi_compiled_print(const struct sumi_compiled *c, char out[SUMI_COMPILED_HEADER]);
sumi_status sumi_compiled_read(const void *bytes, size_t n, const struct sumi_allocator *a,
                               struct sumi_compiled *out, struct sumi_err *err);
/* A section's hash, piece by piece. */
uint64_t sumi_compiled_hash_start(void);
uint64_t sumi_compiled_hash(uint64_t hash, const void *bytes, size_t n);

/* read.c. file's bytes are aligned to SUMI_ALIGN. Header read, graph and packs checked by hash. */
sumi_status sumi_compiled_open(const struct sumi_blob *file, struct sumi_compiled *out, struct sumi_err *err);
/* The graph, verified, not inferred; its weights lie in file, of which it takes a reference. limits have no zeros. */
sumi_status sumi_compiled_graph(const struct sumi_compiled *c, struct sumi_blob *file,
                                const struct sumi_limits *limits, const struct sumi_allocator *a,
                                struct sumi_graph **out, struct sumi_err *err);
/* What the file holds packed, texts in arena; none where it is for another library version or level than what is here. */
sumi_status sumi_compiled_packs(const struct sumi_compiled *c, const struct sumi_blob *file,
                                struct sumi_arena *arena, struct sumi_stored *out, struct sumi_err *err);
/* Reads everything: SUMI_E_FORMAT where weights or packed weights are not what was written. */
sumi_status sumi_compiled_verify(const struct sumi_compiled *c, const struct sumi_blob *file,
                                 struct sumi_err *err);

/* load.c: a model with inferred graph and what the file holds packed; take_file is its source. */
sumi_status sumi_compiled_load(struct sumi_blob *take_file, const struct sumi_limits *limits,
                               bool keep_graph_as_is, const struct sumi_allocator *a, struct sumi_model **out,
                               struct sumi_err *err);

/* write.c */
struct sumi_compile {
  bool pack; /* what a session prepared for these inputs packs, as sumi_session_prepare takes them */
  const struct sumi_view *inputs;
  size_t n_inputs;
};
/* Writes the model's portable graph; path appears whole or not at all. */
sumi_status sumi_compiled_write(const struct sumi_model *model, const char *path,
                                const struct sumi_compile *job, struct sumi_err *err);

#endif
