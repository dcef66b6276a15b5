/* SPDX-License-Identifier: MIT */
/*
 * Device models by name. A model is built in two steps: build() gives a function its registers and capabilities, before
 * groups are computed; attach() starts it, once it has a way to memory.
 */
#ifndef DEV_MODEL_H
#define DEV_MODEL_H

#include "iommu/dma.h"
#include "pci/caps.h"

struct soft_memory;

#define MODEL_OPTIONS 16

/* key=value from the machine file or the command line; values are borrowed, checked by option_check(). */
struct model_options {
	unsigned count;
	struct model_option {
		const char *key, *value;
	} option[MODEL_OPTIONS];
};

const char *model_option(const struct model_options *options, const char *key); /* NULL when absent */

struct model;

/* An option that is a number from min to max, the default; MODEL_OPTION_INVALID. */
int model_number(const struct model *model, const struct model_options *options, const char *key, unsigned min,
		 unsigned max, unsigned *ret, struct why *why);

/* One that is true or false, the default. */
int model_flag(const struct model *model, const struct model_options *options, const char *key, bool *ret,
	       struct why *why);

struct model {
	const char *name;
	const char *summary;	      /* one line for `isolde machine models` */
	struct pci_identity identity; /* when the description gives none */
	const char *driver;	      /* kernel driver bound at boot when the description names none */
	bool pcie;		      /* the builder adds the PCI Express capability first */
	const char *const *keys;      /* options it knows, NULL-terminated */

	/* Adds BARs and capabilities; identity, INTx pin, PM and PCIe are there already. Cannot fail. */
	void (*build)(struct pci_function *function, const struct model_options *options);

	/* Sets function->ops and ->model. port outlives the function. Refuses bad options (a missing disk file). */
	int (*attach)(struct pci_function *function, struct dma_port *port, const struct model_options *options,
		      struct why *why);
	/*
	 * The same for an emulated device, in place of attach(): a function that is no hardware, with software memory
	 * (iommu/soft.h), which outlives it too.
	 */
	int (*attach_soft)(struct pci_function *function, struct soft_memory *memory,
			   const struct model_options *options, struct why *why);
};

static inline bool model_is_emulated(const struct model *model)
{
	return model->attach_soft;
}

const struct model *model_find(const char *name); /* NULL when unknown */
const struct model *model_at(unsigned index);	  /* for lists; NULL past the end */

#endif
