/* SPDX-License-Identifier: MIT */
/* Parameters of the module vfio_pci, as a machine file and /sys/module/vfio_pci/parameters have them. */
#ifndef VFIO_OPTIONS_H
#define VFIO_OPTIONS_H

#include "base/bits.h"

struct vfio_pci_options {
	bool nointxmask;       /* nothing is masked by COMMAND, and INTx that is known to be broken is offered */
	bool disable_idle_d3;  /* closed devices stay in D0 */
	bool disable_vga;      /* no VGA region */
	bool enable_sriov;     /* a physical function may have virtual ones */
	bool disable_denylist; /* devices with known flaws are taken, too */
};

#endif
