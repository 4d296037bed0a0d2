/* The table of devices. */
#include "base/size.h"
#include "base/text.h"
#include "device/device.h"

static const struct sumi_device *const table[] = {
#define SUMI_DEVICE(symbol) &sumi_device_##symbol,
#include "device/devices.def"
#undef SUMI_DEVICE
};

const struct sumi_device *const *sumi_devices(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_device *sumi_device_find(const char *name) {
  for (size_t i = 0; i < SUMI_COUNT(table); i++)
    if (sumi_streq(table[i]->name, name)) return table[i];
  return NULL;
}
