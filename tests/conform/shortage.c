/* SPDX-License-Identifier: MIT */
/*
 * A host that runs out of interrupt vectors (spec 05 section 7; Linux: vfio_pci_intrs.c:vfio_msi_enable()).
 * ISOLDE_SHORT names two devices with eight vectors of MSI-X and four of MSI each, and the host has three for both.
 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/conform/vfio.h"

enum { NONE = 1, FD = 4, TRIGGER = 32, MSI = VFIO_PCI_MSI_IRQ_INDEX, MSIX = VFIO_PCI_MSIX_IRQ_INDEX };

/* One eventfd for all of them. */
static answer enable(int device, u32 index, u32 start, u32 count, int event)
{
	struct {
		struct vfio_irq_set head;
		int32_t fds[8];
	} request = {.head = {sizeof(request), FD | TRIGGER, index, start, count}};

	for (unsigned i = 0; i < COUNT(request.fds); i++)
		request.fds[i] = event;
	return ask(device, VFIO_DEVICE_SET_IRQS, &request);
}

static answer loopback(int device, u32 index, u32 count)
{
	struct vfio_irq_set request = {sizeof(request), NONE | TRIGGER, index, 0, count};

	return ask(device, VFIO_DEVICE_SET_IRQS, &request);
}

static u64 signals(int event)
{
	u64 value = 0;

	return read(event, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static int new_event(void)
{
	return watch(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

static int opened(const struct names *names)
{
	int device = open_cdev(names);

	WORKS(bind_cdev(device, iommu()));
	return device;
}

/* As QEMU does: what was answered is what it asks for then. */
TEST(whoever_asks_for_too_many_is_told_how_many)
{
	int event = new_event(), device;
	struct names names[2];

	two_short(names);
	device = opened(&names[0]);
	EXPECT(3, enable(device, MSIX, 0, 8, event));
	EXPECT(3, enable(device, MSIX, 3, 1, event));
	EXPECT(3, enable(device, MSIX, 0, 4, 999)); /* before any descriptor */
	EXPECT(-EINVAL, enable(device, MSIX, 0, 9, event));
	EXPECT(-EINVAL, loopback(device, MSIX, 1)); /* nothing is on */
	EXPECT(0, enable(device, MSIX, 0, 3, event));
	EXPECT(0, loopback(device, MSIX, 3));
	EXPECT_EQUAL(3, signals(event));
}

TEST(of_msi_one_is_all_that_is_promised)
{
	int event = new_event(), device;
	struct names names[2];

	two_short(names);
	device = opened(&names[1]);
	EXPECT(1, enable(device, MSI, 0, 4, event));
	EXPECT(-EINVAL, loopback(device, MSI, 1));
	EXPECT(0, enable(device, MSI, 0, 1, event));
	EXPECT(-EINVAL, enable(device, MSI, 1, 1, event));
	EXPECT(0, loopback(device, MSI, 0));
	EXPECT(1, enable(device, MSI, 0, 4, event));
	EXPECT(0, enable(device, MSI, 0, 3, event));
	EXPECT(0, loopback(device, MSI, 3));
	EXPECT_EQUAL(3, signals(event));
}

TEST(all_devices_have_them_together)
{
	int event = new_event(), first, second;
	struct names names[2];

	two_short(names);
	first = opened(&names[0]);
	second = opened(&names[1]);
	EXPECT(0, enable(first, MSIX, 0, 2, event));
	EXPECT(1, enable(second, MSIX, 0, 2, event));
	EXPECT(0, enable(second, MSI, 0, 1, event));
	/* MSI-X takes more as it is asked to; a vector that is removed stays taken. */
	EXPECT(-ENOSPC, enable(first, MSIX, 7, 1, event));
	EXPECT(0, enable(first, MSIX, 0, 1, -1));
	EXPECT(-ENOSPC, enable(first, MSIX, 7, 1, event));
	EXPECT(-ENOSPC, enable(first, MSIX, 7, 1, 999));
	EXPECT(0, loopback(second, MSI, 0));
	/* It is taken before the descriptor is looked at, and stays so. */
	EXPECT(-EBADF, enable(first, MSIX, 7, 1, 999));
	EXPECT(-ENOSPC, enable(second, MSI, 0, 1, event));
	EXPECT(-ENOSPC, enable(second, MSI, 0, 4, event));
	EXPECT(-ENOSPC, enable(second, MSIX, 0, 8, event));
	EXPECT(-ERANGE, enable(second, MSIX, 0, 0, event));
	EXPECT(0, enable(first, MSIX, 7, 1, event));
	drop(first);
	EXPECT(0, enable(second, MSIX, 0, 3, event));
}

SUITE(shortage, CASE(whoever_asks_for_too_many_is_told_how_many), CASE(of_msi_one_is_all_that_is_promised),
      CASE(all_devices_have_them_together));
