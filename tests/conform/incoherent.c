/* SPDX-License-Identifier: MIT */
/* A device whose DMA may pass by the caches, named by ISOLDE_INCOHERENT, is not VFIO's to give (spec 04 section 2). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/conform/vfio.h"

TEST(a_device_that_may_pass_by_the_caches_is_not_taken)
{
	const char *bdf = getenv("ISOLDE_INCOHERENT");
	char path[96];

	if (!bdf)
		skip("no such device: ISOLDE_INCOHERENT is not set");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	WORKS(conform_write(path, "vfio-pci"));
	EXPECT(-EINVAL, conform_write("/sys/bus/pci/drivers/vfio-pci/bind", bdf));
	EXPECT(-ENODEV, conform_write("/sys/bus/pci/drivers/vfio-pci/unbind", bdf));
	EXPECT(-ENOENT, open_answer("/dev/vfio/devices/vfio0", O_RDWR));
	EXPECT(-ENOENT, open_answer("/dev/vfio/0", O_RDWR));
	EXPECT(1, check_extension(new_container(), VFIO_TYPE1v2_IOMMU)); /* for devices to come */
	WORKS(conform_write(path, "\n"));
}

SUITE(incoherent, CASE(a_device_that_may_pass_by_the_caches_is_not_taken));
