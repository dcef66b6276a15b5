/* SPDX-License-Identifier: MIT */
/*
 * A device that a VFIO driver has, and the files that programs have of it (spec 04 sections 4 to 6).
 *
 * A program gets at a device in one of two ways, never in both at once: through its group (GET_DEVICE_FD: one file,
 * shared by all who ask) or through its character device, of which any number are open and one at most is bound.
 * Whichever file it is has the session: all requests and accesses go there.
 */
#ifndef VFIO_DEVICE_H
#define VFIO_DEVICE_H

#include "base/cleanup.h"
#include "vfio/iommufd.h"
#include "vfio/type1.h"

struct group_file;
struct pci_session;
struct soft_memory;

#define VF_TOKEN_SIZE 16

/* What users of a physical function and of its virtual ones must agree on. */
struct vf_token {
	u8 uuid[VF_TOKEN_SIZE];
	unsigned users; /* virtual functions that are open */
	bool sriov;	/* enabled through vfio-pci: virtual functions that come want the token */
};

struct vfio_device {
	char name[VFIO_NAME];
	struct vfio *vfio;	       /* borrowed */
	struct iommu_device *iommu;    /* borrowed */
	struct pci_function *function; /* borrowed */
	struct soft_memory *soft;      /* borrowed; of an emulated device; NULL: it is hardware, bound to vfio-pci */
	struct vfio_group *group;      /* keeps the group entered */
	struct vf_token *token;	       /* owned; of a physical function; NULL: it is none */
	struct vfio_device *physical;  /* of a virtual function: whose token it wants; NULL: of none */
	unsigned index;		       /* vfio-dev/vfioINDEX, and the minor of the character device */
	struct vfio_pci_options pci;   /* parameters of the module as it was bound */
	bool hidden;		       /* an unbind has begun */
	bool virtuals_leave;	       /* those of a physical function: whoever takes them away has it locked, too */
	bool kept_awake;	       /* by sysfs: power/control is on */
	bool needs_reset;	       /* closed without one */
	unsigned msi_qmax;	       /* log2 of the vectors that MSI was last enabled with; 0 before */
	struct list files;	       /* struct device_file */
	struct device_file *opened;    /* the one of files that has the session; NULL while closed */
	struct pci_session *session;   /* owned; NULL while closed */
	struct device_iommufd iommufd; /* what an iommufd has of it while it is open */
	struct type1_user user;	       /* what a container has of an emulated one while it is open */
	struct list_link link;	       /* vfio->devices */
};

struct device_file {
	struct file file;	    /* first */
	struct vfio_device *device; /* borrowed: it stays while it has files */
	bool by_group;		    /* from GET_DEVICE_FD */
	struct group_file *held;    /* with a container: the group's file, kept open by us; NULL: nothing is */
	char opener[CLIENT_DESCRIPTION];
	struct list_link link; /* device->files */
};

extern const struct file_ops device_file_ops;

static inline struct device_file *device_file_of(struct file *file)
{
	return container_of(file, struct device_file, file);
}

/* May it do anything but BIND? */
static inline bool device_file_granted(const struct device_file *file)
{
	return file->device->opened == file;
}

/* The row of ioctls.def for a request of that file; NULL: it has none such. */
struct vfio_ioctl;
const struct vfio_ioctl *device_file_request(const struct file *file, unsigned cmd);

/* The device behind a file of ours; NULL: it is another's. */
struct vfio_device *device_of_file(struct file *file);

/* Files begin closed. by_group says which kind; nothing has changed on failure. */
int device_file_new(struct vfio_device *device, bool by_group, struct client *client, struct device_file **ret,
		    struct why *why);
void device_file_free(struct device_file *file); /* it has no session; NULL is legal */
DEFINE_FREE(device_file)

/*
 * The rules of tokens, for one who opens the device; given: NULL if there is none. Of a physical function nobody has
 * virtual ones open of, it becomes the token, as in Linux even when the open fails later. VF_TOKEN_UNWANTED (EINVAL),
 * VF_TOKEN_MISSING, VF_TOKEN_WRONG (EACCES). (vf_token.c)
 */
int vf_token_match(const struct vfio_device *device, const u8 *given, struct why *why);
/* At probe: OUT_OF_MEMORY. */
int vf_token_init(struct vfio_device *device, struct why *why);
void vf_token_fini(struct vfio_device *device);
void vf_token_opened(const struct vfio_device *device);
void vf_token_closed(const struct vfio_device *device);
void vf_token_check(const struct vfio_device *device);

/* For drivers' probe: a device, and perhaps its group, appears. *ret is what the listener is told of. */
int vfio_device_new(struct vfio *vfio, struct iommu_device *iommu, struct pci_function *function,
		    struct soft_memory *soft, const char *name, struct vfio_device **ret, struct why *why);
void vfio_device_free(struct vfio_device *device); /* nobody has it open; the group may go with it */

/* GET_DEVICE_FD: a descriptor of the session, which is begun if there is none. */
long vfio_device_open_by_group(struct vfio_device *device, struct client *client, struct why *why);

void vfio_device_check(const struct vfio_device *device);

#endif
