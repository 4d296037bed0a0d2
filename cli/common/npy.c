/* Reading .npy and .npz. Everything in a file may be hostile: lengths, shapes and products are checked against the
 * bytes that are there before anything is allocated for them. */
#include "common/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

enum { MAX_ENTRIES = 65536 };
static const size_t max_entry_bytes = (size_t)1 << 35; /* of one array unpacked from an archive */

sumi_status cli_fail(struct sumi_err *err, sumi_status status, const char *format, ...) {
  if (!err || err->status != SUMI_OK) return status;
  va_list args;
  va_start(args, format);
  vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  return err->status = status;
}

sumi_status cli_bytes_read(const char *path, struct cli_bytes *out, struct sumi_err *err) {
  *out = (struct cli_bytes){0};
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return cli_fail(err, SUMI_E_IO, "'%s': %s", path, strerror(errno));
  struct stat st;
  size_t cap = fstat(fd, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 0;
  ssize_t got = 0;
  out->data = cli_alloc(++cap);
  while ((got = read(fd, out->data + out->n, cap - out->n)) > 0 || (got < 0 && errno == EINTR)) {
    if (got > 0) out->n += (size_t)got;
    if (out->n == cap) out->data = cli_grow(out->data, &cap, cap + 1, 1);
  }
  const int failed = got < 0 ? errno : 0;
  close(fd);
  if (!failed) return SUMI_OK;
  cli_bytes_fini(out);
  return cli_fail(err, SUMI_E_IO, "'%s': %s", path, strerror(failed));
}

void cli_bytes_fini(struct cli_bytes *b) {
  free(b->data);
  *b = (struct cli_bytes){0};
}

/* ---- the header: a Python dictionary with three keys ---- */

struct header {
  char order, kind; /* '<' '>' '|', and 'f' 'i' 'u' 'b' 'c' 'S' 'U' 'V' */
  size_t width;     /* of an element, as written */
  bool fortran;
  int rank;
  int64_t dims[SUMI_MAX_RANK];
};

struct cursor {
  const char *at, *end;
};

static void skip_space(struct cursor *c) {
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) c->at++;
}

static bool take(struct cursor *c, char what) {
  skip_space(c);
  if (c->at >= c->end || *c->at != what) return false;
  c->at++;
  return true;
}

static bool take_quoted(struct cursor *c, char *out, size_t size) {
  skip_space(c);
  if (c->at >= c->end || (*c->at != '\'' && *c->at != '"')) return false;
  const char quote = *c->at++;
  size_t n = 0;
  for (; c->at < c->end && *c->at != quote; c->at++) {
    if (n + 1 >= size) return false;
    out[n++] = *c->at;
  }
  out[n] = 0;
  return take(c, quote);
}

static bool take_word(struct cursor *c, const char *word) {
  skip_space(c);
  const size_t n = strlen(word);
  if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n)) return false;
  c->at += n;
  return true;
}

static bool take_whole(struct cursor *c, int64_t *out) {
  skip_space(c);
  const char *start = c->at;
  int64_t v = 0;
  for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *c->at - '0', &v)) return false;
  if (c->at < c->end && *c->at == 'L') c->at++; /* Python 2 wrote long integers so */
  *out = v;
  return c->at > start;
}

static bool take_shape(struct cursor *c, struct header *h) {
  if (!take(c, '(')) return false;
  for (h->rank = 0; !take(c, ')');) {
    if (h->rank == SUMI_MAX_RANK || !take_whole(c, &h->dims[h->rank++])) return false;
    if (!take(c, ',')) return take(c, ')');
  }
  return true;
}

static bool take_descr(struct cursor *c, struct header *h) {
  char descr[24];
  if (!take_quoted(c, descr, sizeof descr)) return false;
  const char *d = descr;
  h->order = strchr("<>|=", *d) && *d ? *d++ : '|';
  h->kind = *d;
  int64_t width;
  struct cursor rest = {d + 1, descr + strlen(descr)};
  if (!h->kind || !take_whole(&rest, &width) || rest.at != rest.end) return false;
  h->width = (size_t)width;
  return true;
}

static bool parse_header(const char *text, size_t n, struct header *h) {
  struct cursor c = {text, text + n};
  bool descr = false, order = false, shape = false;
  if (!take(&c, '{')) return false;
  while (!take(&c, '}')) {
    char key[24];
    if (!take_quoted(&c, key, sizeof key) || !take(&c, ':')) return false;
    if (strcmp(key, "descr") == 0) {
      if (!(descr = take_descr(&c, h))) return false;
    } else if (strcmp(key, "fortran_order") == 0) {
      h->fortran = take_word(&c, "True");
      if (!(order = h->fortran || take_word(&c, "False"))) return false;
    } else if (strcmp(key, "shape") == 0) {
      if (!(shape = take_shape(&c, h))) return false;
    } else {
      return false;
    }
    take(&c, ',');
  }
  return descr && order && shape;
}

/* ---- elements ---- */

static sumi_dtype dtype_of(const struct header *h) {
  static const struct {
    char kind;
    size_t width;
    sumi_dtype dtype;
  } table[] = {
      {'f', 4, SUMI_FLOAT32},   {'f', 8, SUMI_FLOAT64},     {'f', 2, SUMI_FLOAT16},
      {'b', 1, SUMI_BOOL},      {'i', 8, SUMI_INT64},       {'i', 4, SUMI_INT32},
      {'i', 2, SUMI_INT16},     {'i', 1, SUMI_INT8},        {'u', 8, SUMI_UINT64},
      {'u', 4, SUMI_UINT32},    {'u', 2, SUMI_UINT16},      {'u', 1, SUMI_UINT8},
      {'c', 8, SUMI_COMPLEX64}, {'c', 16, SUMI_COMPLEX128}, {'V', 1, SUMI_UINT8},
      {'V', 2, SUMI_UINT16}, /* opaque: the model says what they are */
  };
  for (size_t i = 0; i < CLI_COUNT(table); i++)
    if (table[i].kind == h->kind && table[i].width == h->width) return table[i].dtype;
  if (h->kind == 'S' || h->kind == 'U') return SUMI_STRING;
  return SUMI_UNDEFINED;
}

static void swap(uint8_t *data, size_t n, size_t width) {
  for (size_t i = 0; i < n; i++, data += width)
    for (size_t a = 0, b = width - 1; a < b; a++, b--) {
      const uint8_t t = data[a];
      data[a] = data[b];
      data[b] = t;
    }
}

/* One code point as UTF-8; what is none becomes U+FFFD. Returns bytes written (1 to 4). */
static size_t utf8(uint32_t u, char *out) {
  if (u > 0x10ffff || (u >= 0xd800 && u < 0xe000)) u = 0xfffd;
  if (u < 0x80) return out[0] = (char)u, 1;
  const int more = u < 0x800 ? 1 : u < 0x10000 ? 2 : 3;
  static const uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};
  out[0] = (char)(first[more] | u >> (6 * more));
  for (int i = 1; i <= more; i++) out[i] = (char)(0x80 | (u >> (6 * (more - i)) & 0x3f));
  return (size_t)more + 1;
}

/* Fixed-width texts, filled up with zeros, to strings. */
static void read_strings(struct cli_tensor *t, const struct header *h, const uint8_t *from, size_t count) {
  struct sumi_str *str = t->memory;
  char *to = t->text =
      cli_alloc(count * h->width * (h->kind == 'U' ? 4 : 1)); /* <= 4 bytes of UTF-8 a character */
  for (size_t i = 0; i < count; i++) {
    const size_t bytes = h->kind == 'U' ? h->width * 4 : h->width;
    str[i].data = to;
    size_t n = bytes;
    while (n > 0 && !from[n - 1]) n--;
    if (h->kind == 'S') {
      memcpy(to, from, n);
      to += n;
    } else {
      for (size_t k = 0; k < (n + 3) / 4; k++) {
        const uint8_t *u = from + 4 * k;
        const bool big = h->order == '>';
        to += utf8((uint32_t)u[big ? 3 : 0] | (uint32_t)u[big ? 2 : 1] << 8 | (uint32_t)u[big ? 1 : 2] << 16 |
                       (uint32_t)u[big ? 0 : 3] << 24,
                   to);
      }
    }
    str[i].size = (size_t)(to - str[i].data);
    from += bytes;
  }
}

static sumi_status read_elements(const char *name, const struct header *h, const uint8_t *from, size_t left,
                                 struct cli_tensor **out, struct sumi_err *err) {
  const sumi_dtype dtype = dtype_of(h);
  if (dtype == SUMI_UNDEFINED)
    return cli_fail(err, SUMI_E_UNSUPPORTED, "'%s': elements of type '%c%zu' are not taken", name, h->kind,
                    h->width);
  size_t count = 1, bytes, width = h->width;
  bool fits = h->kind != 'U' || !__builtin_mul_overflow(width, 4, &width);
  for (int i = 0; i < h->rank; i++) fits = fits && !__builtin_mul_overflow(count, (size_t)h->dims[i], &count);
  fits = fits && !__builtin_mul_overflow(count, width, &bytes) && bytes <= left;
  /* elements without bytes ('U0') would let a small file ask for any number of them */
  if (!fits || (width == 0 && count > left + 1))
    return cli_fail(err, SUMI_E_FORMAT, "'%s': its shape asks for more than the %zu bytes that are there",
                    name, left);
  struct cli_tensor *t = cli_tensor_new(name, dtype, h->rank, h->dims);
  if (!t) return cli_fail(err, SUMI_E_FORMAT, "'%s': its shape is too large", name);
  t->opaque_bytes = h->kind == 'V' ? (int)h->width : 0;
  if (dtype == SUMI_STRING) {
    read_strings(t, h, from, count);
  } else {
    memcpy(t->memory, from, bytes);
    const size_t parts = h->kind == 'c' ? 2 : 1;
    if (h->order == '>') swap(t->memory, count * parts, h->width / parts);
    if (dtype == SUMI_BOOL)
      for (size_t i = 0; i < count; i++) ((uint8_t *)t->memory)[i] = ((uint8_t *)t->memory)[i] != 0;
  }
  if (h->fortran && h->rank > 1) {
    int64_t stride = 1;
    for (int i = 0; i < h->rank; i++) t->strides[i] = stride, stride *= h->dims[i] ? h->dims[i] : 1;
    t->view.strides = t->strides;
  }
  *out = t;
  return SUMI_OK;
}

sumi_status cli_npy_parse(const char *name, const uint8_t *bytes, size_t n, struct cli_tensor **out,
                          struct sumi_err *err) {
  if (n < 10 || memcmp(bytes, "\x93NUMPY", 6))
    return cli_fail(err, SUMI_E_FORMAT, "'%s': not an .npy file", name);
  const unsigned major = bytes[6];
  if (major < 1 || major > 3)
    return cli_fail(err, SUMI_E_UNSUPPORTED, "'%s': .npy format %u is not known", name, major);
  size_t start = 10, length = bytes[8] | (size_t)bytes[9] << 8;
  if (major > 1) {
    if (n < 12) return cli_fail(err, SUMI_E_FORMAT, "'%s': cut short", name);
    length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    start = 12;
  }
  if (length > n - start)
    return cli_fail(err, SUMI_E_FORMAT, "'%s': a header of %zu bytes in a file of %zu", name, length, n);
  struct header h = {0};
  if (!parse_header((const char *)bytes + start, length, &h))
    return cli_fail(err, SUMI_E_FORMAT,
                    "'%s': its header cannot be read (records, objects and more than %d dims are not taken)",
                    name, SUMI_MAX_RANK);
  return read_elements(name, &h, bytes + start + length, n - start - length, out, err);
}

/* ---- archives ---- */

static sumi_status read_entry(zip_t *zip, zip_uint64_t i, struct cli_tensor **out, struct sumi_err *err) {
  struct zip_stat st;
  zip_stat_init(&st);
  if (zip_stat_index(zip, i, 0, &st) < 0 || !(st.valid & ZIP_STAT_NAME) || !(st.valid & ZIP_STAT_SIZE))
    return cli_fail(err, SUMI_E_FORMAT, "entry %zu of the archive cannot be read", (size_t)i);
  if (st.size > max_entry_bytes)
    return cli_fail(err, SUMI_E_LIMIT, "'%s' unpacks to %zu bytes, more than %zu", st.name, (size_t)st.size,
                    max_entry_bytes);
  zip_file_t *file = zip_fopen_index(zip, i, 0);
  if (!file) return cli_fail(err, SUMI_E_FORMAT, "'%s': %s", st.name, zip_strerror(zip));
  /* The size is what the directory claims: memory grows with what really comes. */
  struct cli_bytes b = {0};
  size_t cap = 0;
  zip_int64_t got;
  do {
    const size_t step = st.size - b.n < (1 << 20) ? st.size - b.n + 1 : 1 << 20;
    b.data = cli_grow(b.data, &cap, b.n + step, 1);
    got = zip_fread(file, b.data + b.n, step);
    if (got > 0) b.n += (size_t)got;
  } while (got > 0 && b.n <= st.size);
  zip_fclose(file);
  sumi_status status = SUMI_OK;
  if (got != 0 || b.n != st.size) {
    status = cli_fail(err, SUMI_E_FORMAT, "'%s' in the archive is damaged", st.name);
  } else {
    const size_t n = strlen(st.name);
    char *name = cli_strdup(st.name);
    if (n > 4 && strcmp(name + n - 4, ".npy") == 0) name[n - 4] = 0;
    status = cli_npy_parse(name, b.data, b.n, out, err);
    free(name);
  }
  cli_bytes_fini(&b);
  return status;
}

sumi_status cli_npz_parse(const uint8_t *bytes, size_t n, struct cli_tensor ***arrays, size_t *n_arrays,
                          struct sumi_err *err) {
  *arrays = NULL;
  *n_arrays = 0;
  zip_error_t why;
  zip_error_init(&why);
  zip_source_t *source = zip_source_buffer_create(bytes, n, 0, &why);
  zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &why) : NULL;
  if (!zip) {
    cli_fail(err, SUMI_E_FORMAT, "not a readable .npz archive: %s", zip_error_strerror(&why));
    zip_source_free(source);
    zip_error_fini(&why);
    return SUMI_E_FORMAT;
  }
  const zip_int64_t count = zip_get_num_entries(zip, 0);
  sumi_status status = SUMI_OK;
  if (count > MAX_ENTRIES)
    status = cli_fail(err, SUMI_E_LIMIT, "an archive of %lld arrays", (long long)count);
  if (status == SUMI_OK) *arrays = cli_array_alloc((size_t)count, sizeof **arrays);
  for (zip_int64_t i = 0; status == SUMI_OK && i < count; i++) {
    status = read_entry(zip, (zip_uint64_t)i, &(*arrays)[*n_arrays], err);
    if (status == SUMI_OK) ++*n_arrays;
  }
  zip_discard(zip);
  return status;
}
