/* SPDX-License-Identifier: MIT */
#include "iommu/inspect.h"
#include "iommufd/inspect.h"
#include "machine/files.h"
#include "machine/machine.h"
#include "vfio/inspect.h"

static void inspect_files(const struct machine *machine, struct describer *describer)
{
	const struct file *file = NULL;

	describe_array(describer, "files");
	while ((file = files_next(machine->files, file))) {
		describe_object(describer, NULL);
		describe_text(describer, "path", file->path);
		describe_text(describer, "kind", file->ops->kind);
		describe_end(describer);
	}
	describe_end(describer);
}

void machine_inspect(struct machine *machine, struct describer *describer)
{
	mutex_lock(&machine->lock);
	files_drain(machine->files);
	describe_text(describer, "machine", machine->description->name);
	iommu_inspect(&machine->iommu, describer);
	vfio_inspect(&machine->vfio, describer);
	iommufd_inspect(&machine->iommufd, describer);
	inspect_files(machine, describer);
	mutex_unlock(&machine->lock);
}
