/* SPDX-License-Identifier: MIT */
/* What VFIO programs ask of /dev/iommu (spec 03 section 12). */
#include "iommufd/ioctl.h"
#include "isolde/abi/vfio.h"

long compat_ioctl(struct context *context, struct client *client, unsigned cmd, u64 arg, struct why *why)
{
	if (cmd == VFIO_GET_API_VERSION)
		return VFIO_API_VERSION;
	return refuse(why, IOCTL_UNKNOWN, "/dev/iommu has no request %#x", cmd);
}

const char *compat_ioctl_name(unsigned cmd)
{
	return cmd == VFIO_GET_API_VERSION ? "VFIO_GET_API_VERSION" : NULL;
}
