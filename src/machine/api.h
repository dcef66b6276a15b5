/* SPDX-License-Identifier: MIT */
/* The inside of the library's objects: one machine and one client, this process. */
#ifndef MACHINE_API_H
#define MACHINE_API_H

#include <pthread.h>

#include "iommu/page_request.h"
#include "iommu/sva.h"
#include "isolde/iommu.h"
#include "isolde/isolde.h"
#include "machine/device.h"
#include "mem/client.h"

struct isolde_machine {
	struct client client; /* this process */
	struct machine *machine;
	struct list_link precise; /* machine/precise_own.c: linked when it has precise pages mapped */
	struct list devices;	  /* struct isolde_device, owned: those somebody asked for; under machine.lock */
	pthread_t thread;	  /* for what the program does without a call: closes, eventfds it gave to vfio */
	int stop;		  /* owned eventfd that ends the thread; -1: there is none */
};

struct isolde_device {
	struct isolde_machine *machine; /* borrowed */
	struct device *device;		/* borrowed; NULL: emulated */
	struct iommu_device *core;	/* borrowed; NULL: no IOMMU covers it */
	struct sva_bond *bond;		/* its group's, to this process; NULL: none */
	unsigned bindings;		/* of bond, through this device */
	void (*respond)(void *context, const struct isolde_page_request *last, enum isolde_page_answer answer);
	void *respond_context;
	struct list_link link; /* machine->devices */
};

struct isolde_domain {
	struct isolde_machine *machine; /* borrowed */
	struct domain *core;		/* owned */
	void (*fault)(void *context, const struct isolde_fault *fault);
	void *fault_context;
};

/* Page requests of one attachment wait in it. */
struct isolde_handle {
	struct isolde_machine *machine; /* borrowed */
	struct attach_handle core;
	struct page_handler pages;
	struct list waiting; /* struct isolde_page_group, owned until taken */
	struct list taken;   /* likewise, the taker's */
};

/* The beginning and the end of every call: machine.lock, and a refusal enters the journal under the call's name. */
void api_begin(struct isolde_machine *machine);
int api_end(struct isolde_machine *machine, const char *call, const struct why *why, int result,
	    struct isolde_why *reason);

/*
 * The body of a call about a device that an IOMMU covers: `core` is the device there, `why` the reason that the
 * expression may fill, `reason` the caller's.
 */
#define API_CALL(device, name, expression)                                                                             \
	do {                                                                                                           \
		struct why why = WHY_INIT;                                                                             \
		struct iommu_device *core;                                                                             \
		int err;                                                                                               \
                                                                                                                       \
		api_begin((device)->machine);                                                                          \
		err = api_core((device), &core, &why);                                                                 \
		if (err == 0)                                                                                          \
			err = (expression);                                                                            \
		return api_end((device)->machine, (name), &why, err, reason);                                          \
	} while (0)

/* DEVICE_NO_IOMMU (ENODEV) when no IOMMU covers the device. */
int api_core(const struct isolde_device *device, struct iommu_device **ret, struct why *why);

/* Takes everything of this process back, before the machine ends. */
void api_devices_free(struct isolde_machine *machine);

#endif
