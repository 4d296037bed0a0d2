/* Building, editing, closing and cloning graphs; the n-th allocation fails for every n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem_test.h"
#include "base/size.h"
#include "graph/op.h"

static const struct sumi_op any_op = {.name = "Any"};

static struct sumi_node *add(struct sumi_graph *g, const char *name, struct sumi_value **in, int n_in,
                             const char *out) {
  struct sumi_value *v = sumi_graph_add_value(g, out);
  return v ? sumi_graph_add_node(g, name, &any_op, "Any", 1, in, n_in, &v, 1) : NULL;
}

/* a -> n1 -> b -> n2(b, c) -> d; c constant; d output */
struct small {
  struct sumi_graph *g;
  struct sumi_value *a, *b, *c, *d;
  struct sumi_node *n1, *n2;
};

static bool make_small(const struct sumi_allocator *alloc, struct small *s) {
  *s = (struct small){.g = sumi_graph_new(alloc, "small")};
  if (!s->g) return false;
  struct sumi_blob *blob = sumi_blob_new(s->g->allocator, 8);
  if (!blob) return false;
  ((float *)sumi_blob_bytes(blob))[1] = 2;
  const struct sumi_tensor t = {.dtype = SUMI_FLOAT32, .rank = 1, .dim = {2}, .data = sumi_blob_bytes(blob)};
  s->c = sumi_graph_add_constant(s->g, "c", &t, blob);
  if (!s->c) return false;
  s->a = sumi_graph_add_input(s->g, "a", NULL);
  if (!s->a || !(s->n1 = add(s->g, "n1", &s->a, 1, "b"))) return false;
  s->b = s->n1->out[0];
  struct sumi_value *in[] = {s->b, s->c};
  if (!(s->n2 = add(s->g, "n2", in, 2, "d"))) return false;
  s->d = s->n2->out[0];
  return sumi_graph_add_output(s->g, s->d) && sumi_node_set_int(s->n1, "axis", 3, NULL) == SUMI_OK &&
         sumi_node_set_string(s->n1, "mode", "up", NULL) == SUMI_OK &&
         sumi_graph_set_metadata(s->g, "k", "v");
}

/* Every use of every value is in its list, and nothing else is. */
static void check_uses(const struct sumi_graph *g) {
  for (size_t i = 0; i < g->n_value; i++) {
    const struct sumi_value *v = g->value[i];
    size_t listed = 0, real = 0;
    for (const struct sumi_use *u = v->first_use; u; u = u->next, listed++) {
      assert_ptr_equal(*u->link, u);
      assert_ptr_equal(u->node ? u->node->in[u->index] : g->output[u->index], v);
    }
    for (size_t k = 0; k < g->n_node; k++)
      for (int j = 0; j < g->node[k]->n_in; j++) real += g->node[k]->in[j] == v;
    for (size_t k = 0; k < g->n_output; k++) real += g->output[k] == v;
    assert_int_equal(listed, real);
    assert_int_equal(v->n_use, real);
    assert_int_equal(v->id, i);
    assert_ptr_equal(sumi_graph_find_value(g, v->name), v);
  }
}

static void test_build(void **state) {
  (void)state;
  struct small s;
  assert_true(make_small(NULL, &s));
  check_uses(s.g);
  assert_ptr_equal(s.b->producer, s.n1);
  assert_ptr_equal(sumi_graph_find_node(s.g, "n2"), s.n2);
  assert_null(sumi_graph_find_value(s.g, "z"));
  assert_int_equal(s.c->info.dtype, SUMI_FLOAT32);
  assert_true(s.a->is_input && s.d->is_output && !s.b->is_output);
  /* names: taken ones are made unique, missing ones made up */
  struct sumi_value *again = sumi_graph_add_value(s.g, "a"), *none = sumi_graph_add_value(s.g, NULL);
  assert_string_not_equal(again->name, "a");
  assert_true(strlen(none->name) > 0);
  struct sumi_node *n = sumi_graph_add_node(s.g, "n1", &any_op, "x.y.Any", 1, NULL, 0, NULL, 0);
  assert_string_not_equal(n->name, "n1");
  n = sumi_graph_add_node(s.g, NULL, &any_op, "x.y.Any", 1, NULL, 0, NULL, 0);
  assert_int_equal(strncmp(n->name, "Any_", 4), 0);
  check_uses(s.g);
  sumi_graph_free(s.g);
}

static void test_inputs(void **state) {
  (void)state;
  struct small s;
  assert_true(make_small(NULL, &s));
  sumi_node_set_input(s.n2, 1, s.b);
  check_uses(s.g);
  assert_int_equal(sumi_graph_count_uses(s.g, s.c), 0);
  sumi_node_set_input(s.n2, 0, NULL);
  for (int i = 0; i < 100; i++)
    assert_true(sumi_node_add_input(s.n2, i % 3 == 0 ? s.b : i % 3 == 1 ? s.c : NULL));
  for (int i = 0; i < 50; i++) assert_true(sumi_graph_add_output(s.g, i % 2 ? s.b : s.a));
  check_uses(s.g);
  assert_int_equal(s.n2->n_in, 102);
  sumi_graph_free(s.g);
}

static void test_replace(void **state) {
  (void)state;
  struct small s;
  assert_true(make_small(NULL, &s));
  assert_true(sumi_graph_replace_uses(s.g, s.b, s.a));
  check_uses(s.g);
  assert_ptr_equal(s.n2->in[0], s.a);
  /* an output keeps its name */
  assert_true(sumi_graph_replace_uses(s.g, s.d, s.b));
  check_uses(s.g);
  assert_ptr_equal(s.g->output[0], s.b);
  assert_string_equal(s.b->name, "d");
  assert_string_equal(s.d->name, "b");
  assert_true(s.b->is_output && !s.d->is_output);
  /* an input cannot take an output's name */
  assert_false(sumi_graph_replace_uses(s.g, s.b, s.a));
  assert_ptr_equal(s.g->output[0], s.b);
  assert_true(sumi_graph_replace_uses(s.g, s.a, s.a));
  check_uses(s.g);
  sumi_graph_free(s.g);
}

static void test_remove_and_tidy(void **state) {
  (void)state;
  struct small s;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_true(make_small(NULL, &s));
  sumi_graph_replace_uses(s.g, s.b, s.a);
  sumi_graph_remove_node(s.g, s.n1);
  sumi_graph_remove_node(s.g, s.n1); /* twice is once */
  assert_true(sumi_node_removed(s.n1));
  assert_null(s.b->producer);
  assert_null(sumi_graph_find_node(s.g, "n1"));
  sumi_node_set_input(s.n2, 1, NULL);
  struct sumi_node *late = add(s.g, "n1", &s.a, 1, "e"); /* the name is free again */
  assert_string_equal(late->name, "n1");
  sumi_node_set_input(s.n2, 0, late->out[0]);
  assert_int_equal(sumi_graph_tidy(s.g, &err), SUMI_OK);
  check_uses(s.g);
  assert_int_equal(s.g->n_node, 2);
  assert_ptr_equal(s.g->node[0], late); /* sorted */
  assert_ptr_equal(s.g->node[1], s.n2);
  assert_int_equal(s.n2->id, 1);
  assert_int_equal(s.g->n_value, 3); /* a, e, d; b and the constant are gone */
  assert_null(sumi_graph_find_value(s.g, "c"));
  /* a cycle is named */
  sumi_node_set_input(late, 0, s.d);
  assert_int_equal(sumi_graph_tidy(s.g, &err), SUMI_E_FORMAT);
  assert_non_null(strstr(err.text, "cycle"));
  sumi_graph_free(s.g);
}

static void test_tidy_keeps_order(void **state) {
  (void)state;
  enum { N = 1000 };
  struct sumi_graph *g = sumi_graph_new(NULL, "g");
  struct sumi_node *node[N];
  struct sumi_value *x = sumi_graph_add_input(g, "x", NULL);
  for (int i = 0; i < N; i++) node[i] = add(g, NULL, &x, 1, NULL);
  /* i takes what i - 3 makes, or for every tenth what its successor makes */
  for (int i = 3; i < N - 1; i++) sumi_node_set_input(node[i], 0, node[i % 10 ? i - 3 : i + 1]->out[0]);
  for (int i = 11; i < N; i += 10) sumi_node_set_input(node[i], 0, x);
  assert_int_equal(sumi_graph_tidy(g, NULL), SUMI_OK);
  for (int i = 0; i < N; i++) {
    const struct sumi_node *n = g->node[i];
    assert_int_equal(n->id, i);
    if (n->in[0]->producer) assert_true(n->in[0]->producer->id < n->id);
    if (i) assert_true(n->id <= (size_t)i);
  }
  for (int i = 2; i < N - 1; i++) /* only the pulled ones moved, by one */
    if (i % 10 > 1) assert_int_equal(node[i]->id, i);
  struct sumi_node *before[N];
  memcpy(before, g->node, sizeof before);
  assert_int_equal(sumi_graph_tidy(g, NULL), SUMI_OK);
  assert_memory_equal(before, g->node, sizeof before);
  sumi_graph_free(g);
}

static void test_attributes(void **state) {
  (void)state;
  struct small s;
  assert_true(make_small(NULL, &s));
  struct sumi_node *n = s.n1;
  const int64_t ints[] = {1, -2, 3};
  const float floats[] = {0.5f, 2};
  const struct sumi_str strings[] = {{"a\0b", 3}, {"", 0}};
  assert_int_equal(sumi_node_set_ints(n, "ints", ints, 3, NULL), SUMI_OK);
  assert_int_equal(sumi_node_set_floats(n, "floats", floats, 2, NULL), SUMI_OK);
  assert_int_equal(sumi_node_set_strings(n, "strings", strings, 2, NULL), SUMI_OK);
  assert_int_equal(sumi_node_set_ints(n, "none", NULL, 0, NULL), SUMI_OK);
  assert_int_equal(sumi_node_set_float(n, "f", 1.5f, NULL), SUMI_OK);
  assert_int_equal(sumi_node_set_int(n, "axis", -1, NULL), SUMI_OK); /* replaced, not added */
  int count;
  assert_int_equal(sumi_attr_int(n, "axis", 0), -1);
  assert_int_equal(n->n_attr, 7);
  assert_int_equal(sumi_attr_int(n, "missing", 9), 9);
  assert_int_equal(sumi_attr_int(n, "f", 9), 9); /* another type */
  assert_true(sumi_attr_float(n, "f", 0) == 1.5f);
  assert_memory_equal(sumi_attr_ints(n, "ints", &count), ints, sizeof ints);
  assert_int_equal(count, 3);
  assert_memory_equal(sumi_attr_floats(n, "floats", &count), floats, sizeof floats);
  assert_non_null(sumi_attr_ints(n, "none", &count));
  assert_int_equal(count, 0);
  assert_null(sumi_attr_ints(n, "missing", &count));
  assert_int_equal(count, 0);
  const struct sumi_attr *a = sumi_node_attr(n, "strings");
  assert_int_equal(a->u.strings[0].size, 3);
  assert_memory_equal(a->u.strings[0].data, "a\0b", 4);
  assert_true(sumi_attr_is(n, "mode", "down", "up") && sumi_attr_is(n, "missing", "down", "down"));
  assert_false(sumi_attr_is(n, "missing", NULL, "down"));
  sumi_node_remove_attr(n, "mode");
  sumi_node_remove_attr(n, "mode");
  assert_null(sumi_node_attr(n, "mode"));
  assert_int_equal(sumi_attr_int(n, "axis", 0), -1);
  assert_non_null(sumi_node_attr(n, "f"));
  sumi_graph_free(s.g);
}

/* outer x, y; If1(x) { body A: If2(own p) { body B: uses x, y, A's q } uses y; gives x } { body C: gives y } */
struct nested {
  struct sumi_graph *g, *a, *b, *c;
  struct sumi_node *if1, *if2, *in_b;
};

static bool make_nested(const struct sumi_allocator *alloc, struct nested *s) {
  *s = (struct nested){.g = sumi_graph_new(alloc, "outer")};
  if (!s->g) return false;
  struct sumi_value *x = sumi_graph_add_input(s->g, "x", NULL), *y = sumi_graph_add_input(s->g, "y", NULL);
  s->if1 = x && y ? add(s->g, "if1", &x, 1, "z") : NULL;
  if (!s->if1 || !sumi_graph_add_output(s->g, s->if1->out[0])) return false;
  s->a = sumi_graph_new_body(s->g, "a");
  s->c = sumi_graph_new_body(s->g, "c");
  if (!s->a || !s->c || sumi_node_set_graph(s->if1, "then", s->a, NULL) ||
      sumi_node_set_graph(s->if1, "else", s->c, NULL))
    return false;
  struct sumi_node *p = add(s->a, "p", &y, 1, "p");
  struct sumi_node *q = p ? add(s->a, "q", p->out, 1, "y") : NULL; /* a value of its own by the name of y */
  s->if2 = q ? add(s->a, "if2", q->out, 1, "r") : NULL;
  s->b = s->if2 ? sumi_graph_new_body(s->a, "b") : NULL;
  if (!s->b || sumi_node_set_graph(s->if2, "then", s->b, NULL)) return false;
  struct sumi_value *in[] = {x, y, q->out[0], x};
  s->in_b = add(s->b, "n", in, 4, "s");
  return s->in_b && sumi_graph_add_output(s->b, s->in_b->out[0]) &&
         sumi_graph_add_output(s->a, s->if2->out[0]) && sumi_graph_add_output(s->a, x) &&
         sumi_graph_add_output(s->c, y);
}

static void test_close(void **state) {
  (void)state;
  struct nested s;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_true(make_nested(NULL, &s));
  for (int round = 0; round < 2; round++) { /* the second changes nothing */
    assert_int_equal(sumi_graph_close_bodies(s.g, &err), SUMI_OK);
    const struct sumi_graph *all[] = {s.g, s.a, s.b, s.c};
    for (size_t i = 0; i < SUMI_COUNT(all); i++) check_uses(all[i]);
    /* b takes x, y and a's y; a takes y and x; c takes them as well, though it uses y alone */
    assert_int_equal(s.b->n_input, 3);
    assert_int_equal(s.if2->n_captured, 3);
    assert_int_equal(s.if2->n_in, 4);
    assert_int_equal(s.a->n_input, 2);
    assert_int_equal(s.c->n_input, 2);
    assert_int_equal(s.if1->n_captured, 2);
    assert_int_equal(s.if1->n_in, 3);
    assert_string_equal(s.b->input[0]->name, "x");
    assert_string_equal(s.b->input[1]->name, "y");
    assert_ptr_equal(s.in_b->in[0], s.b->input[0]);
    assert_ptr_equal(s.in_b->in[1], s.b->input[1]);
    assert_ptr_equal(s.in_b->in[2], s.b->input[2]);
    assert_ptr_equal(s.in_b->in[3], s.b->input[0]);
    assert_string_equal(s.if1->in[1]->name, "y");
    assert_string_equal(s.if1->in[2]->name, "x");
    assert_string_not_equal(s.a->input[0]->name, "y"); /* taken by a's own */
    assert_ptr_equal(s.if2->in[2], s.a->input[0]);
    assert_ptr_equal(s.if2->in[1], s.a->input[1]);
    assert_string_equal(s.if2->in[3]->name, "y");
    assert_ptr_equal(s.a->output[1], s.a->input[1]);
    assert_ptr_equal(s.c->output[0], s.c->input[0]);
    assert_true(s.c->input[0]->is_output && !s.g->value[1]->is_output);
  }
  /* a value of a body does not exist outside */
  sumi_node_set_input(s.if1, 0, s.in_b->out[0]);
  assert_int_equal(sumi_graph_close_bodies(s.g, &err),
                   SUMI_OK); /* that is the root's own fault: the verifier's */
  struct sumi_node *bad = add(s.c, "bad", &s.in_b->out[0], 1, "w");
  assert_non_null(bad);
  assert_int_equal(sumi_graph_close_bodies(s.g, &err), SUMI_E_FORMAT);
  assert_non_null(strstr(err.text, "bad"));
  sumi_graph_free(s.g);
}

static void test_scope(void **state) {
  (void)state;
  struct nested s;
  assert_true(make_nested(NULL, &s));
  assert_ptr_equal(sumi_graph_find_in_scope(s.b, "x"), s.g->input[0]);
  assert_ptr_equal(sumi_graph_find_in_scope(s.b, "y"), sumi_graph_find_value(s.a, "y"));
  assert_ptr_equal(sumi_graph_find_in_scope(s.c, "y"), s.g->input[1]);
  assert_null(sumi_graph_find_in_scope(s.c, "s"));
  struct sumi_graph *deep = s.b;
  for (int i = 0; deep && i < 200; i++) deep = sumi_graph_new_body(deep, "deep");
  assert_null(deep);
  sumi_graph_free(s.g);
}

static void test_clone(void **state) {
  (void)state;
  struct nested s;
  struct small t;
  assert_true(make_nested(NULL, &s) && make_small(NULL, &t));
  assert_int_equal(sumi_graph_close_bodies(s.g, NULL), SUMI_OK);
  struct sumi_graph *copy = sumi_graph_clone(s.g, NULL), *of_body = sumi_graph_clone(s.a, NULL),
                    *small = sumi_graph_clone(t.g, NULL), *twice = sumi_graph_clone(small, NULL);
  sumi_graph_free(s.g);
  sumi_graph_free(t.g);
  sumi_graph_free(small); /* the copy of a copy stands on its own */
  check_uses(copy);
  assert_int_equal(copy->node[0]->n_captured, 2);
  struct sumi_graph *a = sumi_attr_graph(copy->node[0], "then"), *b = sumi_attr_graph(a->node[2], "then");
  assert_ptr_equal(a->parent, copy);
  assert_ptr_equal(b->parent, a);
  assert_ptr_equal(b->root, copy);
  check_uses(a);
  check_uses(b);
  check_uses(of_body);
  assert_null(of_body->parent);
  assert_int_equal(of_body->n_output, 2);
  check_uses(twice);
  const struct sumi_value *c = sumi_graph_find_value(twice, "c");
  assert_true(((const float *)c->constant->data)[1] == 2);
  assert_string_equal(sumi_attr_string(twice->node[0], "mode", ""), "up");
  assert_string_equal(twice->metadata[0].value, "v");
  sumi_graph_free(copy);
  sumi_graph_free(of_body);
  sumi_graph_free(twice);
}

static void test_memory(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  long n = 0;
  for (;; n++) {
    sumi_test_heap_fail(&heap, n);
    struct small s;
    struct nested t;
    bool ok = make_small(a, &s);
    ok = make_nested(a, &t) && ok;
    struct sumi_graph *copy = NULL, *other = NULL;
    if (ok) {
      struct sumi_err err = SUMI_ERR_INIT;
      ok = sumi_graph_close_bodies(t.g, &err) == SUMI_OK && sumi_graph_tidy(t.g, &err) == SUMI_OK;
      copy = ok ? sumi_graph_clone(s.g, &err) : NULL;
      other = ok ? sumi_graph_clone(t.g, &err) : NULL;
      ok = copy && other;
      assert_int_equal(err.status, ok ? SUMI_OK : SUMI_E_MEMORY);
    }
    assert_int_equal(ok, !heap.failed);
    sumi_graph_free(s.g);
    sumi_graph_free(t.g);
    sumi_graph_free(copy);
    sumi_graph_free(other);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) break;
  }
  assert_true(n > 30);
}

/* Half a million nodes, all with the same name, replaced, removed and tidied: nothing here may be quadratic. */
static void test_large(void **state) {
  (void)state;
  enum { N = 500000 };
  struct sumi_graph *g = sumi_graph_new(NULL, "large");
  struct sumi_value *x = sumi_graph_add_input(g, "x", NULL), *v = x;
  for (int i = 0; i < N; i++) v = add(g, "n", &v, 1, "v")->out[0];
  assert_true(sumi_graph_add_output(g, v));
  for (size_t i = 0; i < g->n_node; i += 2) {
    assert_true(sumi_graph_replace_uses(g, g->node[i]->out[0], g->node[i]->in[0]));
    sumi_graph_remove_node(g, g->node[i]);
  }
  assert_int_equal(sumi_graph_tidy(g, NULL), SUMI_OK);
  assert_int_equal(g->n_node, N / 2);
  sumi_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_build),
      cmocka_unit_test(test_inputs),
      cmocka_unit_test(test_replace),
      cmocka_unit_test(test_remove_and_tidy),
      cmocka_unit_test(test_tidy_keeps_order),
      cmocka_unit_test(test_attributes),
      cmocka_unit_test(test_close),
      cmocka_unit_test(test_scope),
      cmocka_unit_test(test_clone),
      cmocka_unit_test(test_memory),
      cmocka_unit_test(test_large),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
