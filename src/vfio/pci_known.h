/* SPDX-License-Identifier: MIT */
/* Devices that vfio-pci knows by their ids. */
#ifndef VFIO_PCI_KNOWN_H
#define VFIO_PCI_KNOWN_H

#include "pci/function.h"

/* A program that has it could harm the host: not to be taken, unless asked for (drivers/vfio/pci/vfio_pci.c). */
bool pci_known_to_be_unsafe(const struct pci_function *function);

/* Its line cannot be told to be quiet: programs do not get it (drivers/vfio/pci/vfio_pci_core.c:vfio_pci_nointx()). */
bool pci_known_without_intx(const struct pci_function *function);

#endif
