/* RegexFullMatch: bool[i] = the whole of x[i] matches attribute pattern, a regular expression in RE2's syntax. Strings that
 * are no UTF-8 match nothing, as in RE2.
 *
 * The library is PCRE2, by its function that goes once over the string with all states of the pattern at a time: its time
 * is bounded by the square of the pattern's length for every character, whatever the pattern; nothing is tried twice. */
#include <string.h>

#include "base/sized.h"
#include "op/ops.h"
#include "op/re2_syntax.h"

#ifdef SUMI_HAVE_PCRE2

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { FIRST_WORKSPACE = 1 << 12, LAST_WORKSPACE = 1 << 24, MAX_NESTING = 2000 }; /* ints; groups in groups */

struct regex {
  const struct sumi_allocator *allocator;
  struct sumi_text text;
  pcre2_general_context *general;
  pcre2_compile_context *how;
  pcre2_code *code;
  pcre2_match_data *match;
  int *workspace;
  size_t n_workspace;
};

static void *take(size_t bytes, void *allocator) { return sumi_alloc_sized(allocator, bytes); }
static void give(void *block, void *allocator) { sumi_free_sized(allocator, block); }

static void regex_fini(struct regex *r) {
  pcre2_match_data_free(r->match);
  pcre2_code_free(r->code);
  pcre2_compile_context_free(r->how);
  pcre2_general_context_free(r->general);
  sumi_free(r->allocator, r->workspace, r->n_workspace * sizeof *r->workspace);
  sumi_text_fini(&r->text);
}

static sumi_status compile(struct regex *r, struct sumi_err *err) {
  int error;
  size_t at;
  r->general = pcre2_general_context_create(take, give, (void *)(uintptr_t)r->allocator);
  r->how = r->general ? pcre2_compile_context_create(r->general) : NULL;
  if (!r->how) SUMI_FAIL_MEMORY(err);
  pcre2_set_newline(r->how, PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(r->how, MAX_NESTING);
  const uint32_t options = PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ALT_CIRCUMFLEX;
  r->code = pcre2_compile((PCRE2_SPTR)sumi_text_str(&r->text), r->text.size, options, &error, &at, r->how);
  if (r->code && (r->match = pcre2_match_data_create(1, r->general))) return SUMI_OK;
  if (r->code || error == PCRE2_ERROR_HEAP_FAILED) SUMI_FAIL_MEMORY(err);
  PCRE2_UCHAR why[128] = "";
  pcre2_get_error_message(error, why, sizeof why);
  SUMI_FAIL(err, SUMI_E_VALUE, "the pattern is refused: %s", (const char *)why);
}

/* regex_fini() is due whatever the result. */
static sumi_status regex_init(struct regex *r, const struct sumi_node *node, const struct sumi_allocator *a,
                              struct sumi_err *err) {
  const struct sumi_attr *pattern = sumi_node_attr(node, "pattern");
  *r = (struct regex){.allocator = a};
  sumi_text_init(&r->text, a);
  if (!pattern) SUMI_FAIL(err, SUMI_E_VALUE, "attribute pattern is missing");
  SUMI_TRY(sumi_re2_translate(pattern->u.s, &r->text, err));
  return compile(r, err);
}

static bool grow_workspace(struct regex *r) {
  const size_t n = r->n_workspace ? 4 * r->n_workspace : FIRST_WORKSPACE;
  int *new = n <= LAST_WORKSPACE ? sumi_alloc(r->allocator, n * sizeof *new) : NULL;
  if (!new) return false;
  sumi_free(r->allocator, r->workspace, r->n_workspace * sizeof *r->workspace);
  r->workspace = new;
  r->n_workspace = n;
  return true;
}

static sumi_status full_match(struct regex *r, struct sumi_str s, bool *yes, struct sumi_err *err) {
  const PCRE2_SPTR text = (PCRE2_SPTR)(s.data ? s.data : "");
  int result = PCRE2_ERROR_DFA_WSSIZE;
  while (result == PCRE2_ERROR_DFA_WSSIZE) {
    if (r->workspace)
      result = pcre2_dfa_match(r->code, text, s.size, 0, 0, r->match, NULL, r->workspace, r->n_workspace);
    if (result == PCRE2_ERROR_DFA_WSSIZE && !grow_workspace(r)) SUMI_FAIL_MEMORY(err);
  }
  const bool no_text = result <= PCRE2_ERROR_UTF8_ERR1 && result >= PCRE2_ERROR_UTF8_ERR21;
  *yes = result >= 0 && pcre2_get_ovector_pointer(r->match)[1] == s.size; /* the longest match comes first */
  if (result >= 0 || result == PCRE2_ERROR_NOMATCH || no_text) return SUMI_OK;
  PCRE2_UCHAR why[128] = "";
  pcre2_get_error_message(result, why, sizeof why);
  SUMI_FAIL(err, SUMI_E_LIMIT, "the match was given up: %s", (const char *)why);
}

static sumi_status check_pattern(const struct sumi_infer *ctx) {
  struct regex r;
  const sumi_status status = regex_init(&r, ctx->node, ctx->arena->allocator, ctx->err);
  regex_fini(&r);
  return status;
}

static sumi_status match_all(const struct sumi_call *c) {
  struct regex r;
  const struct sumi_str *x = c->in[0]->data;
  const int64_t n = sumi_tensor_count(c->in[0]);
  sumi_status status = regex_init(&r, c->node, c->heap->allocator, c->err);
  for (int64_t i = 0; i < n && status == SUMI_OK; i++) {
    bool yes = false;
    status = full_match(&r, x[i], &yes, c->err);
    ((uint8_t *)c->out[0]->data)[i] = yes;
  }
  regex_fini(&r);
  return status;
}

#else

static sumi_status check_pattern(const struct sumi_infer *ctx) {
  SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "this build has no regular expressions: it was made without PCRE2");
}

static sumi_status match_all(const struct sumi_call *c) {
  SUMI_FAIL(c->err, SUMI_E_UNSUPPORTED, "this build has no regular expressions: it was made without PCRE2");
}

#endif

static sumi_status regex_full_match_infer(struct sumi_infer *ctx) {
  SUMI_TRY(check_pattern(ctx));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_BOOL);
  return SUMI_OK;
}

static sumi_status regex_full_match_ref(const struct sumi_call *c) {
  SUMI_TRY(sumi_call_output(c, 0, SUMI_BOOL, c->in[0]->rank, c->in[0]->dim));
  return sumi_call_wants(c, 0) ? match_all(c) : SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"pattern", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_BIT(SUMI_STRING)}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_BIT(SUMI_BOOL)}, {NULL}};
#ifdef SUMI_HAVE_PCRE2
static const struct sumi_case regex_cases[] = {
    {"g (int32[4,9] x) => (y) { s = Cast <to = 8> (x) y = RegexFullMatch <pattern = \"[0-3]|(5|6)+$\"> (s) "
     "}"},
    {NULL},
};
#else
#define regex_cases NULL
#endif

const struct sumi_op sumi_op_regex_full_match = {
    .name = "RegexFullMatch",
    .formula = "the whole string matches a pattern",
    .known_as = {{"", "RegexFullMatch", {20}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_DYNAMIC, /* the pattern is compiled into memory when it runs */
    .infer = regex_full_match_infer,
    .ref = regex_full_match_ref,
    .cases = regex_cases,
};
