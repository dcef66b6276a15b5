/* SPDX-License-Identifier: MIT */
#include "machine/bus.h"

#include "base/alloc.h"

static int refuse_unknown(const char *who, const struct text *text, struct why *why)
{
	char sample[TEXT_SAMPLE];

	return refuse(why, DRIVER_DEVICE_UNKNOWN, "%s: there is no PCI device \"%s\"", who,
		      text_sample(text->bytes, sample));
}

static int refuse_no_match(const struct driver *driver, const struct device *device, struct why *why)
{
	struct pci_identity identity = function_identity(device->function);
	char sample[TEXT_SAMPLE];

	if (device->driver_override)
		return refuse(why, DRIVER_NO_MATCH, "driver %s: the driver_override of %s asks for \"%s\"",
			      driver->name, device->name, text_sample(device->driver_override, sample));
	return refuse(why, DRIVER_NO_MATCH, "driver %s does not know %s, which is %04x:%04x, and has no override",
		      driver->name, device->name, identity.vendor, identity.device);
}

int bus_bind(struct driver *driver, const struct text *text, struct why *why)
{
	struct device *device = device_named(driver->machine, text);
	int ret = 0;

	if (!device)
		return refuse_unknown(driver->name, text, why);
	if (!driver_matches(driver, device->function, device->driver_override))
		return refuse_no_match(driver, device, why);
	if (!device_lock(device))
		return refuse_unknown(driver->name, text, why);
	if (device->driver)
		ret = refuse(why, DRIVER_BOUND, "driver %s: %s has driver %s already", driver->name, device->name,
			     device->driver->name);
	else if (device_bind(device, driver, why) != BIND_DONE)
		ret = why_context(why, "binding %s to %s", device->name, driver->name);
	device_unlock(device);
	return ret;
}

int bus_unbind(struct driver *driver, const struct text *text, struct why *why)
{
	struct device *device = device_named(driver->machine, text);
	char name[DEVICE_DESCRIPTION];
	int ret = 0;

	if (!device)
		return refuse_unknown(driver->name, text, why);
	if (!device_lock(device))
		return refuse_unknown(driver->name, text, why);
	if (device->driver != driver)
		ret = refuse(why, DRIVER_NOT_BOUND, "driver %s does not have %s", driver->name,
			     device_describe(device, name));
	else
		ret = device_may_unbind(device, why);
	if (ret == 0)
		device_unbind(device);
	device_unlock(device);
	return ret;
}

/* Linux ends the search at a driver that cannot have the group, and goes on after one that did not want the device. */
static int attach_unbound(struct device *device, struct why *why)
{
	char sample[TEXT_SAMPLE];
	struct driver *driver;

	list_for_each(driver, &device->machine->drivers, link) {
		struct why reason = WHY_INIT;
		enum bind_step step;

		if (!driver_matches(driver, device->function, device->driver_override))
			continue;
		step = device_bind(device, driver, &reason);
		*why = reason; /* of a success: what it has to say, not what others had */
		switch (step) {
		case BIND_DONE:
			return 0;
		case BIND_CLAIM:
			return why_context(why, "binding %s to %s", device->name, driver->name);
		case BIND_PROBE:
			why_context(why, "binding %s to %s", device->name, driver->name);
			break;
		}
	}
	if (why->code == WHY_NONE && device->driver_override)
		refuse(why, DRIVER_UNKNOWN, "%s stays without driver: no driver has the name \"%s\"", device->name,
		       text_sample(device->driver_override, sample));
	return 0;
}

int bus_attach(struct device *device, struct why *why)
{
	int ret = 0;

	if (!device_lock(device))
		return refuse(why, DRIVER_DEVICE_UNKNOWN, "the device was taken away");
	if (!device->driver)
		ret = attach_unbound(device, why);
	device_unlock(device);
	return ret;
}

int bus_drivers_probe(struct machine *machine, const struct text *text, struct why *why)
{
	struct device *device = device_named(machine, text);
	struct why reason = WHY_INIT;

	if (!device)
		return refuse_unknown("drivers_probe", text, why);
	if (bus_attach(device, &reason) < 0)
		return refuse(why, DRIVER_PROBE_FAILED, "%s", reason.text);
	*why = reason;
	return 0;
}

/* What driver_attach() does: failures are dropped, the next device is tried. The last one is kept as a remark. */
static void attach_driver(struct driver *driver, struct why *why)
{
	struct device *device;

	list_for_each(device, &driver->machine->devices, link) {
		if (!driver_matches(driver, device->function, device->driver_override))
			continue;
		if (!device_lock(device))
			continue;
		if (!device->driver && device_bind(device, driver, why) != BIND_DONE)
			why_context(why, "binding %s to %s", device->name, driver->name);
		device_unlock(device);
	}
}

int bus_new_id(struct driver *driver, const struct text *text, struct why *why)
{
	int err = driver_new_id(driver, text, why);

	if (err == 0)
		attach_driver(driver, why);
	return err;
}

int bus_set_override(struct device *device, const struct text *text, struct why *why)
{
	size_t length = strcspn(text->bytes, "\n");
	char *name = NULL;

	/* The kernel shows it with a newline in one page. */
	if (text->length >= NODE_TEXT - 1)
		return refuse(why, OVERRIDE_TOO_LONG, "%s: driver_override of %zu bytes does not fit a page",
			      device->name, text->length);
	if (length) {
		name = alloc_zero(length + 1, why);
		if (!name)
			return -why->err;
		memcpy(name, text->bytes, length);
	}
	free(device->driver_override);
	device->driver_override = name;
	return 0;
}
