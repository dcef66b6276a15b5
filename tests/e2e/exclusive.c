/* SPDX-License-Identifier: MIT */
/*
 * Lives at random of one program with the functions of one bus, each answer compared with the model
 * (tests/fixtures/vfio_model.h): as tests/unit/machine/exclusive.c, but with system calls alone, so that it runs in a
 * room and on Linux itself, which judges the model.
 *
 *	exclusive linux|isolde SEED STEPS BDF=GROUP...		groups counted from 0; all on one bus, behind an IOMMU
 *	exclusive linux-bare|isolde-bare ...			or none: noiommu mode is on, each has a group of its own
 *
 * Prints what differs and exits with 1; 0: nothing does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"
#include "tests/fixtures/vfio_model.h"

enum { OPS = 512 };

static struct vfio_layout layout = {.name = "bus", .files = 2};
static struct vfio_model model;
static struct {
	int container, iommufd[2], group[MODEL_FUNCTIONS], device[MODEL_FUNCTIONS], node[MODEL_FUNCTIONS][MODEL_FILES];
	unsigned ioas[2];
} has;

static void __attribute__((noreturn)) broken(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(2);
}

static long answer(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* ---- names ---- */

static long put(const char *directory, const char *name, const char *value)
{
	char path[160];
	long ret;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	ret = answer(write(fd, value, strlen(value)));
	close(fd);
	return ret;
}

static const char *directory_of(unsigned f)
{
	static char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", layout.functions_named[f]);
	return path;
}

static int group_id(unsigned f)
{
	char path[96], target[128];
	ssize_t length;

	snprintf(path, sizeof(path), "%s/iommu_group", directory_of(f));
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -1;
	target[length] = '\0';
	return atoi(strrchr(target, '/') + 1);
}

static long open_node(unsigned f)
{
	const struct dirent *entry = NULL;
	char path[320];
	DIR *directory;

	snprintf(path, sizeof(path), "%s/vfio-dev", directory_of(f));
	directory = opendir(path);
	while (directory && (entry = readdir(directory)) && strncmp(entry->d_name, "vfio", 4) != 0)
		;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry ? entry->d_name : "none");
	if (directory)
		closedir(directory);
	return answer(open(path, O_RDWR));
}

static long open_group(unsigned g)
{
	unsigned f = 0;
	char path[64];

	while (layout.group[f] != g)
		f++;
	snprintf(path, sizeof(path), "/dev/vfio/%s%d", layout.bare ? "noiommu-" : "", group_id(f));
	return answer(open(path, O_RDWR));
}

static long bind_driver(unsigned f, const char *driver)
{
	char path[96];
	long ret = put(directory_of(f), "driver_override", driver);

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", driver);
	return ret < 0 ? ret : put(path, "bind", layout.functions_named[f]);
}

/* ---- life ---- */

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void begin(void)
{
	has.container = open("/dev/vfio/vfio", O_RDWR);
	if (has.container < 0)
		broken("/dev/vfio/vfio");
	for (unsigned i = 0; i < 2; i++) {
		struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

		has.iommufd[i] = open("/dev/iommu", O_RDWR);
		if (has.iommufd[i] < 0 || ioctl(has.iommufd[i], IOMMU_IOAS_ALLOC, &alloc) < 0)
			broken("/dev/iommu");
		has.ioas[i] = alloc.out_ioas_id;
	}
}

static void finish(void)
{
	for (unsigned i = 0; i < MODEL_FUNCTIONS; i++) {
		drop(&has.device[i]);
		drop(&has.group[i]);
		for (unsigned file = 0; file < MODEL_FILES; file++)
			drop(&has.node[i][file]);
	}
	drop(&has.container);
	drop(&has.iommufd[0]);
	drop(&has.iommufd[1]);
	for (unsigned f = 0; f < layout.functions; f++)
		put(directory_of(f), "driver/unbind", layout.functions_named[f]);
}

static void restart(void)
{
	bool linux_proof = model.linux_proof;

	finish();
	vfio_model_init(&model, linux_proof);
	begin();
}

static long keep(int *slot, long fd)
{
	if (fd >= 0 && *slot >= 0)
		close((int)fd);
	else if (fd >= 0)
		*slot = (int)fd;
	return fd;
}

static int opened(unsigned f)
{
	return model.function[f].way == WAY_GROUP ? has.device[f] : has.node[f][model.function[f].file];
}

static long request(int fd, unsigned long cmd, void *arg)
{
	return answer(ioctl(fd, cmd, arg));
}

static long bind_node(struct model_op op)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = has.iommufd[op.iommu - IOMMU_A]};

	return request(has.node[op.index][op.file], VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

static long attach(struct model_op op)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = has.ioas[model.function[op.index].iommu == IOMMU_B],
	};

	return request(has.node[op.index][op.file], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

static long detach(struct model_op op)
{
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};

	return request(has.node[op.index][op.file], VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

static int descriptor_for(const struct model_proof *proof)
{
	if (proof->kind == STANDS_BAD)
		return 12345;
	if (proof->kind == STANDS_WRONG)
		return has.iommufd[0];
	if (proof->kind == STANDS_FOR_GROUP)
		return has.group[proof->index];
	return proof->file == MODEL_FILES ? has.device[proof->index] : has.node[proof->index][proof->file];
}

static long reset(struct model_op op)
{
	struct model_proof proofs[MODEL_PROOFS];
	struct {
		struct vfio_pci_hot_reset head;
		int fds[MODEL_PROOFS];
	} reset = {.head = {.argsz = sizeof(reset), .count = vfio_model_proofs(&layout, &model, op, proofs)}};

	for (unsigned i = 0; i < reset.head.count; i++)
		reset.fds[i] = descriptor_for(&proofs[i]);
	return request(opened(op.index), VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

struct info {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device at[MODEL_FUNCTIONS];
};

static long inform(struct model_op op, struct info *ret)
{
	*ret = (struct info){.head.argsz = sizeof(*ret)};
	return request(opened(op.index), VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, ret);
}

static long close_as(int *fd)
{
	drop(fd);
	return 0;
}

static long perform(struct model_op op, struct info *ret_info)
{
	unsigned i = op.index;
	int container = op.iommu == IOMMU_CONTAINER ? has.container : has.iommufd[op.iommu == IOMMU_B];

	switch (op.kind) {
	case OP_OPEN_GROUP:
		return keep(&has.group[i], open_group(i));
	case OP_CLOSE_GROUP:
		return close_as(&has.group[i]);
	case OP_SET_CONTAINER:
		return request(has.group[i], VFIO_GROUP_SET_CONTAINER, &container);
	case OP_UNSET_CONTAINER:
		return request(has.group[i], VFIO_GROUP_UNSET_CONTAINER, NULL);
	case OP_SET_IOMMU:
		return answer(ioctl(has.container, VFIO_SET_IOMMU,
				    layout.bare != op.file ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU));
	case OP_GET_DEVICE:
		return keep(&has.device[i], request(has.group[layout.group[i]], VFIO_GROUP_GET_DEVICE_FD,
						    (void *)(uintptr_t)layout.functions_named[i]));
	case OP_CLOSE_DEVICE:
		return close_as(&has.device[i]);
	case OP_OPEN_NODE:
		return keep(&has.node[i][op.file], open_node(i));
	case OP_CLOSE_NODE:
		return close_as(&has.node[i][op.file]);
	case OP_BIND:
		return bind_node(op);
	case OP_ATTACH:
		return attach(op);
	case OP_DETACH:
		return detach(op);
	case OP_UNBIND_DRIVER:
		return put(directory_of(i), "driver/unbind", layout.functions_named[i]);
	case OP_BIND_VFIO:
		return bind_driver(i, "vfio-pci");
	case OP_INFO:
		return inform(op, ret_info);
	default:
		return reset(op);
	}
}

static bool told_as(const struct info *info, const struct model_info *expected)
{
	if (info->head.count != layout.functions || info->head.flags != (unsigned)expected->flags)
		return printf("INFO: %u functions, flags %#x, not %#x\n", info->head.count, info->head.flags,
			      (unsigned)expected->flags),
		       false;
	for (unsigned i = 0; i < layout.functions; i++) {
		int id = (int)info->at[i].group_id, wanted = expected->id[i];

		if (wanted >= MODEL_GROUP_ID)
			wanted = group_id(i);
		else if (wanted == MODEL_POSITIVE)
			id = id > 0 ? MODEL_POSITIVE : id;
		if (id != wanted)
			return printf("INFO: %s is told as %d, not %d\n", layout.functions_named[i], id, wanted), false;
	}
	return true;
}

static bool step(struct model_op op, unsigned number)
{
	struct vfio_model next = model;
	struct model_info expected_info = {};
	struct info info = {};
	char text[96];
	int expected = vfio_model_apply(&layout, &next, op, &expected_info);
	long got = perform(op, &info);

	if ((got < 0 ? (int)-got : 0) != expected) {
		printf("step %u: %s: %ld, not %d\n", number, vfio_model_describe(&layout, op, text), got, -expected);
		return false;
	}
	model = next;
	return op.kind != OP_INFO || expected || told_as(&info, &expected_info);
}

static unsigned long next_random(unsigned long *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static bool takes_away(unsigned kind)
{
	return kind == OP_CLOSE_GROUP || kind == OP_CLOSE_DEVICE || kind == OP_CLOSE_NODE || kind == OP_UNSET_CONTAINER;
}

/*
 * Kinds are drawn first. vfio-pci leaves seldom, and there is no native driver to be sure of; what is open stays for a
 * while, so that a reset of the bus has a chance.
 */
static struct model_op draw(const struct model_op *ops, unsigned count, unsigned long *state)
{
	unsigned kind = (unsigned)(next_random(state) % OP_KINDS);
	struct model_op op;

	if (kind == OP_BIND_NATIVE || (kind == OP_UNBIND_DRIVER && next_random(state) % 8))
		kind = OP_BIND_VFIO;
	if (takes_away(kind) && next_random(state) % 4)
		kind = OP_RESET;
	do
		op = ops[next_random(state) % count];
	while (op.kind != kind);
	return op;
}

static int live(unsigned long seed, unsigned steps)
{
	struct model_op ops[OPS];
	unsigned count = vfio_model_ops(&layout, ops, OPS), refused = 0, resets = 0;
	unsigned long state = 2 * seed + 1;

	for (unsigned done = 0; done < steps;) {
		struct model_op op = draw(ops, count, &state);
		struct vfio_model next = model;
		struct model_info info;
		int expected;

		if (next_random(&state) % 1024 == 0)
			restart();
		if (!vfio_model_applies(&layout, &model, op))
			continue;
		next = model;
		expected = vfio_model_apply(&layout, &next, op, &info);
		refused += expected != 0;
		resets += op.kind == OP_RESET && !expected;
		if (!step(op, done++))
			return 1;
	}
	printf("seed %lu: %u ops, %u refused, %u resets of the bus\n", seed, steps, refused, resets);
	return resets ? 0 : 1;
}

static void take_function(char *argument)
{
	char *group = strchr(argument, '=');

	if (!group || layout.functions == MODEL_FUNCTIONS)
		exit(2);
	*group = '\0';
	layout.functions_named[layout.functions] = argument;
	layout.group[layout.functions] = (unsigned char)atoi(group + 1);
	if (layout.group[layout.functions] >= layout.groups)
		layout.groups = layout.group[layout.functions] + 1u;
	layout.functions++;
}

int main(int argc, char **argv)
{
	int status;

	if (argc < 5)
		return 2;
	for (int i = 4; i < argc; i++)
		take_function(argv[i]);
	memset(&has, 0xff, sizeof(has));
	layout.bare = strstr(argv[1], "-bare");
	vfio_model_init(&model, strncmp(argv[1], "linux", 5) == 0);
	restart();
	status = live(strtoul(argv[2], NULL, 0), (unsigned)strtoul(argv[3], NULL, 0));
	finish();
	return status;
}
