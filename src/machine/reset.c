/* SPDX-License-Identifier: MIT */
/* How a function can be reset, and doing it: sysfs `reset` and `reset_method`. */
#include "pci/reset.h"
#include "machine/device.h"
#include "vfio/pci.h"

const char *const reset_method_names[RESET_METHODS] = {
	[RESET_FLR] = "flr",
	[RESET_AF_FLR] = "af_flr",
	[RESET_PM] = "pm",
	[RESET_BUS] = "bus",
};

static void choose(struct device *device, const u8 *order, unsigned count)
{
	memcpy(device->reset_order, order, count);
	device->nresets = count;
	/* vfio-pci asks the same: without a method VFIO_DEVICE_RESET is not offered. */
	device->function->reset_forbidden = !count;
}

static void choose_all(struct device *device)
{
	u8 order[RESET_METHODS];
	unsigned count = 0;

	for (u8 method = 0; method < RESET_METHODS; method++)
		if (device->reset_supported & 1u << method)
			order[count++] = method;
	choose(device, order, count);
}

void device_init_reset(struct device *device)
{
	const struct pci_function *function = device->function;

	device->reset_supported = (unsigned)pci_can_reset_by_flr(function) << RESET_FLR |
				  (unsigned)pci_can_reset_by_af_flr(function) << RESET_AF_FLR |
				  (unsigned)pci_can_reset_by_sleep(function) << RESET_PM |
				  (unsigned)pci_can_reset_by_bus(&device->machine->topology, function) << RESET_BUS;
	choose_all(device);
}

bool device_reset_supported(const struct device *device)
{
	return device->reset_supported != 0;
}

int device_reset(struct device *device, struct why *why)
{
	struct vfio *vfio = &device->machine->vfio;
	int err;

	if (!device->nresets)
		return refuse(why, RESET_UNSUPPORTED, "%s has no reset method left: reset_method was emptied",
			      device->name);
	/* Whatever the method, afterwards the registers are as after power-on, and Linux restores what it needs. */
	vfio_function_wake(vfio, device->function, true);
	err = device_function_reset(device->iommu, device->function, why);
	if (err == 0)
		vfio_function_was_reset(vfio, device->function);
	vfio_function_wake(vfio, device->function, false);
	return err;
}

static bool method_find(const char *word, size_t length, enum reset_method *ret)
{
	for (unsigned method = 0; method < RESET_METHODS; method++)
		if (strncmp(reset_method_names[method], word, length) == 0 && !reset_method_names[method][length]) {
			*ret = method;
			return true;
		}
	return false;
}

static int parse_methods(const struct device *device, const struct text *text, u8 order[static RESET_CHOICES],
			 unsigned *ret_count, struct why *why)
{
	const char *word = text->bytes + strspn(text->bytes, " \n");
	char sample[TEXT_SAMPLE];

	while (*word) {
		size_t length = strcspn(word, " \n");
		enum reset_method method;

		if (*ret_count == RESET_CHOICES)
			return refuse(why, ATTRIBUTE_VALUE, "reset_method of %s takes at most %d names", device->name,
				      RESET_CHOICES);
		if (!method_find(word, length, &method) || !(device->reset_supported & 1u << method))
			return refuse(why, ATTRIBUTE_VALUE, "%s has no reset method of \"%s\"", device->name,
				      text_sample(text->bytes, sample));
		order[(*ret_count)++] = (u8)method;
		word += length;
		word += strspn(word, " \n");
	}
	return 0;
}

int device_choose_reset(struct device *device, const struct text *text, struct why *why)
{
	u8 order[RESET_CHOICES];
	unsigned count = 0;
	int err;

	if (text_is(text, "default")) {
		choose_all(device);
		return 0;
	}
	err = parse_methods(device, text, order, &count, why);
	if (err == 0)
		choose(device, order, count);
	return err;
}
