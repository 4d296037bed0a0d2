/* One model, two threads: each has a session of its own, the weights are in memory once. */
#include <pthread.h>
#include <stdio.h>
#include <sumi/sumi.h>

struct worker {
  struct sumi_model *model;
  float image[3 * 32 * 32]; /* [1, 3, 32, 32], 0..255 */
  float first_logit;
  size_t arena_bytes, weight_bytes;
  struct sumi_err err;
};

static void *work(void *user) {
  struct worker *w = user;
  struct sumi_session *session = NULL;
  struct sumi_memory_info memory = {.size = sizeof memory};
  const int64_t dims[] = {1, 3, 32, 32};
  const struct sumi_view in = {
      .size = sizeof in, .name = "image", .data = w->image, .dtype = SUMI_FLOAT32, .rank = 4, .dims = dims};
  struct sumi_view out = {.size = sizeof out, .name = "logits"};
  if (sumi_session_new(w->model, NULL, &session, &w->err) == SUMI_OK)
    for (int i = 0; i < 3 && sumi_session_run(session, &in, 1, &out, 1, &w->err) == SUMI_OK; i++)
      w->first_logit = *(const float *)out.data;
  if (session && sumi_session_memory(session, &memory) == SUMI_OK)
    w->arena_bytes = memory.arena_bytes, w->weight_bytes = memory.weight_bytes;
  sumi_session_free(session);
  return NULL;
}

int main(int argc, char **argv) {
  static struct worker workers[2];
  pthread_t thread[2];
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  if (sumi_model_load_file(argc > 1 ? argv[1] : "data/cifar10_resnet.onnx", NULL, &model, &err) != SUMI_OK) {
    fprintf(stderr, "%s\n", err.text);
    return 1;
  }
  for (int i = 0; i < 2; i++) {
    workers[i].model = model;
    workers[i].err.size = sizeof workers[i].err;
    for (int k = 0; k < 3 * 32 * 32; k++) workers[i].image[k] = (float)(k % 256); /* both see the same */
    if (pthread_create(&thread[i], NULL, work, &workers[i]) != 0) return 1;
  }
  for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
  for (int i = 0; i < 2; i++)
    printf("thread %d: %.4f %s (arena %zu bytes, shared weights %zu)\n", i, workers[i].first_logit,
           workers[i].err.text, workers[i].arena_bytes, workers[i].weight_bytes);
  printf(workers[0].first_logit == workers[1].first_logit ? "equal\n" : "different\n");
  sumi_model_unref(model);
  return workers[0].err.status != SUMI_OK || workers[1].err.status != SUMI_OK;
}
