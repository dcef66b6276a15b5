/* SPDX-License-Identifier: MIT */
/*
 * The user ABI of /dev/iommu as Linux 7.2 has it, transcribed: numbers, structures and what each means, in our words.
 * The names are Linux's, because programs know them; so this header and <linux/iommufd.h> exclude each other.
 * tests/unit/iommufd/abi.c compares every size, offset and number with the system's header, as far as that goes;
 * tests/kernel/abi.sh compares all of them with Linux 7.2's own.
 *
 * Every structure of a request starts with size, what the caller provides. Less than the fields of the first kernel
 * that had the request is refused (EINVAL); what a shorter structure lacks counts as 0; what a longer one has more must
 * be 0 (E2BIG). A request number carries no size: the direction and size bits are 0. Unknown flags, types and reserved
 * fields that are not 0 are EOPNOTSUPP, unless said otherwise.
 *
 * Objects have ids, unique in one open file of /dev/iommu; 0 is none. Ranges that have a last include it.
 */
#ifndef ISOLDE_ABI_IOMMUFD_H
#define ISOLDE_ABI_IOMMUFD_H

#include <stdint.h>

#define IOMMUFD_TYPE (';')

/* 64 bits are aligned to 64 bits for 32-bit callers too. */
typedef uint64_t iommufd_u64 __attribute__((aligned(8)));

enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = 0x80,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
};

#define IOMMUFD_REQUEST(nr) (IOMMUFD_TYPE << 8 | (nr))

/* ---- objects ---- */

struct iommu_destroy {
	uint32_t size;
	uint32_t id; /* EBUSY while anything uses it */
};
#define IOMMU_DESTROY IOMMUFD_REQUEST(IOMMUFD_CMD_DESTROY)

/* ---- IOAS: an address space of I/O, which maps IOVAs to memory ---- */

struct iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t out_ioas_id;
};
#define IOMMU_IOAS_ALLOC IOMMUFD_REQUEST(IOMMUFD_CMD_IOAS_ALLOC)

struct iommu_iova_range {
	iommufd_u64 start;
	iommufd_u64 last;
};

/*
 * What no attached device, domain or reservation excludes. EMSGSIZE when there are more ranges than places: the first
 * ones are filled in, and num_iovas tells how many there are.
 */
struct iommu_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas; /* in: places at allowed_iovas; out: ranges there are */
	uint32_t __reserved;
	iommufd_u64 allowed_iovas;	/* pointer to struct iommu_iova_range[] */
	iommufd_u64 out_iova_alignment; /* of the first byte of a mapping and of its length; 1 to the page size */
};
#define IOMMU_IOAS_IOVA_RANGES IOMMUFD_REQUEST(IOMMUFD_CMD_IOAS_IOVA_RANGES)

/* Ranges that stay usable, because what would exclude them is refused; chosen IOVAs lie in them. Replaces the old list.
 */
struct iommu_ioas_allow_iovas {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	iommufd_u64 allowed_iovas; /* pointer to struct iommu_iova_range[] */
};
#define IOMMU_IOAS_ALLOW_IOVAS IOMMUFD_REQUEST(IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

/* Of map, map_file and copy; at least one of the permissions. */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0, /* the caller gives the IOVA; otherwise one is chosen */
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,  /* by devices */
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

struct iommu_ioas_map {
	uint32_t size;
	uint32_t flags; /* enum iommufd_ioas_map_flags */
	uint32_t ioas_id;
	uint32_t __reserved;
	iommufd_u64 user_va;
	iommufd_u64 length;
	iommufd_u64 iova; /* out too, fixed or not */
};
#define IOMMU_IOAS_MAP IOMMUFD_REQUEST(IOMMUFD_CMD_IOAS_MAP)

struct iommu_ioas_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;	   /* a memory file (shmem, hugetlbfs), or a dma-buf of a device's region */
	iommufd_u64 start; /* in the file */
	iommufd_u64 length;
	iommufd_u64 iova;
};
#define IOMMU_IOAS_MAP_FILE IOMMUFD_REQUEST(IOMMUFD_CMD_IOAS_MAP_FILE)

/* Maps again what is mapped already: any part of a gapless run of mappings. The memory is pinned and charged once. */
struct iommu_ioas_copy {
	uint32_t size;
	uint32_t flags;
	uint32_t dst_ioas_id;
	uint32_t src_ioas_id;
	iommufd_u64 length;
	iommufd_u64 dst_iova; /* out too */
	iommufd_u64 src_iova;
};
#define IOMMU_IOAS_COPY IOMMUFD_REQUEST(IOMMUFD_CMD_IOAS_COPY)

/* Whole mappings only, any number. 0 and UINT64_MAX are everything, and then nothing mapped is fine. */
struct iommu_ioas_unmap {
	uint32_t size;
	uint32_t ioas_id;
	iommufd_u64 iova;
	iommufd_u64 length; /* out: bytes removed, without the gaps */
};
#define IOMMU_IOAS_UNMAP IOMMUFD_REQUEST(IOMMUFD_CMD_IOAS_UNMAP)

/* All mappings, of files only, are charged to the calling process from here on. */
struct iommu_ioas_change_process {
	uint32_t size;
	uint32_t __reserved;
};
#define IOMMU_IOAS_CHANGE_PROCESS IOMMUFD_REQUEST(IOMMUFD_CMD_IOAS_CHANGE_PROCESS)

enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0, /* of the file (object_id 0): charge the user (0) or the process (1) */
	IOMMU_OPTION_HUGE_PAGES = 1,  /* of an IOAS: 1, as at first, or 0 for page by page */
};

enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

struct iommu_option {
	uint32_t size;
	uint32_t option_id; /* enum iommufd_option */
	uint16_t op;	    /* enum iommufd_option_ops */
	uint16_t __reserved;
	uint32_t object_id;
	iommufd_u64 val64; /* GET: out */
};
#define IOMMU_OPTION IOMMUFD_REQUEST(IOMMUFD_CMD_OPTION)

enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/* Which IOAS the requests of a VFIO container mean, when this file is used as one. */
struct iommu_vfio_ioas {
	uint32_t size;
	uint32_t ioas_id; /* SET: in; GET: out */
	uint16_t op;	  /* enum iommufd_vfio_ioas_op */
	uint16_t __reserved;
};
#define IOMMU_VFIO_IOAS IOMMUFD_REQUEST(IOMMUFD_CMD_VFIO_IOAS)

/* ---- HWPT: a hardware page table, that is, a domain ---- */

enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,	  /* nested ones can be built on it */
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1, /* devices without it cannot attach */
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,	  /* page requests go to fault_id */
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,	  /* for PASIDs, and for the device itself beside attached PASIDs */
};

enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,  /* supervisor requests are allowed */
	IOMMU_VTD_S1_EAFE = 1 << 1, /* the extended-accessed bit is kept */
	IOMMU_VTD_S1_WPE = 1 << 2,  /* write protection binds supervisor requests */
};

/* A first-stage table that the caller keeps, at an address of the parent. */
struct iommu_hwpt_vtd_s1 {
	iommufd_u64 flags; /* enum iommu_hwpt_vtd_s1_flags */
	iommufd_u64 pgtbl_addr;
	uint32_t addr_width;
	uint32_t __reserved;
};

/*
 * The first two words, little-endian, of a stream table entry. Word 0 may have V, Cfg, S1Fmt, S1ContextPtr, S1CDMax;
 * word 1 EATS, S1DSS, S1CIR, S1COR, S1CSH, S1STALLD. Anything else is EIO.
 */
struct iommu_hwpt_arm_smmuv3 {
	iommufd_u64 ste[2];
};

struct iommu_hwpt_amd_guest {
	iommufd_u64 dte[4]; /* a guest's device table entry */
};

struct iommu_hwpt_alloc {
	uint32_t size;
	uint32_t flags; /* enum iommufd_hwpt_alloc_flags */
	uint32_t dev_id;
	uint32_t pt_id; /* an IOAS, or for a nested one the parent: an HWPT or a vIOMMU */
	uint32_t out_hwpt_id;
	uint32_t __reserved;
	uint32_t data_type; /* enum iommu_hwpt_data_type; NONE exactly when data_len is 0 */
	uint32_t data_len;
	iommufd_u64 data_uptr;
	uint32_t fault_id;
	uint32_t __reserved2; /* not looked at */
};
#define IOMMU_HWPT_ALLOC IOMMUFD_REQUEST(IOMMUFD_CMD_HWPT_ALLOC)

enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

struct iommu_hwpt_set_dirty_tracking {
	uint32_t size;
	uint32_t flags; /* enum iommufd_hwpt_set_dirty_tracking_flags; 0 switches it off */
	uint32_t hwpt_id;
	uint32_t __reserved;
};
#define IOMMU_HWPT_SET_DIRTY_TRACKING IOMMUFD_REQUEST(IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)

enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1, /* the marks stay, because an unmap follows */
};

struct iommu_hwpt_get_dirty_bitmap {
	uint32_t size;
	uint32_t hwpt_id;
	uint32_t flags; /* enum iommufd_hwpt_get_dirty_bitmap_flags */
	uint32_t __reserved;
	iommufd_u64 iova; /* of the first bit */
	iommufd_u64 length;
	iommufd_u64 page_size; /* bytes that one bit stands for */
	iommufd_u64 data;      /* pointer; bits are set there, never cleared */
};
#define IOMMU_HWPT_GET_DIRTY_BITMAP IOMMUFD_REQUEST(IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)

enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,	     /* of a nested HWPT */
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1, /* of a vIOMMU */
};

enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0, /* leaves only, not the caches of the levels above */
};

struct iommu_hwpt_vtd_s1_invalidate {
	iommufd_u64 addr;   /* of a 4 KiB page */
	iommufd_u64 npages; /* of 4 KiB; addr 0 and UINT64_MAX: everything */
	uint32_t flags;	    /* enum iommu_hwpt_vtd_s1_invalidate_flags */
	uint32_t __reserved;
};

/*
 * A command of the SMMU's queue, little-endian: TLBI_NSNH_ALL, TLBI_NH_VA, TLBI_NH_VAA, TLBI_NH_ALL, TLBI_NH_ASID,
 * ATC_INV, CFGI_CD, CFGI_CD_ALL. Any other is EIO.
 */
struct iommu_viommu_arm_smmuv3_invalidate {
	iommufd_u64 cmd[2];
};

struct iommu_hwpt_invalidate {
	uint32_t size;
	uint32_t hwpt_id;      /* a nested HWPT or a vIOMMU */
	iommufd_u64 data_uptr; /* pointer to entry_num entries */
	uint32_t data_type;    /* enum iommu_hwpt_invalidate_data_type */
	uint32_t entry_len;
	uint32_t entry_num; /* out, after failures too: entries done; 0 asks whether the type is known */
	uint32_t __reserved;
};
#define IOMMU_HWPT_INVALIDATE IOMMUFD_REQUEST(IOMMUFD_CMD_HWPT_INVALIDATE)

/* ---- device: what hardware it is behind ---- */

enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,	/* out: the driver tells nothing */
	IOMMU_HW_INFO_TYPE_DEFAULT = 0, /* in: whichever it has */
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0, /* no read-only mappings in a nesting parent */
};

struct iommu_hw_info_vtd {
	uint32_t flags; /* enum iommu_hw_info_vtd_flags */
	uint32_t __reserved;
	iommufd_u64 cap_reg; /* as the registers of these names read */
	iommufd_u64 ecap_reg;
};

struct iommu_hw_info_arm_smmuv3 {
	uint32_t flags; /* 0 */
	uint32_t __reserved;
	uint32_t idr[6]; /* as the registers read; only what nesting needs is meant to be used */
	uint32_t iidr;
	uint32_t aidr;
};

struct iommu_hw_info_tegra241_cmdqv {
	uint32_t flags; /* 0 */
	uint8_t version;
	uint8_t log2vcmdqs;
	uint8_t log2vsids;
	uint8_t __reserved;
};

struct iommu_hw_info_amd {
	iommufd_u64 efr; /* as the registers of these names read */
	iommufd_u64 efr2;
};

enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3, /* cannot be used on this device */
};

enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0, /* in_data_type counts */
};

struct iommu_hw_info {
	uint32_t size;
	uint32_t flags; /* enum iommufd_hw_info_flags */
	uint32_t dev_id;
	uint32_t data_len; /* in: bytes at data_uptr, filled up with 0; out: bytes there are */
	iommufd_u64 data_uptr;
	union {
		uint32_t in_data_type; /* enum iommu_hw_info_type */
		uint32_t out_data_type;
	};
	uint8_t out_max_pasid_log2; /* 0: no PASIDs */
	uint8_t __reserved[3];
	iommufd_u64 out_capabilities; /* enum iommufd_hw_capabilities */
};
#define IOMMU_GET_HW_INFO IOMMUFD_REQUEST(IOMMUFD_CMD_GET_HW_INFO)

/* ---- fault queue: a file that is read for page requests and written with their answers ---- */

struct iommu_fault_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t out_fault_id;
	uint32_t out_fault_fd;
};
#define IOMMU_FAULT_QUEUE_ALLOC IOMMUFD_REQUEST(IOMMUFD_CMD_FAULT_QUEUE_ALLOC)

enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = 1 << 0,
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = 1 << 1, /* of its group; this one is answered */
};

enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = 1 << 0,
	IOMMU_PGFAULT_PERM_WRITE = 1 << 1,
	IOMMU_PGFAULT_PERM_EXEC = 1 << 2,
	IOMMU_PGFAULT_PERM_PRIV = 1 << 3,
};

/* What read() gives: groups of these, whole ones only. */
struct iommu_hwpt_pgfault {
	uint32_t flags; /* enum iommu_hwpt_pgfault_flags */
	uint32_t dev_id;
	uint32_t pasid;
	uint32_t grpid;
	uint32_t perm; /* enum iommu_hwpt_pgfault_perm */
	uint32_t __reserved;
	iommufd_u64 addr;
	uint32_t length; /* a hint at how much the device will want; 0 for none */
	uint32_t cookie; /* for the answer; the same in all of a group */
};

enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0, /* mapped now: try again */
	IOMMUFD_PAGE_RESP_INVALID = 1, /* do not try again */
};

/* What write() takes, any number of them. */
struct iommu_hwpt_page_response {
	uint32_t cookie;
	uint32_t code; /* enum iommufd_page_response_code */
};

/* ---- vIOMMU: the slice of one IOMMU that one guest sees ---- */

enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0, /* refused */
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/* Out: where the registers of its queues can be mapped, with mmap() of /dev/iommu. */
struct iommu_viommu_tegra241_cmdqv {
	iommufd_u64 out_vintf_mmap_offset;
	iommufd_u64 out_vintf_mmap_length;
};

struct iommu_viommu_alloc {
	uint32_t size;
	uint32_t flags;	  /* 0 */
	uint32_t type;	  /* enum iommu_viommu_type */
	uint32_t dev_id;  /* any device behind that IOMMU */
	uint32_t hwpt_id; /* a nesting parent */
	uint32_t out_viommu_id;
	uint32_t data_len;
	uint32_t __reserved; /* not looked at */
	iommufd_u64 data_uptr;
};
#define IOMMU_VIOMMU_ALLOC IOMMUFD_REQUEST(IOMMUFD_CMD_VIOMMU_ALLOC)

/* A device as the guest knows it. Should die before the device does; else its id is never used again. */
struct iommu_vdevice_alloc {
	uint32_t size;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t out_vdevice_id;
	iommufd_u64 virt_id; /* the guest's number for it: StreamID, DeviceID, requester ID */
};
#define IOMMU_VDEVICE_ALLOC IOMMUFD_REQUEST(IOMMUFD_CMD_VDEVICE_ALLOC)

enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1U << 0, /* nothing follows this header: what would have, was lost */
};

/* What read() of the queue gives: headers, each followed by the type's data. */
struct iommufd_vevent_header {
	uint32_t flags;	   /* enum iommu_veventq_flag */
	uint32_t sequence; /* from 0 to INT32_MAX and round again; a gap is what was lost */
};

enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0, /* refused */
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

struct iommu_vevent_arm_smmuv3 {
	iommufd_u64 evt[4]; /* an event record, little-endian, with the guest's StreamID */
};

struct iommu_vevent_tegra241_cmdqv {
	iommufd_u64 lvcmdq_err_map[2]; /* little-endian */
};

struct iommu_veventq_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t viommu_id;
	uint32_t type;		/* enum iommu_veventq_type; one queue of each */
	uint32_t veventq_depth; /* events it holds */
	uint32_t out_veventq_id;
	uint32_t out_veventq_fd;
	uint32_t __reserved;
};
#define IOMMU_VEVENTQ_ALLOC IOMMUFD_REQUEST(IOMMUFD_CMD_VEVENTQ_ALLOC)

enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0, /* refused */
	/* Made in the order of index, destroyed in the other; length is a power of 2, and base is aligned to it. */
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/* A queue in the guest's memory that the hardware reads by itself. */
struct iommu_hw_queue_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t viommu_id;
	uint32_t type;	/* enum iommu_hw_queue_type */
	uint32_t index; /* one of each type */
	uint32_t out_hw_queue_id;
	iommufd_u64 nesting_parent_iova; /* where it is, in the vIOMMU's parent */
	iommufd_u64 length;
};
#define IOMMU_HW_QUEUE_ALLOC IOMMUFD_REQUEST(IOMMUFD_CMD_HW_QUEUE_ALLOC)

#endif
