/* SPDX-License-Identifier: MIT */
#include "pci/irq.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/os.h"

void pci_irq_init(struct pci_irq *irq)
{
	*irq = (struct pci_irq){.mode = PCI_IRQ_OFF};
	mutex_init(&irq->lock, RANK_IRQ);
}

void pci_irq_fini(struct pci_irq *irq)
{
	pci_irq_disable(irq);
	mutex_fini(&irq->lock);
}

enum pci_irq_mode pci_irq_current(struct pci_irq *irq)
{
	enum pci_irq_mode mode;

	mutex_lock(&irq->lock);
	mode = irq->mode;
	mutex_unlock(&irq->lock);
	return mode;
}

/* Under lock. */
static void signal_vector(const struct pci_irq *irq, unsigned vector)
{
	if (vector < irq->nvectors && irq->vectors[vector] >= 0)
		os_eventfd_signal(irq->vectors[vector]);
}

/* A level is delivered once and masked by its delivery. Under lock. */
static void deliver_intx(struct pci_irq *irq)
{
	if (irq->mode != PCI_IRQ_INTX || !irq->intx_asserted || irq->intx_masked)
		return;
	irq->intx_masked = true;
	signal_vector(irq, 0);
}

void pci_irq_message(struct pci_irq *irq, unsigned vector)
{
	mutex_lock(&irq->lock);
	if (irq->mode == PCI_IRQ_MSI || irq->mode == PCI_IRQ_MSIX)
		signal_vector(irq, vector);
	mutex_unlock(&irq->lock);
}

void pci_irq_level(struct pci_irq *irq, bool asserted)
{
	mutex_lock(&irq->lock);
	__atomic_store_n(&irq->intx_asserted, asserted, __ATOMIC_RELAXED);
	deliver_intx(irq);
	mutex_unlock(&irq->lock);
}

static void set_none(int *vectors, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		vectors[i] = -1;
}

int pci_irq_enable(struct pci_irq *irq, enum pci_irq_mode mode, unsigned nvectors, struct why *why)
{
	int *vectors = alloc_array(nvectors, sizeof(int), why);

	if (!vectors)
		return -why->err;
	set_none(vectors, 0, nvectors);
	mutex_lock(&irq->lock);
	assert(irq->mode == PCI_IRQ_OFF);
	irq->mode = mode;
	irq->vectors = vectors;
	irq->nvectors = nvectors;
	irq->intx_masked = false;
	mutex_unlock(&irq->lock);
	return 0;
}

int pci_irq_grow(struct pci_irq *irq, unsigned nvectors, struct why *why)
{
	int *vectors = alloc_array(nvectors, sizeof(int), why), *old;

	if (!vectors)
		return -why->err;
	mutex_lock(&irq->lock);
	assert(nvectors >= irq->nvectors);
	memcpy(vectors, irq->vectors, irq->nvectors * sizeof(int));
	set_none(vectors, irq->nvectors, nvectors);
	old = irq->vectors;
	irq->vectors = vectors;
	irq->nvectors = nvectors;
	mutex_unlock(&irq->lock);
	free(old);
	return 0;
}

void pci_irq_disable(struct pci_irq *irq)
{
	mutex_lock(&irq->lock);
	for (unsigned i = 0; i < irq->nvectors; i++)
		os_close(irq->vectors[i]);
	free(irq->vectors);
	irq->vectors = NULL;
	irq->nvectors = 0;
	irq->mode = PCI_IRQ_OFF;
	irq->intx_masked = false;
	mutex_unlock(&irq->lock);
}

void pci_irq_set_vector(struct pci_irq *irq, unsigned vector, int fd)
{
	int old;

	mutex_lock(&irq->lock);
	assert(vector < irq->nvectors);
	old = irq->vectors[vector];
	irq->vectors[vector] = fd;
	deliver_intx(irq);
	mutex_unlock(&irq->lock);
	os_close(old);
}

void pci_irq_loopback(struct pci_irq *irq, unsigned vector)
{
	mutex_lock(&irq->lock);
	signal_vector(irq, vector);
	mutex_unlock(&irq->lock);
}

bool pci_irq_mask_intx(struct pci_irq *irq)
{
	bool before;

	mutex_lock(&irq->lock);
	before = irq->intx_masked;
	irq->intx_masked = true;
	mutex_unlock(&irq->lock);
	return !before;
}

void pci_irq_unmask_intx(struct pci_irq *irq)
{
	mutex_lock(&irq->lock);
	irq->intx_masked = false;
	deliver_intx(irq);
	mutex_unlock(&irq->lock);
}
