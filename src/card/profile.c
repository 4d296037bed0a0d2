/* The tables of parameters and cards. */
#include "card/profile.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"

const struct sumi_card_param_info sumi_card_params[SUMI_CARD_N_PARAMS] = {
#define SUMI_CARD_PARAM(name, value, least, most, letter, unit, source) \
  {#name, unit, source, value, least, most, letter},
#include "card/params.def"
#undef SUMI_CARD_PARAM
};

struct change {
  enum sumi_card_param param;
  int64_t value;
  char letter;
  const char *source;
};

enum { MAX_CHANGES = 8 };

static const struct {
  const char *name;
  struct change change[MAX_CHANGES + 1]; /* ends with one that has no source */
} profiles[] = {
#define SUMI_CARD_SET(param, value, letter, source) {SUMI_CARD_P_##param, value, letter, source},
#define SUMI_CARD_PROFILE(name, changes) {name, {changes}},
#include "card/profiles.def"
#undef SUMI_CARD_PROFILE
#undef SUMI_CARD_SET
};

const char *sumi_card_profile_name(size_t i) { return i < SUMI_COUNT(profiles) ? profiles[i].name : NULL; }

static sumi_status unknown(const char *name, struct sumi_err *err) {
  char known[200] = "";
  for (size_t i = 0, at = 0; i < SUMI_COUNT(profiles) && at < sizeof known; i++)
    at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", profiles[i].name);
  SUMI_FAIL(err, SUMI_E_VALUE, "card '%.40s' is not known; there are %s", name, known);
}

sumi_status sumi_card_profile_find(const char *name, struct sumi_card_profile *out, struct sumi_err *err) {
  size_t i = 0;
  while (i < SUMI_COUNT(profiles) && !sumi_streq(profiles[i].name, name)) i++;
  if (i == SUMI_COUNT(profiles)) return unknown(name, err);
  memset(out, 0, sizeof *out);
  snprintf(out->name, sizeof out->name, "%s", name);
  for (int p = 0; p < SUMI_CARD_N_PARAMS; p++) {
    out->value[p] = sumi_card_params[p].value;
    out->letter[p] = sumi_card_params[p].letter;
    out->source[p] = sumi_card_params[p].source;
  }
  for (const struct change *c = profiles[i].change; c->source; c++) {
    out->value[c->param] = c->value;
    out->letter[c->param] = c->letter;
    out->source[c->param] = c->source;
  }
  return SUMI_OK;
}

static sumi_status check_range(int p, int64_t value, struct sumi_err *err) {
  const struct sumi_card_param_info *info = &sumi_card_params[p];
  if (value < info->least || value > info->most)
    SUMI_FAIL(err, SUMI_E_VALUE, "card parameter '%s' is %lld; it reaches from %lld to %lld", info->name,
              (long long)value, (long long)info->least, (long long)info->most);
  return SUMI_OK;
}

sumi_status sumi_card_profile_set(struct sumi_card_profile *p, const char *name, int64_t value,
                                  const char *source, struct sumi_err *err) {
  for (int i = 0; i < SUMI_CARD_N_PARAMS; i++) {
    if (!sumi_streq(sumi_card_params[i].name, name)) continue;
    SUMI_TRY(check_range(i, value, err));
    p->value[i] = value;
    p->letter[i] = 'A';
    p->source[i] = source;
    return SUMI_OK;
  }
  SUMI_FAIL(err, SUMI_E_VALUE, "card parameter '%.40s' is not known", name);
}

enum { MAX_LINE = 128 };

/* The part of line [begin, end) without blanks around it, copied and terminated. */
static void trim(const char *begin, const char *end, char out[MAX_LINE]) {
  while (begin < end && (*begin == ' ' || *begin == '\t')) begin++;
  while (end > begin && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
  memcpy(out, begin, (size_t)(end - begin));
  out[end - begin] = 0;
}

/* Digits only: no parameter is negative. */
static bool read_whole(const char *s, int64_t *out) {
  *out = 0;
  if (!*s) return false;
  for (; *s >= '0' && *s <= '9'; s++)
    if (!sumi_i64_mul(*out, 10, out) || !sumi_i64_add(*out, *s - '0', out)) return false;
  return !*s;
}

/* Both sides of "name = value" without the blanks around them; text has no more than MAX_LINE - 1 bytes. */
static sumi_status split(const char *text, char name[MAX_LINE], char value[MAX_LINE], struct sumi_err *err) {
  const char *is = strchr(text, '=');
  if (!is) SUMI_FAIL(err, SUMI_E_FORMAT, "'%.60s' has no =", text);
  trim(text, is, name);
  trim(is + 1, text + strlen(text), value);
  return SUMI_OK;
}

static sumi_status assign(struct sumi_card_profile *p, const char *name, const char *value,
                          const char *source, struct sumi_err *err) {
  int64_t number;
  if (!read_whole(value, &number))
    SUMI_FAIL(err, SUMI_E_FORMAT, "card parameter '%.40s' is '%.40s', not a whole number", name, value);
  return sumi_card_profile_set(p, name, number, source, err);
}

sumi_status sumi_card_profile_assign(struct sumi_card_profile *p, const char *setting, const char *source,
                                     struct sumi_err *err) {
  char name[MAX_LINE], value[MAX_LINE];
  if (strlen(setting) >= MAX_LINE)
    SUMI_FAIL(err, SUMI_E_FORMAT, "'%.60s...' is no setting of a card", setting);
  SUMI_TRY(split(setting, name, value, err));
  return assign(p, name, value, source, err);
}

static sumi_status read_line(const char *line, struct sumi_card_profile *p, bool first,
                             struct sumi_err *err) {
  char name[MAX_LINE], value[MAX_LINE];
  SUMI_TRY(split(line, name, value, err));
  if (sumi_streq(name, "card") && !first) SUMI_FAIL(err, SUMI_E_FORMAT, "'card' comes after a parameter");
  if (sumi_streq(name, "card")) return sumi_card_profile_find(value, p, err);
  if (!sumi_streq(name, "name")) return assign(p, name, value, "parameter file", err);
  if (strlen(value) >= sizeof p->name) SUMI_FAIL(err, SUMI_E_VALUE, "the name '%.40s' is too long", value);
  memcpy(p->name, value, strlen(value) + 1);
  return SUMI_OK;
}

sumi_status sumi_card_profile_parse(const char *text, size_t n, struct sumi_card_profile *out,
                                    struct sumi_err *err) {
  SUMI_TRY(sumi_card_profile_find(profiles[0].name, out, err));
  bool first = true;
  int number = 1;
  for (const char *at = text, *all = text + n; at < all; number++) {
    const char *end = memchr(at, '\n', (size_t)(all - at)), *next = end ? end + 1 : all;
    if (!end) end = all;
    const char *comment = memchr(at, '#', (size_t)(end - at));
    char line[MAX_LINE];
    if (comment) end = comment;
    if (end - at >= MAX_LINE || memchr(at, 0, (size_t)(end - at)))
      SUMI_FAIL(err, SUMI_E_FORMAT, "line %d is no line of a card's parameters", number);
    trim(at, end, line);
    at = next;
    if (!*line) continue;
    const sumi_status status = read_line(line, out, first, err);
    if (status != SUMI_OK) return sumi_err_prefix(err, status, "line %d", number);
    first = false;
  }
  return sumi_card_profile_check(out, err);
}

/* Addresses have 28 bits for a core's SRAM; lines are powers of two so that they never straddle. */
sumi_status sumi_card_profile_check(const struct sumi_card_profile *p, struct sumi_err *err) {
  for (int i = 0; i < SUMI_CARD_N_PARAMS; i++) SUMI_TRY(check_range(i, p->value[i], err));
  const int64_t line = SUMI_CARD_VALUE(p, sram_line), burst = SUMI_CARD_VALUE(p, dram_burst);
  if (line & (line - 1) || burst & (burst - 1))
    SUMI_FAIL(err, SUMI_E_VALUE, "card '%s': sram_line is %lld, dram_burst %lld; both are powers of two",
              p->name, (long long)line, (long long)burst);
  if (SUMI_CARD_VALUE(p, spu_pixels) * SUMI_CARD_VALUE(p, spu_outputs) * SUMI_CARD_VALUE(p, spu_banks) >
      1 << 20)
    SUMI_FAIL(err, SUMI_E_VALUE, "card '%s': more than 2^20 multipliers in a core", p->name);
  if (SUMI_CARD_VALUE(p, sram_bytes) % line || SUMI_CARD_VALUE(p, acc_bytes) % 4)
    SUMI_FAIL(err, SUMI_E_VALUE, "card '%s': SRAM is whole lines, accumulators are whole words", p->name);
  return SUMI_OK;
}
