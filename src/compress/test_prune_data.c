/* Samples in two parts: whole batches, none in both, order kept; too few are not parted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "compress/prune_data.h"

enum { MOST = 100 };

struct asked {
  size_t first, n;
};

static sumi_status get(void *user, size_t first, size_t n, const struct sumi_view **views, size_t *n_views,
                       struct sumi_err *err) {
  (void)views, (void)n_views, (void)err;
  *(struct asked *)user = (struct asked){first, n};
  return SUMI_OK;
}

/* Reads the part batch by batch; how often each sample came is added to seen. */
static void read_part(const struct sumi_samples_part *part, size_t batch, const struct asked *asked,
                      int *seen) {
  size_t behind = 0;
  for (size_t at = 0; at < part->samples.n; at += batch) {
    const size_t n = part->samples.n - at < batch ? part->samples.n - at : batch;
    assert_int_equal(part->samples.get(part->samples.user, at, n, NULL, NULL, NULL), SUMI_OK);
    assert_int_equal(asked->n, n);
    assert_true(asked->first >= behind && asked->first % batch == 0);
    behind = asked->first + n;
    for (size_t i = asked->first; i < behind; i++) seen[i]++;
  }
}

static void parted(void **state) {
  (void)state;
  for (size_t n = 1; n <= MOST; n++)
    for (size_t batch = 1; batch <= 9; batch += 4) {
      struct asked asked;
      const struct sumi_samples all = {.size = sizeof all, .n = n, .get = get, .user = &asked};
      struct sumi_samples_part most, apart;
      int in_most[MOST] = {0}, in_apart[MOST] = {0};
      sumi_samples_split(&all, batch, &most, &apart);
      read_part(&most, batch, &asked, in_most);
      read_part(&apart, batch, &asked, in_apart);
      const bool few = n / batch < 4;
      assert_int_equal(apart.samples.n, few ? n : n / batch / 4 * batch);
      assert_int_equal(most.samples.n, few ? n : 3 * apart.samples.n);
      for (size_t i = 0; i < n; i++) {
        const bool rest = !few && i >= 4 * apart.samples.n;
        assert_int_equal(in_most[i] + in_apart[i], few ? 2 : rest ? 0 : 1);
        if (!few && !rest) assert_int_equal(in_apart[i], i / batch % 4 == 3);
      }
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(parted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
