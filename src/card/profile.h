/* Parameters of a card: what the simulator builds and a compiler may plan with. Every one has a value, a letter (K = documented,
 * D = derived, A = assumed) and a source in words; all can be read and set by name. */
#ifndef SUMI_CARD_PROFILE_H
#define SUMI_CARD_PROFILE_H

#include "base/status.h"

enum sumi_card_param {
#define SUMI_CARD_PARAM(name, value, least, most, letter, unit, source) SUMI_CARD_P_##name,
#include "card/params.def"
#undef SUMI_CARD_PARAM
  SUMI_CARD_N_PARAMS
};

struct sumi_card_param_info {
  const char *name, *unit, *source; /* source and letter: of the value in params.def */
  int64_t value, least, most;
  char letter;
};
extern const struct sumi_card_param_info sumi_card_params[SUMI_CARD_N_PARAMS];

enum { SUMI_CARD_NAME_BYTES = 32 };

/* A value, so it may be copied and changed. profile.value[SUMI_CARD_P_cores] reads a parameter. */
struct sumi_card_profile {
  char name[SUMI_CARD_NAME_BYTES];
  int64_t value[SUMI_CARD_N_PARAMS];
  char letter[SUMI_CARD_N_PARAMS];
  const char *source[SUMI_CARD_N_PARAMS]; /* static, or the caller's for as long as the profile is used */
};

/* Names of the known cards, the first the default; NULL from n on. */
const char *sumi_card_profile_name(size_t i);

/* SUMI_E_VALUE: no such card; the text lists those there are. */
sumi_status sumi_card_profile_find(const char *name, struct sumi_card_profile *out, struct sumi_err *err);

/* Sets a parameter by name; it gets letter 'A' and the source given. SUMI_E_VALUE: no such parameter, or out of its range. */
sumi_status sumi_card_profile_set(struct sumi_card_profile *p, const char *name, int64_t value,
                                  const char *source, struct sumi_err *err);

/* The same from text, "parameter=value". SUMI_E_FORMAT: it is something else. */
sumi_status sumi_card_profile_assign(struct sumi_card_profile *p, const char *setting, const char *source,
                                     struct sumi_err *err);

/* Reads a card from text: lines "parameter = value", "card = NAME" (a known card to begin with, else the first one) ahead of all others, "name =
 * TEXT"; empty lines and what follows # are left out. SUMI_E_FORMAT, SUMI_E_VALUE: the sentence has the line. */
sumi_status sumi_card_profile_parse(const char *text, size_t n, struct sumi_card_profile *out,
                                    struct sumi_err *err);

/* Whether all values lie in their ranges and fit each other. */
sumi_status sumi_card_profile_check(const struct sumi_card_profile *p, struct sumi_err *err);

#define SUMI_CARD_VALUE(profile, param) ((profile)->value[SUMI_CARD_P_##param])

#endif
