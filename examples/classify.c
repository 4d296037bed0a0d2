/* What is on a picture? A JPEG or PNG file through the CIFAR-10 network: class and confidence. */
#include <math.h>
#include <stdio.h>
#include <sumi/image.h>
#include <sumi/sumi.h>

static const char *const classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                      "dog",      "frog",       "horse", "ship", "truck"};

static size_t read_file(const char *path, char *bytes, size_t room) {
  FILE *f = path ? fopen(path, "rb") : NULL;
  const size_t n = f ? fread(bytes, 1, room, f) : 0;
  if (f) fclose(f);
  return n;
}

int main(int argc, char **argv) {
  static char file[1 << 22];
  static float planes[3 * 32 * 32]; /* [3, 32, 32] red, green, blue, 0..255 */
  const int64_t dims[] = {1, 3, 32, 32};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_image image = {.size = sizeof image}, small = {.size = sizeof small};
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  const struct sumi_view in = {
      .size = sizeof in, .name = "image", .data = planes, .dtype = SUMI_FLOAT32, .rank = 4, .dims = dims};
  struct sumi_view out = {.size = sizeof out, .name = "logits"};
  if (argc != 3) return fprintf(stderr, "usage: classify MODEL PICTURE\n"), 2;

  sumi_status status = sumi_image_decode(file, read_file(argv[2], file, sizeof file), NULL, &image, &err);
  if (status == SUMI_OK) status = sumi_image_resize(&image, 32, 32, SUMI_FILTER_BILINEAR, &small, &err);
  for (int i = 0; i < 3 * 32 * 32 && status == SUMI_OK; i++) planes[i % 3 * 32 * 32 + i / 3] = small.rgb[i];
  if (status == SUMI_OK) status = sumi_model_load_file(argv[1], NULL, &model, &err);
  if (status == SUMI_OK) status = sumi_session_new(model, NULL, &session, &err);
  if (status == SUMI_OK) status = sumi_session_run(session, &in, 1, &out, 1, &err);
  if (status == SUMI_OK) {
    const float *logits = out.data;
    double sum = 0;
    int best = 0;
    for (int i = 1; i < 10; i++) best = logits[i] > logits[best] ? i : best;
    for (int i = 0; i < 10; i++) sum += exp(logits[i] - logits[best]);
    printf("%s %.1f %%\n", classes[best], 100 / sum);
  } else {
    fprintf(stderr, "%s\n", err.text);
  }
  sumi_session_free(session);
  sumi_model_unref(model);
  sumi_image_free(&small);
  sumi_image_free(&image);
  return status != SUMI_OK;
}
