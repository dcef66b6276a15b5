/* SPDX-License-Identifier: MIT */
/* What every layer tells of itself, as lines "where = what". The JSON of it is supervise's. */
#include "isolde/abi/iommufd.h"
#include "isolde/isolde.h"

#include "tests/fixtures/told.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/describe.h"
#include "machine/api.h"
#include "machine/machine.h"

#define NVME "0000:01:00.0"

/* A describer that writes lines; arrays number their members. */
struct recorder {
	struct describer describer;
	FILE *out;
	char *text;
	size_t size;
	unsigned depth;
	struct {
		char name[48];
		bool array;
		unsigned count;
	} at[16];
};

static void write_place(struct recorder *recorder, const char *name)
{
	for (unsigned i = 1; i <= recorder->depth; i++)
		fprintf(recorder->out, "%s.", recorder->at[i].name);
	/* A name where there is one, and only there. */
	assert_true(recorder->at[recorder->depth].array == (name == NULL));
	if (name)
		fputs(name, recorder->out);
	else
		fprintf(recorder->out, "%u", recorder->at[recorder->depth].count++);
}

static void begin(struct describer *describer, const char *name, bool array)
{
	struct recorder *recorder = container_of(describer, struct recorder, describer);
	unsigned depth = recorder->depth;

	assert_true(depth < ARRAY_SIZE(recorder->at) - 1);
	assert_true(recorder->at[depth].array == (name == NULL));
	if (name)
		snprintf(recorder->at[depth + 1].name, sizeof(recorder->at[0].name), "%s", name);
	else
		snprintf(recorder->at[depth + 1].name, sizeof(recorder->at[0].name), "%u", recorder->at[depth].count++);
	recorder->at[depth + 1].array = array;
	recorder->at[depth + 1].count = 0;
	recorder->depth++;
}

static void begin_object(struct describer *describer, const char *name)
{
	begin(describer, name, false);
}

static void begin_array(struct describer *describer, const char *name)
{
	begin(describer, name, true);
}

static void close_it(struct describer *describer)
{
	struct recorder *recorder = container_of(describer, struct recorder, describer);

	assert_true(recorder->depth > 0);
	recorder->depth--;
}

static void write_text(struct describer *describer, const char *name, const char *text)
{
	struct recorder *recorder = container_of(describer, struct recorder, describer);

	write_place(recorder, name);
	fprintf(recorder->out, " = %s\n", text ? text : "null");
}

static void write_number(struct describer *describer, const char *name, u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	write_text(describer, name, text);
}

static void write_flag(struct describer *describer, const char *name, bool value)
{
	write_text(describer, name, value ? "true" : "false");
}

static char *inspected(struct machine *machine, u64 mappings)
{
	static const struct describer_ops ops = {.object = begin_object,
						 .array = begin_array,
						 .close = close_it,
						 .number = write_number,
						 .flag = write_flag,
						 .text = write_text};
	struct recorder recorder = {.describer = {.ops = &ops, .mappings = mappings}};

	recorder.out = open_memstream(&recorder.text, &recorder.size);
	machine_inspect(machine, &recorder.describer);
	assert_int_equal(recorder.depth, 0);
	fclose(recorder.out);
	return recorder.text;
}

struct fixture {
	struct isolde_machine *machine;
	struct isolde_why why;
	struct why expected;
	char *memory, *text;
};

static long told(struct fixture *f, long ret)
{
	return told_as(&f->expected, &f->why, ret);
}

#define OK(call)		ASSERT_OK(f->expected, told(f, call))
#define IOCTL(fd, request, arg) isolde_ioctl(f->machine, fd, request, arg, &f->why)

static int setup_on(const char *machine, void **state)
{
	static const char *const binds[] = {"vfio-pci=" NVME, NULL};
	struct isolde_machine_options options = {.size = sizeof(options), .machine = machine, .binds = binds};
	struct fixture *f = calloc(1, sizeof(*f));

	OK(isolde_machine_new(&options, &f->machine, &f->why));
	f->memory = mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_on(NULL, state);
}

/* Its controller can be moved. */
static int setup_movable(void **state)
{
	return setup_on(TESTS_DATA "/machines/movable.yaml", state);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	isolde_machine_free(f->machine);
	munmap(f->memory, 4 * PAGE_SIZE);
	free(f->text);
	free(f);
	return 0;
}

#define TEST_F(name)                                                                                                   \
	static void inspect_##name##_body(struct fixture *f);                                                          \
	static void inspect_##name(void **state)                                                                       \
	{                                                                                                              \
		inspect_##name##_body(*state);                                                                         \
	}                                                                                                              \
	static void inspect_##name##_body(struct fixture *f)
#define CASE_F(name) cmocka_unit_test_setup_teardown(inspect_##name, setup, teardown)

static void look(struct fixture *f, u64 mappings)
{
	free(f->text);
	f->text = inspected(f->machine->machine, mappings);
}

/* A whole line. */
static void expect(struct fixture *f, const char *line)
{
	const char *at = strstr(f->text, line);
	size_t length = strlen(line);

	while (at && !((at == f->text || at[-1] == '\n') && at[length] == '\n'))
		at = strstr(at + 1, line);
	if (!at)
		fail_msg("\"%s\" is not a line of:\n%s", line, f->text);
}

TEST_F(groups_say_who_has_them)
{
	look(f, 0);
	expect(f, "machine = default");
	expect(f, "units.0.name = dmar0");
	expect(f, "groups.2.owner = 0000:00:14.0 is bound to xhci_hcd");
	expect(f, "groups.2.owner_count = 1");
	expect(f, "groups.2.domain.kind = paging");
	expect(f, "groups.2.domain_is_default = true");
	expect(f, "groups.2.devices.0.driver = xhci_hcd");
	expect(f, "groups.2.devices.0.dma_api = true");
	expect(f, "groups.0.owner = null");
	expect(f, "vfio.devices.0.name = " NVME);
	expect(f, "vfio.devices.0.open = false");
}

static u32 ioas_with_memory(struct fixture *f, int iommu)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
				     .user_va = (uintptr_t)f->memory,
				     .length = PAGE_SIZE};

	OK(IOCTL(iommu, IOMMU_IOAS_ALLOC, &alloc));
	map.ioas_id = alloc.out_ioas_id;
	for (map.iova = 0x1000; map.iova < 0x4000; map.iova += 0x1000)
		OK(IOCTL(iommu, IOMMU_IOAS_MAP, &map));
	return alloc.out_ioas_id;
}

TEST_F(contexts_tell_their_objects)
{
	int iommu = (int)OK(isolde_open(f->machine, "/dev/iommu", O_RDWR, &f->why));
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};

	ioas_with_memory(f, iommu);
	OK(IOCTL(iommu, IOMMU_FAULT_QUEUE_ALLOC, &fault));
	look(f, 100);
	expect(f, "contexts.0.path = /dev/iommu");
	expect(f, "contexts.0.open = true");
	expect(f, "contexts.0.kept_by = 1");
	expect(f, "contexts.0.charges = user");
	expect(f, "contexts.0.objects.0.type = IOAS");
	expect(f, "contexts.0.objects.0.users = 0");
	expect(f, "contexts.0.objects.0.mapping_count = 3");
	expect(f, "contexts.0.objects.0.mappings.2.iova = 0x3000");
	expect(f, "contexts.0.objects.0.mappings.2.last = 0x3fff");
	expect(f, "contexts.0.objects.0.mappings.2.permission = r");
	expect(f, "contexts.0.objects.0.mappings.2.memory = program");
	expect(f, "contexts.0.objects.1.type = FAULT");
	expect(f, "contexts.0.objects.1.users = 1");
	expect(f, "contexts.0.objects.1.open = true");
	expect(f, "files.0.path = /dev/iommu");
	expect(f, "files.1.path = anon_inode:[iommufd-pgfault]");
	/* Closed, the context is kept by its queue. */
	assert_int_equal(isolde_close(f->machine, iommu), 0);
	look(f, 0);
	expect(f, "contexts.0.open = false");
	assert_int_equal(isolde_close(f->machine, (int)fault.out_fault_fd), 0);
	look(f, 0);
	assert_null(strstr(f->text, "contexts.0"));
}

TEST_F(mappings_are_told_as_far_as_they_are_wanted)
{
	int iommu = (int)OK(isolde_open(f->machine, "/dev/iommu", O_RDWR, &f->why));

	ioas_with_memory(f, iommu);
	ioas_with_memory(f, iommu);
	look(f, 0);
	expect(f, "contexts.0.objects.1.mapping_count = 3");
	assert_null(strstr(f->text, ".mappings."));
	look(f, 4);
	expect(f, "contexts.0.objects.0.mappings.2.iova = 0x3000");
	expect(f, "contexts.0.objects.1.mappings.0.iova = 0x1000");
	expect(f, "contexts.0.objects.1.mapping_count = 3");
	assert_null(strstr(f->text, "objects.1.mappings.1."));
	isolde_close(f->machine, iommu);
}

static void open_container(struct fixture *f, int *container, int *group)
{
	char path[32];

	*container = (int)OK(isolde_open(f->machine, "/dev/vfio/vfio", O_RDWR, &f->why));
	for (int id = 0; id < 64; id++) {
		snprintf(path, sizeof(path), "/dev/vfio/%d", id);
		*group = isolde_open(f->machine, path, O_RDWR, NULL);
		if (*group >= 0)
			return;
	}
	fail_msg("no group can be opened");
}

TEST_F(containers_tell_their_groups_and_mappings)
{
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					       .vaddr = (uintptr_t)f->memory,
					       .iova = 0x10000,
					       .size = 2 * PAGE_SIZE};
	int container, group;

	open_container(f, &container, &group);
	OK(IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	OK(IOCTL(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	OK(IOCTL(container, VFIO_IOMMU_MAP_DMA, &map));
	look(f, 100);
	expect(f, "vfio.containers.0.iommu = TYPE1v2");
	expect(f, "vfio.containers.0.mapping_count = 1");
	expect(f, "vfio.containers.0.mappings.0.iova = 0x10000");
	expect(f, "vfio.containers.0.mappings.0.last = 0x11fff");
	expect(f, "vfio.groups.0.open = true");
	expect(f, "vfio.groups.0.in_container = true");
	EXPECT_SUBSTR("owner = VFIO group", f->text);
	isolde_close(f->machine, group);
	isolde_close(f->machine, container);
	look(f, 100);
	expect(f, "vfio.groups.0.open = false");
	assert_null(strstr(f->text, "vfio.containers.0"));
}

TEST_F(devices_that_move_tell_their_state)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_mig_state mig;
	} request = {.head = {sizeof(request), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
		     .mig = {.device_state = VFIO_DEVICE_STATE_STOP_COPY}};
	int container, group, device;

	open_container(f, &container, &group);
	OK(IOCTL(group, VFIO_GROUP_SET_CONTAINER, &container));
	OK(IOCTL(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	device = (int)OK(IOCTL(group, VFIO_GROUP_GET_DEVICE_FD, (void *)NVME));
	look(f, 0);
	expect(f, "vfio.devices.0.migration = RUNNING");
	expect(f, "vfio.devices.0.dma_logged = false");
	OK(IOCTL(device, VFIO_DEVICE_FEATURE, &request));
	look(f, 0);
	expect(f, "vfio.devices.0.migration = STOP_COPY");
	isolde_close(f->machine, request.mig.data_fd);
	isolde_close(f->machine, device);
	look(f, 0);
	assert_null(strstr(f->text, "vfio.devices.0.migration"));
	isolde_close(f->machine, group);
	isolde_close(f->machine, container);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE_F(groups_say_who_has_them),
		CASE_F(contexts_tell_their_objects),
		CASE_F(mappings_are_told_as_far_as_they_are_wanted),
		CASE_F(containers_tell_their_groups_and_mappings),
		cmocka_unit_test_setup_teardown(inspect_devices_that_move_tell_their_state, setup_movable, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
