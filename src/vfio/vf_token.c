/* SPDX-License-Identifier: MIT */
/*
 * Whoever drives a physical function from user space can disturb those who have its virtual ones, so all of them must
 * know one token (spec 05 section 14). It is random from the moment vfio-pci has the physical function: until one who
 * opens that says what it is, nobody gets a virtual function. It outlives its opener.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/os.h"
#include "pci/caps.h"
#include "vfio/pci.h"

static bool is_token(const struct vfio_device *physical, const u8 *given)
{
	return memcmp(physical->token->uuid, given, VF_TOKEN_SIZE) == 0;
}

static int must_be(const struct vfio_device *physical, const struct vfio_device *device, const u8 *given,
		   struct why *why)
{
	if (!given)
		return refuse(why, VF_TOKEN_MISSING, "%s is only opened with the token of %s", device->name,
			      physical->name);
	if (!is_token(physical, given))
		return refuse(why, VF_TOKEN_WRONG, "%s: that is not the token of %s", device->name, physical->name);
	return 0;
}

int vf_token_match(const struct vfio_device *device, const u8 *given, struct why *why)
{
	const struct pci_function *physical = device->function->physical;
	char name[PCI_ADDR_TEXT];

	if (device->physical)
		return must_be(device->physical, device, given, why);
	if (device->token && device->token->users)
		return must_be(device, device, given, why);
	if (!given)
		return 0;
	if (device->token) {
		memcpy(device->token->uuid, given, VF_TOKEN_SIZE);
		return 0;
	}
	if (physical)
		return refuse(why, VF_TOKEN_UNWANTED,
			      "%s asks for no token: its SR-IOV was not enabled by vfio-pci of %s", device->name,
			      pci_addr_print(physical->addr, name));
	return refuse(why, VF_TOKEN_UNWANTED, "%s is neither a virtual function nor has any", device->name);
}

static struct vfio_device *find_physical(const struct vfio_device *device)
{
	struct vfio_device *other;

	list_for_each(other, &device->vfio->devices, link)
		if (other->function == device->function->physical && other->token && other->token->sriov)
			return other;
	return NULL;
}

int vf_token_init(struct vfio_device *device, struct why *why)
{
	if (device->soft)
		return 0;
	if (device->function->physical)
		device->physical = find_physical(device);
	if (!pci_is_physical(device->function))
		return 0;
	device->token = alloc_new(struct vf_token, why);
	if (!device->token)
		return -why->err;
	os_random(device->token->uuid, VF_TOKEN_SIZE);
	return 0;
}

void vf_token_fini(struct vfio_device *device)
{
	assert(!device->token || (!device->token->users && !device->token->sriov));
	free(device->token);
}

void vf_token_opened(const struct vfio_device *device)
{
	if (device->physical)
		device->physical->token->users++;
}

void vf_token_closed(const struct vfio_device *device)
{
	if (device->physical)
		device->physical->token->users--;
}

void vfio_pci_sriov(struct vfio_device *device, bool active)
{
	struct pci_session *session = device->session;

	device->token->sriov = active;
	if (active) {
		if (session)
			low_power_resume(session);
		power_up(device);
	} else if (session) {
		low_power_suspend(session);
	}
}

void vf_token_check(const struct vfio_device *device)
{
	const struct vfio_device *other;
	unsigned users = 0;

	list_for_each(other, &device->vfio->devices, link)
		users += other->physical == device && other->opened;
	assert(users == (device->token ? device->token->users : 0));
	assert(!device->physical || device->physical->function == device->function->physical);
	assert((device->token != NULL) == (!device->soft && pci_is_physical(device->function)));
}
