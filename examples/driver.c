/* SPDX-License-Identifier: MIT */
/*
 * A kernel driver in a hundred lines: it takes a device, says what it will do, gives it an address space of its own,
 *does DMA, takes a fault, and leaves. docs/drivers.md walks through it. Only public headers are used.
 *
 *	cc driver.c $(pkg-config --cflags --libs isolde) && ./a.out
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <isolde/iommu.h>
#include <isolde/isolde.h>

#define DEVICE "0000:01:00.0"
#define IOVA   0x100000ull
#define SIZE   0x2000ull

static struct isolde_why why;

static void must(const char *what, int err)
{
	if (err >= 0)
		return;
	fprintf(stderr, "%s: %s: %s\n  hint: %s\n", what, why.code, why.text, why.hint);
	exit(1);
}

/* On the device's thread. */
static void took_fault(void *context, const struct isolde_fault *fault)
{
	unsigned *faults = context;

	++*faults;
	printf("fault: %s\n", fault->text);
}

/* What the hardware would do by itself: fetch, compute, store. */
static void let_device_work(struct isolde_device *device)
{
	char word[8];

	must("the device reads", isolde_dma_read(device, 0, IOVA, word, sizeof(word), &why));
	for (size_t i = 0; i < sizeof(word); i++)
		word[i] = (char)(word[i] >= 'a' && word[i] <= 'z' ? word[i] - 'a' + 'A' : word[i]);
	must("the device writes", isolde_dma_write(device, 0, IOVA + 0x1000, word, sizeof(word), &why));
}

/* As `unbind` in sysfs: whoever had it is gone. */
static void take_over(struct isolde_device *device)
{
	const struct isolde_driver me = {
		.size = sizeof(me),
		.name = "shout",
		.intent = ISOLDE_INTENT_DMA, /* and nothing with PASIDs: a strict machine would hold us to it */
	};

	must("unbind", isolde_driver_unbind(device, &why));
	must("bind", isolde_driver_bind(device, &me, &why));
}

/* Our driver is counted, so nobody else can have the group: the refusal says so. */
static void show_who_has_it(struct isolde_machine *machine, struct isolde_device *device)
{
	struct isolde_owner *owner;

	must("owner", isolde_owner_new(machine, "a VFIO user", &owner, &why));
	if (isolde_group_claim(device, owner, &why) >= 0)
		exit(1);
	printf("refused: %s: %s\n", why.code, why.text);
	must("owner", isolde_owner_free(owner, &why));
}

int main(void)
{
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct isolde_machine *machine;
	struct isolde_domain *domain;
	struct isolde_device *device;
	unsigned faults = 0;
	bool shouted;

	if (memory == MAP_FAILED)
		return 1;
	must("machine", isolde_machine_new(NULL, &machine, &why));
	must("device", isolde_device_get(machine, DEVICE, &device, &why));
	take_over(device);
	show_who_has_it(machine, device);

	must("domain", isolde_domain_new(device, "shout's own domain", &domain, &why));
	isolde_domain_on_fault(domain, took_fault, &faults);
	must("map", isolde_domain_map(domain, IOVA, memory, SIZE, ISOLDE_MAP_READ | ISOLDE_MAP_WRITE, &why));
	must("attach", isolde_attach_device(domain, device, &why));

	strcpy(memory, "isolde!");
	let_device_work(device);
	printf("the device says: %s\n", memory + 0x1000);
	shouted = strcmp(memory + 0x1000, "ISOLDE!") == 0;

	/* Unmapped, the same request faults, and says what it was. */
	isolde_domain_unmap(domain, IOVA, SIZE);
	if (isolde_dma_read(device, 0, IOVA, memory, 8, &why) >= 0)
		return 1;

	must("detach", isolde_detach_device(domain, device, &why));
	must("free", isolde_domain_free(domain, &why));
	must("unbind", isolde_driver_unbind(device, &why));
	isolde_machine_check(machine);
	isolde_machine_free(machine);
	munmap(memory, SIZE);
	return shouted && faults == 1 ? 0 : 1;
}
