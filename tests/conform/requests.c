/* SPDX-License-Identifier: MIT */
/* Requests of /dev/iommu, and of the mock devices, as functions. */
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conform/conform.h"

answer open_answer(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int iommu(void)
{
	return watch(open_answer("/dev/iommu", O_RDWR));
}

answer ask(int fd, unsigned long request, void *structure)
{
	int ret = ioctl(fd, request, structure);

	return ret < 0 ? -errno : ret;
}

answer ask_read_only(int fd, unsigned long request, const void *structure, size_t size)
{
	char *page = memory(PAGE);
	answer got;

	memcpy(page, structure, size);
	protect(page, PAGE, PROT_READ);
	got = ask(fd, request, page);
	protect(page, PAGE, PROT_READ | PROT_WRITE);
	return got;
}

u32 new_ioas(int fd)
{
	struct iommu_ioas_alloc request = {.size = sizeof(request)};

	EXPECT(0, ask(fd, IOMMU_IOAS_ALLOC, &request));
	return request.out_ioas_id;
}

answer destroy(int fd, u32 id)
{
	return ASK(fd, IOMMU_DESTROY, iommu_destroy, .id = id);
}

answer map_at(int fd, u32 ioas, const void *address, u64 length, u64 iova)
{
	struct iommu_ioas_map request = {
		.size = sizeof(request),
		.flags = FIXED | RW,
		.ioas_id = ioas,
		.user_va = (uintptr_t)address,
		.length = length,
		.iova = iova,
	};
	answer got = ask(fd, IOMMU_IOAS_MAP, &request);

	if (got == 0)
		EXPECT_EQUAL(iova, request.iova);
	return got;
}

u64 map_somewhere(int fd, u32 ioas, const void *address, u64 length)
{
	struct iommu_ioas_map request = {
		.size = sizeof(request),
		.flags = RW,
		.ioas_id = ioas,
		.user_va = (uintptr_t)address,
		.length = length,
	};

	EXPECT(0, ask(fd, IOMMU_IOAS_MAP, &request));
	return request.iova;
}

answer map_file_at(int fd, u32 ioas, int file, u64 start, u64 length, u64 iova)
{
	return ASK(fd, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = FIXED | RW, .ioas_id = ioas, .fd = file,
		   .start = start, .length = length, .iova = iova);
}

answer copy_at(int fd, u32 to, u64 to_iova, u32 from, u64 from_iova, u64 length)
{
	return ASK(fd, IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = FIXED | RW, .dst_ioas_id = to, .dst_iova = to_iova,
		   .src_ioas_id = from, .src_iova = from_iova, .length = length);
}

answer unmap(int fd, u32 ioas, u64 iova, u64 length)
{
	struct iommu_ioas_unmap request = {.size = sizeof(request), .ioas_id = ioas, .iova = iova, .length = length};
	answer got = ask(fd, IOMMU_IOAS_UNMAP, &request);

	return got == 0 ? (answer)request.length : got;
}

answer allow(int fd, u32 ioas, const struct iommu_iova_range *ranges, u32 count)
{
	return ASK(fd, IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, .ioas_id = ioas, .num_iovas = count,
		   .allowed_iovas = (uintptr_t)ranges);
}

u64 alignment_of(int fd, u32 ioas)
{
	struct iommu_iova_range ranges[16];
	struct iommu_ioas_iova_ranges request = {
		.size = sizeof(request),
		.ioas_id = ioas,
		.num_iovas = COUNT(ranges),
		.allowed_iovas = (uintptr_t)ranges,
	};

	EXPECT(0, ask(fd, IOMMU_IOAS_IOVA_RANGES, &request));
	return request.out_iova_alignment;
}

u32 new_fault_queue(int fd, int *queue)
{
	struct iommu_fault_alloc request = {.size = sizeof(request)};

	EXPECT(0, ask(fd, IOMMU_FAULT_QUEUE_ALLOC, &request));
	*queue = watch((int)request.out_fault_fd);
	return request.out_fault_id;
}

/* ---- mock ---- */

/* No operation has number 0: who knows the request says EOPNOTSUPP, who does not, ENOTTY. */
bool have_mock(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	bool known = fd >= 0 && ask_mock(fd, &(struct mock_request){.op = 0}) == -EOPNOTSUPP;

	if (fd >= 0)
		close(fd);
	return known;
}

void need_mock(void)
{
	if (!have_mock())
		skip("no mock devices here: IOMMU_TEST is not known");
}

answer ask_mock(int fd, struct mock_request *request)
{
	request->size = sizeof(*request);
	return ask(fd, MOCK_CMD, request);
}

answer try_mock(int fd, u32 pt_id, u32 flags, struct mock *ret)
{
	struct mock_request request = {.op = MOCK_DOMAIN_FLAGS, .id = pt_id, .halves = {[3] = flags}};
	answer got = ask_mock(fd, &request);

	if (got == 0)
		*ret = (struct mock){request.halves[0], request.halves[1], request.halves[2]};
	return got;
}

struct mock new_mock(int fd, u32 pt_id, u32 flags)
{
	struct mock mock;

	EXPECT(0, try_mock(fd, pt_id, flags, &mock));
	return mock;
}

answer replace_mock(int fd, u32 stdev, u32 *pt_id)
{
	struct mock_request request = {.op = MOCK_REPLACE, .id = stdev, .halves = {*pt_id}};
	answer got = ask_mock(fd, &request);

	if (got == 0)
		*pt_id = request.halves[0];
	return got;
}

static answer mock_pasid(int fd, u32 op, u32 stdev, u32 pasid, u32 *pt_id)
{
	struct mock_request request = {.op = op, .id = stdev, .halves = {pasid, *pt_id}};
	answer got = ask_mock(fd, &request);

	if (got == 0)
		*pt_id = request.halves[1];
	return got;
}

answer attach_mock(int fd, u32 stdev, u32 pasid, u32 *pt_id)
{
	return mock_pasid(fd, MOCK_PASID_ATTACH, stdev, pasid, pt_id);
}

answer replace_mock_at(int fd, u32 stdev, u32 pasid, u32 *pt_id)
{
	return mock_pasid(fd, MOCK_PASID_REPLACE, stdev, pasid, pt_id);
}

answer detach_mock(int fd, u32 stdev, u32 pasid)
{
	return ask_mock(fd, &(struct mock_request){.op = MOCK_PASID_DETACH, .id = stdev, .halves = {pasid}});
}

answer check_attached(int fd, u32 stdev, u32 pasid, u32 hwpt)
{
	return ask_mock(fd, &(struct mock_request){.op = MOCK_PASID_CHECK, .id = stdev, .halves = {pasid, hwpt}});
}

answer reserve_iova(int fd, u32 ioas, u64 start, u64 length)
{
	return ask_mock(fd, &(struct mock_request){.op = MOCK_ADD_RESERVED, .id = ioas, .words = {start, length}});
}

answer check_maps(int fd, u32 hwpt, u64 iova, u64 length, const void *address)
{
	return ask_mock(fd, &(struct mock_request){
				    .op = MOCK_CHECK_MAP, .id = hwpt, .words = {iova, length, (uintptr_t)address}});
}

answer check_refs(int fd, const void *address, u64 length, u32 refs)
{
	struct mock_request request = {.op = MOCK_CHECK_REFS, .words = {length, (uintptr_t)address}};

	request.halves[4] = refs;
	return ask_mock(fd, &request);
}

answer new_access(int fd, u32 ioas, u32 flags)
{
	struct mock_request request = {.op = MOCK_CREATE_ACCESS, .id = ioas, .halves = {[1] = flags}};
	answer got = ask_mock(fd, &request);

	return got == 0 ? (answer)request.halves[0] : got;
}

answer rw_access(int fd, int access, u64 iova, void *buffer, u64 length, u32 flags)
{
	struct mock_request request = {
		.op = MOCK_ACCESS_RW,
		.id = (u32)access,
		.words = {iova, length, (uintptr_t)buffer, flags},
	};

	return ask_mock(fd, &request);
}

answer pin_access(int fd, int access, u64 iova, u64 length, const void *address, u32 flags)
{
	struct mock_request request = {
		.op = MOCK_PIN,
		.id = (u32)access,
		.words = {flags, iova, length, (uintptr_t)address},
	};
	answer got = ask_mock(fd, &request);

	return got == 0 ? (answer)request.halves[1] : got;
}

answer unpin_access(int fd, int access, u32 item)
{
	return ask_mock(fd, &(struct mock_request){.op = MOCK_UNPIN, .id = (u32)access, .halves = {item}});
}

answer request_page(int fd, u32 idev, u32 pasid, u32 grpid, u32 perm, u64 address)
{
	struct mock_request request = {.op = MOCK_PAGE_REQUEST, .halves = {idev, pasid, grpid, perm}};

	request.words[2] = address;
	return ask_mock(fd, &request);
}

answer alloc_hwpt(int fd, u32 idev, u32 pt_id, u32 flags)
{
	struct iommu_hwpt_alloc request = {.size = sizeof(request), .flags = flags, .dev_id = idev, .pt_id = pt_id};
	answer got = ask(fd, IOMMU_HWPT_ALLOC, &request);

	return got == 0 ? (answer)request.out_hwpt_id : got;
}

answer alloc_nested_hwpt(int fd, u32 idev, u32 parent, u32 flags, u32 fault_id)
{
	u32 data[2] = {MOCK_IOTLB, 0};
	struct iommu_hwpt_alloc request = {
		.size = sizeof(request),
		.flags = flags,
		.dev_id = idev,
		.pt_id = parent,
		.data_type = MOCK_DATA,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
		.fault_id = fault_id,
	};
	answer got = ask(fd, IOMMU_HWPT_ALLOC, &request);

	return got == 0 ? (answer)request.out_hwpt_id : got;
}
