/* SPDX-License-Identifier: MIT */
/*
 * The VFIO user ABI of Linux 7.2, transcribed: numbers, structures and what each means, in our words. The names are
 * Linux's, because programs know them; so this header and <linux/vfio.h> exclude each other.
 * tests/unit/vfio/abi.c compares every size, offset and number with the system's header, where that has them.
 *
 * Every structure of a request starts with argsz, the bytes the caller provides, and flags. A request number carries no
 * size (the direction and size bits are 0): old and new programs use the same number and differ in argsz.
 */
#ifndef ISOLDE_ABI_VFIO_H
#define ISOLDE_ABI_VFIO_H

#include <stdint.h>

#define VFIO_API_VERSION 0

#define VFIO_TYPE (';')
#define VFIO_BASE 100

#define VFIO_REQUEST(nr) (VFIO_TYPE << 8 | (VFIO_BASE + (nr)))

/* What VFIO_CHECK_EXTENSION can be asked; 1, 2, 3, 6, 7 and 8 are also types for VFIO_SET_IOMMU. */
#define VFIO_TYPE1_IOMMU	 1
#define VFIO_SPAPR_TCE_IOMMU	 2
#define VFIO_TYPE1v2_IOMMU	 3
#define VFIO_DMA_CC_IOMMU	 4 /* the IOMMU makes all DMA coherent with the caches */
#define VFIO_EEH		 5
#define VFIO_TYPE1_NESTING_IOMMU 6 /* no longer offered by Linux */
#define VFIO_SPAPR_TCE_v2_IOMMU	 7
#define VFIO_NOIOMMU_IOMMU	 8
#define VFIO_UNMAP_ALL		 9  /* VFIO_DMA_UNMAP_FLAG_ALL is known */
#define VFIO_UPDATE_VADDR	 10 /* the VADDR flags of map and unmap are known */

/*
 * Chains of capabilities behind the INFO structures. Offsets count from the start of the structure; 0 ends the chain.
 * A buffer that is too small gets argsz raised to what is needed, and no chain.
 */
struct vfio_info_cap_header {
	uint16_t id; /* its meaning depends on the request */
	uint16_t version;
	uint32_t next;
};

/* ---- container: /dev/vfio/vfio ---- */

#define VFIO_GET_API_VERSION VFIO_REQUEST(0) /* no argument; VFIO_API_VERSION */
#define VFIO_CHECK_EXTENSION VFIO_REQUEST(1) /* the extension itself as argument; 0 or a positive number */
#define VFIO_SET_IOMMU	     VFIO_REQUEST(2) /* the type itself as argument */

/* ---- group: /dev/vfio/GROUP ---- */

struct vfio_group_status {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_GROUP_FLAGS_VIABLE	       (1 << 0)
#define VFIO_GROUP_FLAGS_CONTAINER_SET (1 << 1)
};
#define VFIO_GROUP_GET_STATUS VFIO_REQUEST(3)

#define VFIO_GROUP_SET_CONTAINER   VFIO_REQUEST(4) /* pointer to int32_t, a descriptor of the container */
#define VFIO_GROUP_UNSET_CONTAINER VFIO_REQUEST(5) /* no argument */
#define VFIO_GROUP_GET_DEVICE_FD   VFIO_REQUEST(6) /* pointer to the name: "0000:01:00.0", options may follow */

/* ---- device ---- */

struct vfio_device_info {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DEVICE_FLAGS_RESET	   (1 << 0) /* VFIO_DEVICE_RESET works */
#define VFIO_DEVICE_FLAGS_PCI	   (1 << 1)
#define VFIO_DEVICE_FLAGS_PLATFORM (1 << 2)
#define VFIO_DEVICE_FLAGS_AMBA	   (1 << 3)
#define VFIO_DEVICE_FLAGS_CCW	   (1 << 4)
#define VFIO_DEVICE_FLAGS_AP	   (1 << 5)
#define VFIO_DEVICE_FLAGS_FSL_MC   (1 << 6)
#define VFIO_DEVICE_FLAGS_CAPS	   (1 << 7)
#define VFIO_DEVICE_FLAGS_CDX	   (1 << 8)
	uint32_t num_regions;
	uint32_t num_irqs;
	uint32_t cap_offset;
	uint32_t pad;
};
#define VFIO_DEVICE_GET_INFO VFIO_REQUEST(7)

#define VFIO_DEVICE_INFO_CAP_ZPCI_BASE	     1
#define VFIO_DEVICE_INFO_CAP_ZPCI_GROUP	     2
#define VFIO_DEVICE_INFO_CAP_ZPCI_UTIL	     3
#define VFIO_DEVICE_INFO_CAP_ZPCI_PFIP	     4
#define VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP 5

struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	uint32_t flags;
#define VFIO_PCI_ATOMIC_COMP32	(1 << 0)
#define VFIO_PCI_ATOMIC_COMP64	(1 << 1)
#define VFIO_PCI_ATOMIC_COMP128 (1 << 2)
	uint32_t reserved;
};

struct vfio_region_info {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_REGION_INFO_FLAG_READ  (1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE (1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP  (1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS  (1 << 3)
	uint32_t index; /* in */
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset; /* of the region in the device's descriptor */
};
#define VFIO_DEVICE_GET_REGION_INFO VFIO_REQUEST(8)

#define VFIO_REGION_INFO_CAP_SPARSE_MMAP 1 /* only these parts can be mapped */

struct vfio_region_sparse_mmap_area {
	uint64_t offset;
	uint64_t size;
};

struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	uint32_t nr_areas;
	uint32_t reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

#define VFIO_REGION_INFO_CAP_TYPE 2 /* what a region beyond the fixed ones is */

struct vfio_region_info_cap_type {
	struct vfio_info_cap_header header;
	uint32_t type;
	uint32_t subtype;
};

#define VFIO_REGION_TYPE_PCI_VENDOR_TYPE (1 << 31)
#define VFIO_REGION_TYPE_PCI_VENDOR_MASK (0xffff)
#define VFIO_REGION_TYPE_GFX		 (1)
#define VFIO_REGION_TYPE_CCW		 (2)

#define VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION (1)
#define VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG (2)
#define VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG  (3)

#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE 3 /* the BAR with the MSI-X table can be mapped whole */

struct vfio_irq_info {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_IRQ_INFO_EVENTFD	 (1 << 0)
#define VFIO_IRQ_INFO_MASKABLE	 (1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED (1 << 2) /* delivery masks it */
#define VFIO_IRQ_INFO_NORESIZE	 (1 << 3) /* the number of vectors is fixed when the index is enabled */
	uint32_t index;			  /* in */
	uint32_t count;
};
#define VFIO_DEVICE_GET_IRQ_INFO VFIO_REQUEST(9)

struct vfio_irq_set {
	uint32_t argsz;
	uint32_t flags; /* one DATA and one ACTION */
#define VFIO_IRQ_SET_DATA_NONE	    (1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL	    (1 << 1) /* data: one byte each */
#define VFIO_IRQ_SET_DATA_EVENTFD   (1 << 2) /* data: one int32_t each, -1 for none */
#define VFIO_IRQ_SET_ACTION_MASK    (1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK  (1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER (1 << 5)
	uint32_t index;
	uint32_t start;
	uint32_t count;
	uint8_t data[];
};
#define VFIO_DEVICE_SET_IRQS VFIO_REQUEST(10)

#define VFIO_IRQ_SET_DATA_TYPE_MASK (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define VFIO_IRQ_SET_ACTION_TYPE_MASK                                                                                  \
	(VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER)

#define VFIO_DEVICE_RESET VFIO_REQUEST(11) /* no argument */

/* Regions of a PCI device; each starts at index << 40 of its descriptor. */
enum {
	VFIO_PCI_BAR0_REGION_INDEX,
	VFIO_PCI_BAR1_REGION_INDEX,
	VFIO_PCI_BAR2_REGION_INDEX,
	VFIO_PCI_BAR3_REGION_INDEX,
	VFIO_PCI_BAR4_REGION_INDEX,
	VFIO_PCI_BAR5_REGION_INDEX,
	VFIO_PCI_ROM_REGION_INDEX,
	VFIO_PCI_CONFIG_REGION_INDEX,
	VFIO_PCI_VGA_REGION_INDEX,
	VFIO_PCI_NUM_REGIONS = 9 /* indices from here on are told apart by VFIO_REGION_INFO_CAP_TYPE */
};

enum {
	VFIO_PCI_INTX_IRQ_INDEX,
	VFIO_PCI_MSI_IRQ_INDEX,
	VFIO_PCI_MSIX_IRQ_INDEX,
	VFIO_PCI_ERR_IRQ_INDEX, /* a PCI Express error was detected */
	VFIO_PCI_REQ_IRQ_INDEX, /* somebody wants the device back */
	VFIO_PCI_NUM_IRQS
};

struct vfio_pci_dependent_device {
	union {
		uint32_t group_id; /* device opened through its group */
		uint32_t devid;	   /* device opened by its own node */
#define VFIO_PCI_DEVID_OWNED	 0
#define VFIO_PCI_DEVID_NOT_OWNED -1
	};
	uint16_t segment;
	uint8_t bus;
	uint8_t devfn;
};

struct vfio_pci_hot_reset_info {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID	     (1 << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1)
	uint32_t count;
	struct vfio_pci_dependent_device devices[];
};
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO VFIO_REQUEST(12)

struct vfio_pci_hot_reset {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	int32_t group_fds[]; /* proof that the caller owns all devices the reset hits */
};
#define VFIO_DEVICE_PCI_HOT_RESET VFIO_REQUEST(13)

struct vfio_device_gfx_plane_info {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_GFX_PLANE_TYPE_PROBE  (1 << 0)
#define VFIO_GFX_PLANE_TYPE_DMABUF (1 << 1)
#define VFIO_GFX_PLANE_TYPE_REGION (1 << 2)
	uint32_t drm_plane_type;
	uint32_t drm_format;
	uint64_t drm_format_mod;
	uint32_t width;
	uint32_t height;
	uint32_t stride;
	uint32_t size;
	uint32_t x_pos;
	uint32_t y_pos;
	uint32_t x_hot;
	uint32_t y_hot;
	union {
		uint32_t region_index;
		uint32_t dmabuf_id;
	};
	uint32_t reserved;
};
#define VFIO_DEVICE_QUERY_GFX_PLANE VFIO_REQUEST(14)
#define VFIO_DEVICE_GET_GFX_DMABUF  VFIO_REQUEST(15)

struct vfio_device_ioeventfd {
	uint32_t argsz;
	uint32_t flags; /* one size */
#define VFIO_DEVICE_IOEVENTFD_8		(1 << 0)
#define VFIO_DEVICE_IOEVENTFD_16	(1 << 1)
#define VFIO_DEVICE_IOEVENTFD_32	(1 << 2)
#define VFIO_DEVICE_IOEVENTFD_64	(1 << 3)
#define VFIO_DEVICE_IOEVENTFD_SIZE_MASK (0xf)
	uint64_t offset; /* in the device's descriptor */
	uint64_t data;
	int32_t fd; /* -1 removes */
	uint32_t reserved;
};
#define VFIO_DEVICE_IOEVENTFD VFIO_REQUEST(16)

struct vfio_device_feature {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DEVICE_FEATURE_MASK  (0xffff)
#define VFIO_DEVICE_FEATURE_GET	  (1 << 16)
#define VFIO_DEVICE_FEATURE_SET	  (1 << 17)
#define VFIO_DEVICE_FEATURE_PROBE (1 << 18)
	uint8_t data[];
};
#define VFIO_DEVICE_FEATURE VFIO_REQUEST(17)

struct vfio_device_bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DEVICE_BIND_FLAG_TOKEN (1 << 0)
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token_uuid_ptr;
};
#define VFIO_DEVICE_BIND_IOMMUFD VFIO_REQUEST(18)

struct vfio_device_attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DEVICE_ATTACH_PASID (1 << 0)
	uint32_t pt_id;
	uint32_t pasid;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT VFIO_REQUEST(19)

struct vfio_device_detach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DEVICE_DETACH_PASID (1 << 0)
	uint32_t pasid;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT VFIO_REQUEST(20)

/* Features; the data of each follows struct vfio_device_feature. */

#define VFIO_DEVICE_FEATURE_PCI_VF_TOKEN 0 /* 16 bytes, a UUID */

#define VFIO_DEVICE_FEATURE_MIGRATION 1

struct vfio_device_feature_migration {
	uint64_t flags;
#define VFIO_MIGRATION_STOP_COPY (1 << 0)
#define VFIO_MIGRATION_P2P	 (1 << 1)
#define VFIO_MIGRATION_PRE_COPY	 (1 << 2)
};

#define VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE 2

struct vfio_device_feature_mig_state {
	uint32_t device_state; /* enum vfio_device_mig_state */
	int32_t data_fd;
};

enum vfio_device_mig_state {
	VFIO_DEVICE_STATE_ERROR = 0,
	VFIO_DEVICE_STATE_STOP = 1,
	VFIO_DEVICE_STATE_RUNNING = 2,
	VFIO_DEVICE_STATE_STOP_COPY = 3,
	VFIO_DEVICE_STATE_RESUMING = 4,
	VFIO_DEVICE_STATE_RUNNING_P2P = 5,
	VFIO_DEVICE_STATE_PRE_COPY = 6,
	VFIO_DEVICE_STATE_PRE_COPY_P2P = 7,
	VFIO_DEVICE_STATE_NR,
};

struct vfio_precopy_info {
	uint32_t argsz;
	uint32_t flags;
	uint64_t initial_bytes;
	uint64_t dirty_bytes;
};
#define VFIO_MIG_GET_PRECOPY_INFO VFIO_REQUEST(21) /* on the migration descriptor */

#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY		3
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP 4
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT		5

struct vfio_device_low_power_entry_with_wakeup {
	int32_t wakeup_eventfd;
	uint32_t reserved;
};

#define VFIO_DEVICE_FEATURE_DMA_LOGGING_START  6
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP   7
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT 8

struct vfio_device_feature_dma_logging_control {
	uint64_t page_size;
	uint32_t num_ranges;
	uint32_t __reserved;
	uint64_t ranges;
};

struct vfio_device_feature_dma_logging_range {
	uint64_t iova;
	uint64_t length;
};

struct vfio_device_feature_dma_logging_report {
	uint64_t iova;
	uint64_t length;
	uint64_t page_size;
	uint64_t bitmap;
};

#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9

struct vfio_device_feature_mig_data_size {
	uint64_t stop_copy_length;
};

#define VFIO_DEVICE_FEATURE_BUS_MASTER 10 /* of CDX devices only */

struct vfio_device_feature_bus_master {
	uint32_t op;
#define VFIO_DEVICE_FEATURE_CLEAR_MASTER 0
#define VFIO_DEVICE_FEATURE_SET_MASTER	 1
};

#define VFIO_DEVICE_FEATURE_DMA_BUF 11

struct vfio_region_dma_range {
	uint64_t offset;
	uint64_t length;
};

struct vfio_device_feature_dma_buf {
	uint32_t region_index;
	uint32_t open_flags;
	uint32_t flags;
	uint32_t nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};

#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 12

/* ---- container with a type 1 IOMMU ---- */

struct vfio_iommu_type1_info {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_IOMMU_INFO_PGSIZES (1 << 0)
#define VFIO_IOMMU_INFO_CAPS	(1 << 1)
	uint64_t iova_pgsizes; /* bit n: pages of 2^n bytes */
	uint32_t cap_offset;
	uint32_t pad;
};
#define VFIO_IOMMU_GET_INFO VFIO_REQUEST(12)

#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1

struct vfio_iova_range {
	uint64_t start;
	uint64_t end; /* inclusive */
};

struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	uint32_t nr_iovas;
	uint32_t reserved;
	struct vfio_iova_range iova_ranges[];
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION 2

struct vfio_iommu_type1_info_cap_migration {
	struct vfio_info_cap_header header;
	uint32_t flags;
	uint64_t pgsize_bitmap;
	uint64_t max_dirty_bitmap_size;
};

#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL 3

struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	uint32_t avail; /* mappings that can still be made */
};

struct vfio_iommu_type1_dma_map {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DMA_MAP_FLAG_READ	(1 << 0) /* by the device */
#define VFIO_DMA_MAP_FLAG_WRITE (1 << 1)
#define VFIO_DMA_MAP_FLAG_VADDR (1 << 2) /* only a new address for a mapping that lost its own */
	uint64_t vaddr;
	uint64_t iova;
	uint64_t size;
};
#define VFIO_IOMMU_MAP_DMA VFIO_REQUEST(13)

struct vfio_bitmap {
	uint64_t pgsize; /* bytes that one bit stands for */
	uint64_t size;	 /* bytes at data */
	uint64_t *data;
};

struct vfio_iommu_type1_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP (1 << 0) /* data: struct vfio_bitmap */
#define VFIO_DMA_UNMAP_FLAG_ALL		     (1 << 1) /* iova and size are 0 */
#define VFIO_DMA_UNMAP_FLAG_VADDR	     (1 << 2) /* keep the mapping, forget its address */
	uint64_t iova;
	uint64_t size; /* out: bytes removed */
	uint8_t data[];
};
#define VFIO_IOMMU_UNMAP_DMA VFIO_REQUEST(14)

#define VFIO_IOMMU_ENABLE  VFIO_REQUEST(15) /* of other IOMMU types */
#define VFIO_IOMMU_DISABLE VFIO_REQUEST(16)

struct vfio_iommu_type1_dirty_bitmap {
	uint32_t argsz;
	uint32_t flags; /* one of */
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_START      (1 << 0)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP       (1 << 1)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP (1 << 2) /* data: struct vfio_iommu_type1_dirty_bitmap_get */
	uint8_t data[];
};

struct vfio_iommu_type1_dirty_bitmap_get {
	uint64_t iova;
	uint64_t size;
	struct vfio_bitmap bitmap;
};
#define VFIO_IOMMU_DIRTY_PAGES VFIO_REQUEST(17)

#endif
