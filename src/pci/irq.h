/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of one function, between the device model that raises them and whoever listens (vfio).
 *
 * The model calls pci_irq_message() and pci_irq_level() from any thread. The listener installs eventfds. MSI and MSI-X
 * are edges; INTx is a level: delivered once, masked by the delivery, delivered again at unmask if still asserted.
 */
#ifndef PCI_IRQ_H
#define PCI_IRQ_H

#include "base/bits.h"
#include "base/lock.h"
#include "base/why.h"

enum pci_irq_mode { PCI_IRQ_OFF, PCI_IRQ_INTX, PCI_IRQ_MSI, PCI_IRQ_MSIX };

#define PCI_IRQ_VECTORS 2048 /* the largest MSI-X table */

struct pci_irq {
	struct mutex lock;
	enum pci_irq_mode mode; /* under lock, like all below */
	int *vectors;		/* owned descriptors, -1 where none; nvectors long, NULL when off */
	unsigned nvectors;
	bool intx_asserted; /* the level of the line, as the model drives it; survives a change of mode */
	bool intx_masked;
};

void pci_irq_init(struct pci_irq *irq);
void pci_irq_fini(struct pci_irq *irq);

/* The model's side. A message while MSI/MSI-X is off, or for a vector without listener, is lost, as on hardware. */
void pci_irq_message(struct pci_irq *irq, unsigned vector);
void pci_irq_level(struct pci_irq *irq, bool asserted);
/* How interrupts go at this moment: a model decides per completion, never earlier. */
enum pci_irq_mode pci_irq_current(struct pci_irq *irq);

/* The level as last driven, for the status register; any thread, without lock. */
static inline bool pci_irq_asserted(const struct pci_irq *irq)
{
	return __atomic_load_n(&irq->intx_asserted, __ATOMIC_RELAXED);
}

/*
 * The listener's side. pci_irq_enable() allocates nvectors slots without descriptors (mode was OFF); pci_irq_disable()
 * closes all. pci_irq_set_vector() owns fd from then on (-1 removes) and closes the one before.
 */
int pci_irq_enable(struct pci_irq *irq, enum pci_irq_mode mode, unsigned nvectors, struct why *why);
void pci_irq_disable(struct pci_irq *irq);
/* More slots while enabled (dynamic MSI-X); existing ones stay. */
int pci_irq_grow(struct pci_irq *irq, unsigned nvectors, struct why *why);
void pci_irq_set_vector(struct pci_irq *irq, unsigned vector, int fd);
/* Signals the descriptor of vector, as if the model had (VFIO's loopback); respects no mask. */
void pci_irq_loopback(struct pci_irq *irq, unsigned vector);
bool pci_irq_mask_intx(struct pci_irq *irq);   /* false: it was masked */
void pci_irq_unmask_intx(struct pci_irq *irq); /* delivers at once if still asserted */

#endif
