/* SPDX-License-Identifier: MIT */
/* The library with a device's own node: /dev/iommu, BIND, ATTACH, as an embedding program does it; emulated devices. */
#include "isolde/isolde.h"

#include "tests/fixtures/told.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"

#define NVME "0000:01:00.0"
#define IOVA 0x100000000ull

struct fixture {
	struct isolde_machine *machine;
	struct isolde_why why;
	struct why expected;
	u8 *memory; /* 4 pages */
};

static int make(struct fixture *f, const char *machine, const char *const *binds)
{
	struct isolde_machine_options options = {.size = sizeof(options), .machine = machine, .binds = binds};

	f->memory = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return isolde_machine_new(&options, &f->machine, &f->why);
}

static void finish(struct fixture *f)
{
	isolde_machine_check(f->machine);
	isolde_machine_free(f->machine);
	munmap(f->memory, 4 * PAGE_SIZE);
}

static long told(struct fixture *f, long ret)
{
	return told_as(&f->expected, &f->why, ret);
}

#define OK(call)	   ASSERT_OK(f->expected, told(f, call))
#define OPEN(path)	   isolde_open(f->machine, path, O_RDWR, &f->why)
#define IOCTL(fd, nr, arg) isolde_ioctl(f->machine, fd, nr, (void *)(arg), &f->why)

static const char *const binds[] = {"vfio-pci=" NVME, NULL};

static u32 alloc_ioas(struct fixture *f, int iommufd)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	OK(IOCTL(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	return alloc.out_ioas_id;
}

static void map_memory(struct fixture *f, int iommufd, u32 ioas)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)f->memory,
		.length = 4 * PAGE_SIZE,
		.iova = IOVA,
	};

	OK(IOCTL(iommufd, IOMMU_IOAS_MAP, &map));
}

static void bind_and_attach(struct fixture *f, int device, int iommufd, u32 ioas)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = ioas};

	OK(IOCTL(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	OK(IOCTL(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

TEST(api_cdev, a_device_by_its_own_node)
{
	struct fixture fixture = {}, *f = &fixture;
	int iommufd, device, other;
	void *registers;
	u32 ioas;

	OK(make(f, NULL, binds));
	iommufd = (int)OK(OPEN("/dev/iommu"));
	device = (int)OK(OPEN("/dev/vfio/devices/vfio0"));
	other = (int)OK(OPEN("/dev/vfio/devices/vfio0"));
	EXPECT_REFUSED(CDEV_UNBOUND, f->expected, told(f, IOCTL(device, VFIO_DEVICE_RESET, NULL)));
	ioas = alloc_ioas(f, iommufd);
	map_memory(f, iommufd, ioas);
	bind_and_attach(f, device, iommufd, ioas);
	/* The registers of the model, through its own memory file. */
	OK(isolde_mmap(f->machine, device, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0, &registers, &f->why));
	assert_int_equal(get_u32((u8 *)registers + 8), 0x00010400); /* NVMe 1.4 */
	EXPECT_REFUSED(DEVICE_OPENED, f->expected,
		       told(f, IOCTL(other, VFIO_DEVICE_BIND_IOMMUFD,
				     &((struct vfio_device_bind_iommufd){
					     .argsz = sizeof(struct vfio_device_bind_iommufd), .iommufd = iommufd}))));
	/* A mapping is a holder like a descriptor. */
	assert_int_equal(isolde_close(f->machine, device), 0);
	EXPECT_REFUSED(DEVICE_OPENED, f->expected,
		       told(f, IOCTL(other, VFIO_DEVICE_BIND_IOMMUFD,
				     &((struct vfio_device_bind_iommufd){
					     .argsz = sizeof(struct vfio_device_bind_iommufd), .iommufd = iommufd}))));
	munmap(registers, PAGE_SIZE);
	bind_and_attach(f, other, iommufd, ioas);
	finish(f);
}

static const char provided[] = "options: {iommufd_provides_vfio: true}\n"
			       "devices:\n"
			       "  - {slot: \"01.0\", role: integrated, model: nvme}\n";

/* A kernel configured so: the container's node is another /dev/iommu. */
TEST(api_cdev, vfio_provided_by_iommufd)
{
	struct fixture fixture = {}, *f = &fixture;
	char path[] = "/tmp/isolde-api-cdev-XXXXXX.yaml";
	int file = mkstemps(path, 5), container;

	assert_int_equal(write(file, provided, sizeof(provided) - 1), sizeof(provided) - 1);
	close(file);
	OK(make(f, path, NULL));
	unlink(path);
	container = (int)OK(OPEN("/dev/vfio/vfio"));
	assert_int_equal(OK(IOCTL(container, VFIO_GET_API_VERSION, NULL)), 0);
	assert_int_equal(OK(IOCTL(container, VFIO_CHECK_EXTENSION, (uintptr_t)VFIO_TYPE1v2_IOMMU)), 1);
	EXPECT_REFUSED(COMPAT_NO_IOAS, f->expected,
		       told(f, IOCTL(container, VFIO_SET_IOMMU, (uintptr_t)VFIO_TYPE1v2_IOMMU)));
	alloc_ioas(f, container);
	finish(f);
}

TEST(api_cdev, an_emulated_device_moves_memory)
{
	struct fixture fixture = {}, *f = &fixture;
	int iommufd, device;
	u32 ioas;
	/* Copy 100 bytes a page further: registers of docs/machine-file.md. */
	const u32 values[][2] = {
		{0x10, (u32)IOVA},  {0x14, IOVA >> 32}, {0x18, (u32)(IOVA + PAGE_SIZE)},
		{0x1c, IOVA >> 32}, {0x20, 100},	{0x08, 1},
	};
	u32 status = 99;

	OK(make(f, "emulated", NULL));
	memset(f->memory, 0x42, 100);
	iommufd = (int)OK(OPEN("/dev/iommu"));
	device = (int)OK(OPEN("/dev/vfio/devices/vfio0"));
	ioas = alloc_ioas(f, iommufd);
	map_memory(f, iommufd, ioas);
	bind_and_attach(f, device, iommufd, ioas);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		assert_int_equal(OK(isolde_pwrite(f->machine, device, &values[i][1], 4, values[i][0], &f->why)), 4);
	assert_int_equal(OK(isolde_pread(f->machine, device, &status, 4, 0x0c, &f->why)), 4);
	assert_int_equal(status, 0);
	assert_memory_equal(f->memory, f->memory + PAGE_SIZE, 100);
	finish(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(api_cdev, a_device_by_its_own_node),
		CASE(api_cdev, vfio_provided_by_iommufd),
		CASE(api_cdev, an_emulated_device_moves_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
