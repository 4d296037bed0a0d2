/* sumi quantize: an ONNX model in 8 bits, with scales from calibration data. */
#include <math.h>

#include "common/samples.h"
#include "common/session.h"

struct quantize_options {
  struct cli_samples_options samples;
  const char *output, *range;
  double percentile, max_error;
  struct cli_list keep;
  bool symmetric, per_tensor, equalise, no_bias_correction;
  int64_t threads;
};

/* What the library tells while it works. */
struct run {
  struct cli_progress progress;
  json_t *layers;
};

static bool on_progress(void *user, const struct sumi_progress *p) {
  cli_progress_share(&((struct run *)user)->progress, p->done, p->what, p->seconds_left);
  return true;
}

static void on_layer(void *user, const struct sumi_quantized_layer_info *l) {
  json_t *j = json_object();
  json_object_set_new(j, "name", cli_json_text(l->name));
  json_object_set_new(j, "op", cli_json_text(l->op));
  json_object_set_new(j, "weights", cli_json_text(l->weights));
  json_object_set_new(j, "kept", l->kept ? cli_json_text(l->kept) : json_null());
  json_object_set_new(j, "density", cli_json_number(l->density));
  if (l->error >= 0) {
    json_object_set_new(j, "error", cli_json_number(l->error));
    json_object_set_new(j, "sqnr_db", cli_json_number(-10 * log10(l->error)));
  }
  if (!l->kept) {
    json_object_set_new(j, "x_scale", cli_json_number(l->x_scale));
    json_object_set_new(j, "x_zero", json_integer(l->x_zero));
    json_object_set_new(j, "w_scale_min", cli_json_number(l->w_scale_min));
    json_object_set_new(j, "w_scale_max", cli_json_number(l->w_scale_max));
    json_object_set_new(j, "bias_corrected", json_boolean(l->bias_corrected));
    json_object_set_new(j, "equalised", json_boolean(l->equalised));
  }
  json_array_append_new(((struct run *)user)->layers, j);
}

static double number(const json_t *j, const char *key) { return json_number_value(json_object_get(j, key)); }

static const char *text(const json_t *j, const char *key) {
  return json_string_value(json_object_get(j, key));
}

static size_t count_kept(const json_t *layers) {
  size_t i, n = 0;
  json_t *l;
  json_array_foreach(layers, i, l) n += json_is_string(json_object_get(l, "kept"));
  return n;
}

static void print_layers(const json_t *layers) {
  size_t i;
  json_t *l;
  printf("%-36s %-8s %9s %10s %5s %10s %10s %8s\n", "layer", "op", "SQNR dB", "x scale", "zero", "w scale",
         "to", "density");
  json_array_foreach(layers, i, l) {
    printf("%-36.36s %-8.8s ", text(l, "name"), text(l, "op"));
    if (json_object_get(l, "sqnr_db"))
      printf("%9.1f ", number(l, "sqnr_db"));
    else
      printf("%9s ", "-");
    if (json_is_string(json_object_get(l, "kept")))
      printf("float: %s\n", text(l, "kept"));
    else
      printf("%10.4g %5d %10.4g %10.4g %8.4f\n", number(l, "x_scale"), (int)number(l, "x_zero"),
             number(l, "w_scale_min"), number(l, "w_scale_max"), number(l, "density"));
  }
}

static int report(const struct quantize_options *o, size_t n_samples, json_t *layers, double seconds) {
  const size_t n = json_array_size(layers), kept = count_kept(layers);
  if (!cli_wants_json()) {
    print_layers(layers);
    printf("%s: %zu of %zu layers in 8 bits, %zu in float; %zu samples, %.1f s\n", o->output, n - kept, n,
           kept, n_samples, seconds);
    return CLI_DONE;
  }
  json_t *j = json_object();
  json_object_set_new(j, "output", cli_json_text(o->output));
  json_object_set_new(j, "range", json_string(o->range ? o->range : "mse"));
  json_object_set_new(j, "activations", json_string(o->symmetric ? "int8" : "uint8"));
  json_object_set_new(j, "weights", json_string(o->per_tensor ? "per tensor" : "per channel"));
  json_object_set_new(j, "samples", json_integer((json_int_t)n_samples));
  json_object_set_new(j, "quantised", json_integer((json_int_t)(n - kept)));
  json_object_set_new(j, "kept", json_integer((json_int_t)kept));
  json_object_set_new(j, "seconds", cli_json_number(seconds));
  json_object_set(j, "layers", layers);
  return cli_print_json(j);
}

static int write_model(const struct sumi_model *model, const struct quantize_options *o,
                       struct cli_samples *samples) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct run run = {.progress = cli_progress_start("quantising", 100), .layers = json_array()};
  const struct sumi_quantize_options options = {.size = sizeof options,
                                                .samples = &samples->samples,
                                                .range = o->range,
                                                .percentile = o->percentile,
                                                .symmetric = o->symmetric,
                                                .per_tensor = o->per_tensor,
                                                .equalise = o->equalise,
                                                .no_bias_correction = o->no_bias_correction,
                                                .max_error = o->max_error,
                                                .keep = o->keep.item,
                                                .n_keep = o->keep.n,
                                                .batch = (size_t)o->samples.batch,
                                                .threads = (int)o->threads,
                                                .on_progress = on_progress,
                                                .on_layer = on_layer,
                                                .user = &run};
  const double start = cli_seconds();
  const sumi_status s = sumi_model_quantize_file(model, o->output, &options, &err);
  cli_progress_end(&run.progress);
  int status;
  if (s == SUMI_OK)
    status = report(o, samples->samples.n, run.layers, cli_seconds() - start);
  else if (samples->status != CLI_GO_ON)
    status = samples->status;
  else
    status = s == SUMI_E_ARG ? cli_wrong("%s", err.text) : cli_refuse(s, "%s", err.text);
  json_decref(run.layers);
  return status;
}

static int quantize(const char *path, const struct quantize_options *o) {
  struct sumi_model *model = NULL;
  struct cli_samples samples = {0};
  if (!o->output) return cli_wrong("where to? give -o OUT.onnx");
  if (!o->samples.data)
    return cli_wrong("--calib is missing: scales come from data like what the network will see");
  int status = cli_open_model(path, &model);
  if (status == CLI_GO_ON) status = cli_samples_open(&o->samples, model, &samples);
  if (status == CLI_GO_ON) status = write_model(model, o, &samples);
  cli_samples_fini(&samples);
  sumi_model_unref(model);
  return status;
}

int cli_quantize(int argc, char **argv) {
  struct quantize_options o = {.samples.limit = CLI_SAMPLES_LIMIT};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {
      {"output", 'o', CLI_TEXT, &o.output, "OUT.onnx", "the file to write", 0, 0},
      CLI_SAMPLES_OPTIONS(o.samples),
      {"range", 0, CLI_TEXT, &o.range, "R",
       "of activations: minmax, percentile, entropy or mse (the default)", 0, 0},
      {"percentile", 0, CLI_NUMBER, &o.percentile, "P", "share that --range percentile keeps (99.99)", 50,
       100},
      {"symmetric", 0, CLI_FLAG, &o.symmetric, NULL, "activations int8 with zero point 0, not uint8", 0, 0},
      {"per-tensor", 0, CLI_FLAG, &o.per_tensor, NULL, "one scale for a layer's weights, not one a channel",
       0, 0},
      {"equalise", 0, CLI_FLAG, &o.equalise, NULL,
       "even out channels of pairs of convolutions, if that helps", 0, 0},
      {"no-bias-correction", 0, CLI_FLAG, &o.no_bias_correction, NULL,
       "leave the outputs' means as they fall", 0, 0},
      {"max-error", 0, CLI_NUMBER, &o.max_error, "E",
       "layers above stay in float: error / signal, squared (0.1)", 1e-9, 1e9},
      {"keep", 0, CLI_LIST, &o.keep, "NAME", "a layer that stays in float: its node, weights or output", 0,
       0},
      {"threads", 't', CLI_WHOLE, &o.threads, "N", "threads (1)", 1, 1024},
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "quantize",
      .arguments = "MODEL",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "Writes a network in 8 bits: QuantizeLinear and DequantizeLinear around its products and "
                 "what lies between\n"
                 "them, as every engine reads it. Zeros of pruned weights stay. Says each layer's error, and "
                 "which stay "
                 "in float.",
      .example = "  sumi quantize model.onnx -o int8.onnx --calib images/ --samples 200 --crop 224 --mean "
                 "127 --std 128\n"
                 "  sumi quantize model.onnx -o int8.onnx --calib tokens.npz --keep classifier --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = quantize(arguments.item[0], &o);
  cli_list_fini(&arguments);
  cli_list_fini(&o.keep);
  return status;
}
