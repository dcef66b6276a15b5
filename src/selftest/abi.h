/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_TEST_CMD, the request of /dev/iommu by which Linux's own tests make devices that no machine has, and look
 * behind the scenes: numbers and layouts of Linux 7.2, where a kernel built with CONFIG_IOMMUFD_TEST answers it. No
 * stable ABI: the tests of another version may want other numbers. tests/kernel/abi.sh compares with the header those
 * tests use.
 *
 * What each operation must do, and refuse, is in spec 06, section 8. "stdev" is the test device as an object that
 * IOMMU_DESTROY takes away; the "idev" is the device object of its bind, as for any other device.
 */
#ifndef SELFTEST_ABI_H
#define SELFTEST_ABI_H

#include "isolde/abi/iommufd.h"

#define IOMMU_TEST_CMD IOMMUFD_REQUEST(IOMMUFD_CMD_BASE + 32)

enum {
	IOMMU_TEST_OP_ADD_RESERVED = 1,
	IOMMU_TEST_OP_MOCK_DOMAIN = 2,
	IOMMU_TEST_OP_MD_CHECK_MAP = 3,
	IOMMU_TEST_OP_MD_CHECK_REFS = 4,
	IOMMU_TEST_OP_CREATE_ACCESS = 5,
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES = 6,
	IOMMU_TEST_OP_ACCESS_PAGES = 7,
	IOMMU_TEST_OP_ACCESS_RW = 8,
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT = 9,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE = 10,
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS = 11,
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS = 12,
	IOMMU_TEST_OP_DIRTY = 13,
	IOMMU_TEST_OP_MD_CHECK_IOTLB = 14,
	IOMMU_TEST_OP_TRIGGER_IOPF = 15,
	IOMMU_TEST_OP_DEV_CHECK_CACHE = 16,
	IOMMU_TEST_OP_TRIGGER_VEVENT = 17,
	IOMMU_TEST_OP_PASID_ATTACH = 18,
	IOMMU_TEST_OP_PASID_REPLACE = 19,
	IOMMU_TEST_OP_PASID_DETACH = 20,
	IOMMU_TEST_OP_PASID_CHECK_HWPT = 21,
	IOMMU_TEST_OP_DMABUF_GET = 22, /* the answer of the request itself is the descriptor */
	IOMMU_TEST_OP_DMABUF_REVOKE = 23,
};

/* The page table of MOCK_IOMMUPT_DEFAULT: small pages of 2048 bytes, 512 times that, and one aperture. */
enum {
	MOCK_IOMMUPT_DEFAULT = 0,
	MOCK_IOMMUPT_HUGE = 1,

	MOCK_PAGE_SIZE = 2048,
	MOCK_HUGE_PAGE_SIZE = 1 << 20,
	MOCK_APERTURE_START = 0x1000000,
	MOCK_APERTURE_LAST = 0x7fffffff,
};

enum {
	MOCK_FLAGS_ACCESS_WRITE = 1 << 0,
	MOCK_FLAGS_ACCESS_SYZ = 1 << 16, /* the IOVA is a number of an area and an offset in it, 32 bits each */

	MOCK_ACCESS_RW_WRITE = 1 << 0,
	MOCK_ACCESS_RW_SLOW_PATH = 1 << 2,

	MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES = 1 << 0,

	MOCK_FLAGS_DEVICE_NO_DIRTY = 1 << 0,
	MOCK_FLAGS_DEVICE_PASID = 1 << 2,
};

/* The "caches" that invalidations clear: words, of a nested HWPT and of a device. */
enum {
	MOCK_NESTED_DOMAIN_IOTLB_ID_MAX = 3,
	MOCK_NESTED_DOMAIN_IOTLB_NUM = 4,
	MOCK_DEV_CACHE_ID_MAX = 3,
	MOCK_DEV_CACHE_NUM = 4,
};
#define IOMMU_TEST_IOTLB_DEFAULT     0xbadbeef
#define IOMMU_TEST_DEV_CACHE_DEFAULT 0xbaddad

#define MOCK_PASID_WIDTH	  20
#define IOMMU_TEST_PASID_RESERVED 1024 /* every other attach of it fails */

struct iommu_test_cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id; /* IOAS, HWPT, stdev, access descriptor, or not looked at: by op */
	uint32_t __reserved;
	union {
		struct {
			iommufd_u64 start, length;
		} add_reserved;
		struct {
			uint32_t out_stdev_id, out_hwpt_id, out_idev_id;
		} mock_domain;
		struct {
			uint32_t out_stdev_id, out_hwpt_id, out_idev_id;
			uint32_t dev_flags; /* MOCK_FLAGS_DEVICE_... */
		} mock_domain_flags;
		struct {
			uint32_t pt_id; /* out: the HWPT it became */
		} mock_domain_replace;
		struct {
			iommufd_u64 iova, length, uptr;
		} check_map;
		struct {
			iommufd_u64 length, uptr;
			uint32_t refs;
		} check_refs;
		struct {
			uint32_t out_access_fd;
			uint32_t flags; /* MOCK_FLAGS_ACCESS_CREATE_... */
		} create_access;
		struct {
			uint32_t access_pages_id;
		} destroy_access_pages;
		struct {
			uint32_t flags; /* MOCK_FLAGS_ACCESS_... */
			uint32_t out_access_pages_id;
			iommufd_u64 iova, length, uptr;
		} access_pages;
		struct {
			iommufd_u64 iova, length, uptr;
			uint32_t flags; /* MOCK_ACCESS_RW_... */
		} access_rw;
		struct {
			uint32_t limit;
		} memory_limit;
		struct {
			uint32_t ioas_id;
		} access_replace_ioas;
		struct {
			uint32_t flags;
			iommufd_u64 iova, length, page_size, uptr, out_nr_dirty;
		} dirty;
		struct {
			uint32_t id, iotlb; /* which word, and what it should be */
		} check_iotlb;
		struct {
			uint32_t dev_id, pasid, grpid, perm;
			uint64_t addr;
		} trigger_iopf;
		struct {
			uint32_t id, cache;
		} check_dev_cache;
		struct {
			uint32_t dev_id;
		} trigger_vevent;
		struct {
			uint32_t pasid;
			uint32_t pt_id; /* out: the HWPT it became */
		} pasid_attach, pasid_replace;
		struct {
			uint32_t pasid;
		} pasid_detach;
		struct {
			uint32_t pasid, hwpt_id;
		} pasid_check;
		struct {
			uint32_t length, open_flags;
		} dmabuf_get;
		struct {
			int32_t dmabuf_fd;
			uint32_t revoked;
		} dmabuf_revoke;
	};
	uint32_t last; /* smallest size of the request: up to here */
};

/* What the ordinary requests carry for test devices: types that no hardware has. */

#define IOMMU_HW_INFO_TYPE_SELFTEST   0xfeedbeef
#define IOMMU_HW_INFO_SELFTEST_REGVAL 0xdeadbeef

struct iommu_test_hw_info {
	uint32_t flags; /* 0 */
	uint32_t test_reg;
};

#define IOMMU_HWPT_DATA_SELFTEST 0xdead

struct iommu_hwpt_selftest {
	uint32_t iotlb;		 /* what the words of its cache are at first */
	uint32_t pagetable_type; /* MOCK_IOMMUPT_... */
};

#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST	    0xdeadbeef
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef /* a type that is never known */

#define IOMMU_TEST_INVALIDATE_FLAG_ALL (1 << 0) /* whichever id is given */

struct iommu_hwpt_invalidate_selftest {
	uint32_t flags;
	uint32_t iotlb_id;
};

#define IOMMU_VIOMMU_TYPE_SELFTEST 0xdeadbeef

struct iommu_viommu_selftest {
	uint32_t in_data;
	uint32_t out_data;	     /* the same */
	iommufd_u64 out_mmap_offset; /* of a page of /dev/iommu that starts with in_data */
	iommufd_u64 out_mmap_length;
};

#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST	      0xdeadbeef
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

struct iommu_viommu_invalidate_selftest {
	uint32_t flags;
	uint32_t vdev_id;
	uint32_t cache_id;
};

#define IOMMU_VEVENTQ_TYPE_SELFTEST 0xbeefbeef

struct iommu_viommu_event_selftest {
	uint32_t virt_id;
};

#define IOMMU_HW_QUEUE_TYPE_SELFTEST 0xdeadbeef
#define IOMMU_TEST_HW_QUEUE_MAX	     2

#endif
