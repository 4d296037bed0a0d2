#include "common/picture.h"

#include "common/npy.h"

int cli_picture_check(const struct cli_picture_options *o) {
  (void)o;
  return CLI_GO_ON;
}
sumi_status cli_picture_parse(const struct sumi_port_info *port, const struct cli_picture_options *o,
                              const uint8_t *bytes, size_t n, struct cli_tensor **out, struct sumi_err *err) {
  (void)port;
  (void)o;
  (void)bytes;
  (void)n;
  (void)out;
  return cli_fail(err, SUMI_E_UNSUPPORTED, "pictures are not taken yet");
}
