/* SPDX-License-Identifier: MIT */
/*
 * IOMMU groups of a PCI topology, as Linux makes them, and why. Pure computation; usable without the rest of isolde.
 *
 * A topology is read from text or a sysfs tree, or put together from the registers of its functions. Groups are
 * computed for it under a set of rules; several computations may share one topology and run in several threads, as long
 * as nobody adds to it.
 *
 * All functions return 0 (or what they say) or -errno; why may be NULL everywhere. What Linux does is in its
 * drivers/iommu/iommu.c:pci_device_group() and drivers/pci/{quirks,search,pci}.c.
 */
#ifndef ISOLDE_TOPOLOGY_H
#define ISOLDE_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

#include "isolde/why.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct isolde_topology;
struct isolde_rules;
struct isolde_groups;

struct isolde_bdf {
	uint32_t segment; /* above 0xffff: the buses behind Intel VMD */
	uint8_t bus;
	uint8_t devfn; /* device number << 3 | function number */
};

/* ---- the machine ---- */

/*
 * The text of lspci (best: sudo lspci -vvvnn), also as pasted into a mail. name: of the file, for messages. pci_ids:
 * path of the list of names, "/usr/share/misc/pci.ids", for dumps without -nn; NULL: names alone do not give ids.
 * DUMP_INVALID (EINVAL) when there is no function in it.
 */
int isolde_topology_from_lspci(const char *text, size_t size, const char *name, const char *pci_ids,
			       struct isolde_topology **ret, struct isolde_why *why);

/*
 * root: "/sys", or a copy of one, or a folder with one called sys in it. Only reads; without root's rights the
 * capabilities of most functions stay unknown, and a remark says so. HOST_FAILED: root cannot be opened, with the errno
 * of open(2); NO_PCI (ENODEV): there is no function in it.
 */
int isolde_topology_from_sysfs(const char *root, struct isolde_topology **ret, struct isolde_why *why);

/*
 * By hand: an empty one; then each function with its configuration space (64, 256 or 4096 bytes, as the hardware would
 * answer: capabilities, bridge's bus numbers, SR-IOV's arithmetic), in any order; then finish, once. Other sizes, and
 * calls in another order, are TOPOLOGY_INVALID (EINVAL). Of two functions at one address one counts, and a remark says
 * so.
 */
int isolde_topology_new(struct isolde_topology **ret, struct isolde_why *why);
int isolde_topology_add(struct isolde_topology *topology, struct isolde_bdf address, const void *config, size_t size,
			struct isolde_why *why);
int isolde_topology_finish(struct isolde_topology *topology, struct isolde_why *why);

void isolde_topology_free(struct isolde_topology *topology); /* NULL is legal; groups computed from it must be gone */

/*
 * What is odd, missing, or was assumed, as a sentence; *ret_command is what to run to know better, or NULL. Both belong
 * to the topology. index is below isolde_topology_remarks().
 */
size_t isolde_topology_remarks(const struct isolde_topology *topology);
void isolde_topology_remark(const struct isolde_topology *topology, size_t index, const char **ret_text,
			    const char **ret_command);

/* ---- the rules ---- */

/* kernel: "7.2", "5.8"; NULL: 7.2. RULES_INVALID (EINVAL). */
int isolde_rules_new(const char *kernel, struct isolde_rules **ret, struct isolde_why *why);
/* "acs=0000:00:1c.0", "quirk=8086:1234", ... as `isolde explain --what-if`. RULES_INVALID (EINVAL). */
int isolde_rules_add(struct isolde_rules *rules, const char *change, struct isolde_why *why);
void isolde_rules_free(struct isolde_rules *rules); /* NULL is legal */

/* ---- the groups ---- */

#define ISOLDE_NONE SIZE_MAX

struct isolde_group_member {
	struct isolde_bdf address;
	int group;	  /* 0, 1, ... in the order Linux numbers them; -1: none, no IOMMU covers it */
	int alias_set;	  /* 0, 1, ...: functions whose requests the IOMMU cannot tell apart */
	const char *rule; /* how it came to its group: "founded", "alias-bridge", "no-acs-upstream", ...; static */
	size_t with;	  /* index of the member it joined; ISOLDE_NONE when it founded the group */
	size_t over;	  /* index of the component to blame; ISOLDE_NONE */
};

/*
 * rules: NULL is Linux 7.2 with nothing changed; one thread at a time may compute with them. Topology and rules must
 * live as long as the groups. TOPOLOGY_INVALID (EINVAL) before finish.
 */
int isolde_groups_compute(const struct isolde_topology *topology, struct isolde_rules *rules,
			  struct isolde_groups **ret, struct isolde_why *why);
void isolde_groups_free(struct isolde_groups *groups); /* NULL is legal */

/* Functions, in the order Linux meets them. */
size_t isolde_groups_count(const struct isolde_groups *groups);
/* index is below isolde_groups_count(). */
void isolde_groups_member(const struct isolde_groups *groups, size_t index, struct isolde_group_member *ret);
/* Index of the function at this address, or ISOLDE_NONE. Takes time linear in the number of functions. */
size_t isolde_groups_find(const struct isolde_groups *groups, struct isolde_bdf address);

/*
 * Why a member is in its group: a sentence that names both functions, the component, and the ACS bit missing or the
 * quirk;
 * "" for a founder. Cut to size. Returns text.
 */
const char *isolde_groups_reason(const struct isolde_groups *groups, size_t index, char *text, size_t size);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
