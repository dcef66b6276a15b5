/* SPDX-License-Identifier: MIT */
#include "iommu/sva.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "mem/client.h"

/* A process and its PASID, from its first bond until it is forgotten. */
struct sva_process {
	struct iommu *iommu;   /* borrowed */
	struct client *client; /* ref */
	u32 pasid;
	struct list bonds;     /* struct sva_bond, owned */
	struct list_link link; /* iommu->processes */
};

struct sva_bond {
	struct iommu_group *group;
	struct sva_process *process;
	struct domain *domain; /* owned */
	struct attach_handle handle;
	unsigned users;
	struct list_link link; /* process->bonds */
};

static struct sva_process *find_process(const struct iommu *iommu, const struct client *client)
{
	struct sva_process *process;

	list_for_each(process, &iommu->processes, link)
		if (process->client == client)
			return process;
	return NULL;
}

static struct sva_bond *find_bond(const struct sva_process *process, const struct iommu_group *group)
{
	struct sva_bond *bond;

	list_for_each(bond, &process->bonds, link)
		if (bond->group == group)
			return bond;
	return NULL;
}

static int process_new(struct iommu_device *device, struct client *client, struct sva_process **ret, struct why *why)
{
	struct iommu *iommu = device->group->iommu;
	struct sva_process *process = alloc_new(struct sva_process, why);
	int err;

	if (!process)
		return -why->err;
	err = iommu_alloc_pasid(device, &process->pasid, why);
	if (err < 0) {
		free(process);
		return err;
	}
	process->iommu = iommu;
	process->client = client_get(client);
	list_init(&process->bonds);
	list_append(&iommu->processes, &process->link);
	*ret = process;
	return 0;
}

void iommu_sva_forget(struct iommu *iommu, const struct client *client)
{
	struct sva_process *process = find_process(iommu, client);

	if (!process)
		return;
	while (!list_empty(&process->bonds)) {
		struct sva_bond *bond = list_first(&process->bonds, struct sva_bond, link);

		bond->users = 1;
		iommu_sva_unbind(bond);
	}
	iommu_free_pasid(iommu, process->pasid);
	client_put(process->client);
	list_remove(&process->link);
	free(process);
}

static int bond_new(struct iommu_device *device, struct sva_process *process, struct sva_bond **ret, struct why *why)
{
	char who[CLIENT_DESCRIPTION];
	struct sva_bond *bond = alloc_new(struct sva_bond, why);
	int err;

	if (!bond)
		return -why->err;
	/* intel/svm.c:intel_iommu_sva_supported(); those of others ask when they attach */
	err = refuse_pasids_off(device, why);
	if (err == 0)
		err = domain_new_sva(process->iommu, device->unit, process->client, &bond->domain, why);
	if (err == 0) {
		snprintf(bond->domain->name, sizeof(bond->domain->name), "the addresses of %.40s",
			 client_describe(process->client, who));
		err = iommu_attach_pasid(bond->domain, device, process->pasid, &bond->handle, why);
	}
	if (err < 0) {
		domain_free(bond->domain);
		free(bond);
		return err;
	}
	bond->group = device->group;
	bond->process = process;
	bond->users = 1;
	list_append(&process->bonds, &bond->link);
	*ret = bond;
	return 0;
}

/* That PASID of the group belongs to somebody else. */
static int refuse_taken(const struct sva_process *process, const struct iommu_group *group, struct why *why)
{
	const struct pasid_slot *slot = iommu_pasid_slot(group, process->pasid);
	char text[DOMAIN_TEXT];

	if (!slot)
		return 0;
	return refuse(why, PASID_TAKEN, "PASID %u is the process's, but group %d has it attached to %s", process->pasid,
		      group->id, domain_describe(slot->domain, text));
}

int iommu_sva_bind(struct iommu_device *device, struct client *client, struct sva_bond **ret, struct why *why)
{
	struct sva_process *process = find_process(device->group->iommu, client);
	struct sva_bond *bond = process ? find_bond(process, device->group) : NULL;
	int err = 0;

	if (!device->unit)
		return refuse_no_iommu(device, NULL, 0, why);
	if (process && process->pasid >= device->max_pasids)
		return refuse(why, SVA_PASID_LIMIT, "%s has PASIDs below %u; the process has %u", device->name,
			      device->max_pasids, process->pasid);
	if (bond) {
		bond->users++;
		*ret = bond;
		return 0;
	}
	if (!process)
		err = process_new(device, client, &process, why);
	if (err == 0)
		err = refuse_taken(process, device->group, why);
	return err < 0 ? err : bond_new(device, process, ret, why);
}

bool iommu_sva_unbind(struct sva_bond *bond)
{
	const struct pasid_slot *slot = iommu_pasid_slot(bond->group, bond->process->pasid);

	if (--bond->users)
		return false;
	/* Whoever replaced it has to detach it. */
	if (slot && slot->domain == bond->domain)
		group_detach_pasid(bond->group, bond->process->pasid);
	list_remove(&bond->link);
	domain_free(bond->domain);
	free(bond);
	return true;
}

u32 iommu_sva_pasid(const struct sva_bond *bond)
{
	return bond->process->pasid;
}
