/* StringNormalizer: the strings of X, [C] or [1, C], that are no stop words, in lower or upper case if
 * case_change_action says so; one empty string where none is left. Unless is_case_sensitive, a string is a stop word
 * if it differs from one by case only. Whole strings are looked at, as the standard's text and ONNX Runtime do; the
 * reference implementation also drops words inside strings, accents, and strings that are empty.
 *
 * Letters are mapped one to one, as towlower() does. They do not depend on what locales the machine has: attribute
 * locale says only whether "I" and "i" are Turkish. The C library's tables for all of Unicode are asked for by the name
 * C.UTF-8; without them a letter beyond ASCII is an error. Bytes that are no UTF-8 stay as they are. */
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "base/size.h"
#include "base/text.h"
#include "op/ops.h"
#include "op/utf8.h"

struct cases {
  locale_t tables; /* 0 until they are needed */
  bool turkish;
};

static const struct {
  const char *label;
  bool change, upper;
} actions[] = {{"NONE", false, false}, {"LOWER", true, false}, {"UPPER", true, true}};

/* The index in actions[], or -1. */
static int action_of(const struct sumi_node *node) {
  const char *label = sumi_attr_string(node, "case_change_action", "NONE");
  for (int i = 0; i < (int)SUMI_COUNT(actions); i++)
    if (sumi_streq(actions[i].label, label)) return i;
  return -1;
}

/* Turkish and Azerbaijani: a dot tells two letters apart. */
static bool is_turkish(const char *locale) {
  const bool language = !strncmp(locale, "tr", 2) || !strncmp(locale, "az", 2);
  return language && (!locale[2] || strchr("_-.@", locale[2]));
}

enum { CAPITAL_DOTTED_I = 0x130, SMALL_DOTLESS_I = 0x131 };

static sumi_status change_code(struct cases *k, int32_t *code, bool upper, struct sumi_err *err) {
  const int32_t c = *code;
  if (k->turkish && (c == 'i' || c == SMALL_DOTLESS_I) && upper)
    *code = c == 'i' ? CAPITAL_DOTTED_I : 'I';
  else if (k->turkish && (c == 'I' || c == CAPITAL_DOTTED_I) && !upper)
    *code = c == 'I' ? SMALL_DOTLESS_I : 'i';
  else if (c < 0x80)
    *code = upper ? (c >= 'a' && c <= 'z' ? c - 32 : c) : (c >= 'A' && c <= 'Z' ? c + 32 : c);
  else {
    if (!k->tables) k->tables = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!k->tables)
      SUMI_FAIL(err, SUMI_E_UNSUPPORTED,
                "letters beyond ASCII have no case here: the C library lacks its locale C.UTF-8");
    *code = (int32_t)(upper ? towupper_l((wint_t)c, k->tables) : towlower_l((wint_t)c, k->tables));
  }
  return SUMI_OK;
}

/* *to: s in the other case, in the arena. */
static sumi_status change_case(struct cases *k, struct sumi_arena *arena, struct sumi_str s, bool upper,
                               struct sumi_str *to, struct sumi_err *err) {
  size_t most, n = 0, length;
  char *text = NULL;
  if (sumi_size_mul(s.size, SUMI_UTF8_MAX, &most) && most < SIZE_MAX)
    text = sumi_arena_alloc(arena, most + 1);
  if (!text) SUMI_FAIL_MEMORY(err);
  for (size_t at = 0; at < s.size; at += length) {
    int32_t code = sumi_utf8_get(s.data + at, s.size - at, &length);
    if (code == SUMI_UTF8_NONE) {
      text[n++] = s.data[at];
      continue;
    }
    SUMI_TRY(change_code(k, &code, upper, err));
    n += sumi_utf8_put(code, text + n);
  }
  *to = (struct sumi_str){text, n};
  return SUMI_OK;
}

static int compare(const void *a, const void *b) {
  const struct sumi_str *p = a, *q = b;
  const size_t n = SUMI_MIN(p->size, q->size);
  const int r = n ? memcmp(p->data, q->data, n) : 0;
  return r ? r : (p->size > q->size) - (p->size < q->size);
}

/* The stop words as they are compared: sorted, folded where case does not count. */
static sumi_status stop_words(const struct sumi_call *c, struct cases *k, bool fold, struct sumi_str **words,
                              size_t *n) {
  const struct sumi_attr *a = sumi_node_attr(c->node, "stopwords");
  *n = a ? a->n : 0;
  *words = SUMI_NEW_ARRAY(c->heap, *n, struct sumi_str);
  if (!*words) SUMI_FAIL_MEMORY(c->err);
  for (size_t i = 0; i < *n; i++) {
    (*words)[i] = a->u.strings[i];
    if (fold) SUMI_TRY(change_case(k, c->heap, a->u.strings[i], true, &(*words)[i], c->err));
    if (fold) SUMI_TRY(change_case(k, c->heap, (*words)[i], false, &(*words)[i], c->err));
  }
  if (*n) qsort(*words, *n, sizeof **words, compare);
  return SUMI_OK;
}

/* Those of X that stay, as they come out, to kept[*n]. */
static sumi_status filter(const struct sumi_call *c, struct cases *k, struct sumi_str *kept, int64_t *n) {
  const bool fold = !sumi_attr_int(c->node, "is_case_sensitive", 0);
  const struct sumi_str *x = c->in[0]->data;
  const int64_t all = sumi_tensor_count(c->in[0]);
  const int action = action_of(c->node);
  struct sumi_str *words;
  size_t n_words;
  SUMI_TRY(stop_words(c, k, fold, &words, &n_words));
  for (int64_t i = 0; i < all; i++) {
    struct sumi_str s = x[i];
    if (fold && n_words) SUMI_TRY(change_case(k, c->heap, s, true, &s, c->err));
    if (fold && n_words) SUMI_TRY(change_case(k, c->heap, s, false, &s, c->err));
    if (n_words && bsearch(&s, words, n_words, sizeof s, compare)) continue;
    if (actions[action].change)
      SUMI_TRY(change_case(k, c->heap, x[i], actions[action].upper, &s, c->err));
    else
      s = (struct sumi_str){sumi_arena_strndup(c->heap, x[i].data, x[i].size), x[i].size};
    if (!s.data) SUMI_FAIL_MEMORY(c->err);
    kept[(*n)++] = s;
  }
  return SUMI_OK;
}

static sumi_status string_normalizer_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  const sumi_dim dim[] = {x->rank == 2 ? 1 : SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN};
  if (action_of(ctx->node) < 0)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "case_change_action is '%s', none of NONE, LOWER, UPPER",
              sumi_attr_string(ctx->node, "case_change_action", ""));
  if (x->rank == 0 || x->rank > 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "X has rank %d, neither 1 nor 2", x->rank);
  if (x->rank == 2 && x->dim[0] >= 0 && x->dim[0] != 1)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "X has %" PRId64 " rows, not 1", x->dim[0]);
  if (x->rank < 0)
    sumi_infer_out_unknown(ctx, 0, SUMI_STRING);
  else
    sumi_infer_out(ctx, 0, SUMI_STRING, x->rank, dim);
  return SUMI_OK;
}

static sumi_status string_normalizer_ref(const struct sumi_call *c) {
  struct cases k = {.turkish = is_turkish(sumi_attr_string(c->node, "locale", ""))};
  struct sumi_str *kept = SUMI_NEW_ARRAY(c->heap, (size_t)sumi_tensor_count(c->in[0]), struct sumi_str);
  int64_t n = 0;
  if (!kept) SUMI_FAIL_MEMORY(c->err);
  const sumi_status status = filter(c, &k, kept, &n);
  if (k.tables) freelocale(k.tables);
  SUMI_TRY(status);
  const int rank = c->in[0]->rank;
  const int64_t size = SUMI_MAX(n, 1), dim[] = {rank == 2 ? 1 : size, size};
  SUMI_TRY(sumi_call_output(c, 0, SUMI_STRING, rank, dim));
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  struct sumi_str *y = c->out[0]->data;
  y[0] = (struct sumi_str){"", 0};
  for (int64_t i = 0; i < n; i++) y[i] = kept[i];
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"case_change_action", SUMI_ATTR_STRING},
                                              {"is_case_sensitive", SUMI_ATTR_INT},
                                              {"locale", SUMI_ATTR_STRING},
                                              {"stopwords", SUMI_ATTR_STRINGS},
                                              {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_BIT(SUMI_STRING)}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_BIT(SUMI_STRING)}, {NULL}};
static const struct sumi_case string_cases[] = {
    {"g (int32[9] x) => (y) { s = Cast <to = 8> (x) n = StringNormalizer <stopwords = [\"3\", \"5\", \"0\"]> "
     "(s)"
     " y = Cast <to = 6> (n) }"},
    {NULL},
};

const struct sumi_op sumi_op_string_normalizer = {
    .name = "StringNormalizer",
    .formula = "strings that are no stop words, in one case",
    .known_as = {{"", "StringNormalizer", {10}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = string_normalizer_infer,
    .ref = string_normalizer_ref,
    .cases = string_cases,
};
