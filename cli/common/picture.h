/* A picture as a network's input. */
#ifndef CLI_COMMON_PICTURE_H
#define CLI_COMMON_PICTURE_H

#include "common/option.h"
#include "common/tensor.h"

struct cli_picture_options {
  const char *mean, *std; /* per channel, after scale: (x * scale - mean) / std */
  const char *size;   /* "256": short side; "320x240": width x height; NULL = as crop or the model wants */
  const char *crop;   /* "224" or "320x240", from the centre; NULL = what the model's shape asks for */
  const char *layout; /* "NCHW" or "NHWC"; NULL = by the model's shape */
  const char *filter; /* "nearest", "bilinear", "bicubic"; NULL = bilinear */
  double scale;       /* 0 = 1 */
  bool bgr;
};

/* Rows of an option table; p is a struct cli_picture_options. */
#define CLI_PICTURE_OPTIONS(p)                                                                               \
  {                                                                                                          \
      "size", 0, CLI_TEXT, &(p).size, "S|WxH", "pictures: short side, or width x height, after resizing",    \
      0,      0},                                                                                            \
      {"crop", 0, CLI_TEXT, &(p).crop, "S|WxH", "pictures: cut from the centre", 0, 0},                      \
      {"filter", 0, CLI_TEXT, &(p).filter, "F", "pictures: resize by nearest, bilinear (default), bicubic",  \
       0,        0},                                                                                         \
      {"scale", 0, CLI_NUMBER, &(p).scale, "F", "pictures: factor of 0..255 before mean and std (1)", 0, 0}, \
      {"mean", 0, CLI_TEXT, &(p).mean, "M,M,M", "pictures: taken off each channel", 0, 0},                   \
      {"std", 0, CLI_TEXT, &(p).std, "S,S,S", "pictures: each channel is divided by it", 0, 0},              \
      {"layout", 0, CLI_TEXT, &(p).layout, "L", "pictures: NCHW or NHWC (by the model's shape)", 0, 0}, {    \
    "bgr", 0, CLI_FLAG, &(p).bgr, NULL, "pictures: blue first", 0, 0                                         \
  }

struct sumi_port_info;

/* Checks the options' texts. CLI_GO_ON or CLI_WRONG. */
int cli_picture_check(const struct cli_picture_options *options);

/* Decodes, resizes, crops and normalises into a tensor of the port's type and layout with batch 1: float32, float16 or
 * uint8; grey where the port has one channel. */
sumi_status cli_picture_parse(const struct sumi_port_info *port, const struct cli_picture_options *options,
                              const uint8_t *bytes, size_t n, struct cli_tensor **out, struct sumi_err *err);

#endif
