/* Simulated cards: a chip of room sim behind the driver of device antoum. Only this room knows that it is simulated. */
#include <sumi/card.h>

#include "api/card_int.h"

const char *sumi_card_known(size_t i) { return sumi_card_profile_name(i); }

static sumi_status set_parameters(const struct sumi_card_options *o, struct sumi_card_profile *p,
                                  struct sumi_err *err) {
  if (o->parameters && o->card)
    SUMI_FAIL(err, SUMI_E_ARG, "a card's name and parameters are given; one of them is enough");
  if (o->parameters)
    SUMI_TRY(sumi_card_profile_parse(o->parameters, o->parameter_bytes, p, err));
  else
    SUMI_TRY(sumi_card_profile_find(o->card ? o->card : sumi_card_profile_name(0), p, err));
  for (size_t i = 0; i < o->n_settings; i++)
    SUMI_TRY(sumi_card_profile_assign(p, o->settings[i], "set by hand", err));
  return sumi_card_profile_check(p, err);
}

static sumi_status set_energy(const char *name, enum sumi_sim_energy_profile *out, struct sumi_err *err) {
  const bool optimistic = name && sumi_streq(name, "optimistic");
  if (name && !optimistic && !sumi_streq(name, "conservative"))
    SUMI_FAIL(err, SUMI_E_VALUE, "energy '%.40s' is neither conservative nor optimistic", name);
  *out = optimistic ? SUMI_SIM_OPTIMISTIC : SUMI_SIM_CONSERVATIVE;
  return SUMI_OK;
}

static sumi_status set_options(const struct sumi_card_options *o, struct antoum_options *to,
                               struct sumi_err *err) {
  if (o->k && (o->k < 1 || o->k > SUMI_CARD_BANK || o->k & (o->k - 1)))
    SUMI_FAIL(err, SUMI_E_VALUE, "k is %d; a bank keeps 1, 2, 4, 8, 16 or 32 weights", o->k);
  if (o->x_top < 0 || o->x_top >= SUMI_CARD_BANK)
    SUMI_FAIL(err, SUMI_E_VALUE, "x_top is %d; it reaches from 0 to %d", o->x_top, SUMI_CARD_BANK - 1);
  if (!(o->x_density >= 0 && o->x_density <= 1))
    SUMI_FAIL(err, SUMI_E_VALUE, "x_density is %g; it reaches from 0 to 1", o->x_density);
  *to = (struct antoum_options){.k = o->k, .dual = o->dual, .x_top = o->x_top, .x_density = o->x_density};
  return SUMI_OK;
}

static void trace(void *user, const struct sumi_sim_event *event) {
  const struct sumi_card_owner *w = user;
  if (w->on_event) w->on_event(w, event);
}

static sumi_status open_chip(struct sumi_card_owner *w, struct sumi_sim_options sim, struct sumi_err *err) {
  const struct sumi_allocator *a = &w->card.allocator;
  sim.trace = trace;
  sim.user = w;
  SUMI_TRY(sumi_sim_open(&w->card.profile, &sim, a, &w->sim, &w->card.bus, err));
  return antoum_driver_open(&w->card.bus, a, &w->card.driver, err);
}

sumi_status sumi_card_open(const struct sumi_card_options *options, struct sumi_card **card,
                           struct sumi_err *err) {
  struct sumi_card_options o;
  struct sumi_card_profile profile;
  struct sumi_sim_options sim = {0};
  struct antoum_options antoum;
  SUMI_TAKE(o, options);
  if (!card) SUMI_FAIL(err, SUMI_E_ARG, "no place for the card is given");
  *card = NULL;
  SUMI_TRY(set_parameters(&o, &profile, err));
  SUMI_TRY(set_energy(o.energy, &sim.energy, err));
  SUMI_TRY(set_options(&o, &antoum, err));
  sim.timing_only = o.timing_only;
  const struct sumi_allocator *a = o.allocator ? o.allocator : sumi_allocator_default();
  struct sumi_card_owner *w = sumi_alloc(a, sizeof *w);
  if (!w) SUMI_FAIL_MEMORY(err);
  w->card.allocator = *a;
  w->card.profile = profile;
  w->card.options = antoum;
  w->card.owner = w;
  const sumi_status status = open_chip(w, sim, err);
  if (status == SUMI_OK)
    *card = &w->card;
  else
    sumi_card_close(&w->card);
  return status;
}

void sumi_card_close(struct sumi_card *card) {
  if (!card) return;
  struct sumi_card_owner *w = card->owner;
  const struct sumi_allocator a = card->allocator;
  antoum_driver_close(card->driver);
  sumi_sim_close(w->sim);
  sumi_free(&a, w, sizeof *w);
}

bool sumi_card_parameter(const struct sumi_card *card, size_t i, struct sumi_card_parameter *out) {
  if (!card || !out || i >= SUMI_CARD_N_PARAMS) return false;
  struct sumi_card_parameter p = {.name = sumi_card_params[i].name,
                                  .unit = sumi_card_params[i].unit,
                                  .source = card->profile.source[i],
                                  .letter = card->profile.letter[i],
                                  .value = card->profile.value[i]};
  SUMI_GIVE(out, p);
  return true;
}

_Static_assert(SUMI_CARD_N_ENGINES == (int)SUMI_CARD_ENGINES, "card.h counts the engines of word.h");
const char *sumi_card_engine_label(size_t i) {
  return i < SUMI_CARD_ENGINES ? sumi_card_engine_name((unsigned)i) : NULL;
}
