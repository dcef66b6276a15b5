/* SPDX-License-Identifier: MIT */
/*
 * Programs that use /dev/iommu together and without sense, for the end-to-end tests (race.h). It knows nothing of
 *isolde.
 *
 *	iommu_race SEED PROCESSES THREADS MILLISECONDS [CDEV...]
 */
#include "tests/e2e/race.h"

#include "isolde/abi/iommufd.h"
#include "isolde/abi/vfio.h"

enum { WORDS = 18 };

static char **cdevs;
static int ncdevs;

static void ask_anything(uint64_t *state)
{
	uint64_t words[WORDS];
	uint32_t size = next_random(state) % 8 ? 24 + next_random(state) % 7 * 8 : next_random(state) % 200;
	unsigned nr = next_random(state) % 4 ? 0x80 + next_random(state) % 0x21 : 0x64 + next_random(state) % 24;

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = some_value(state);
	/* Half of the words are two fields. */
	for (unsigned i = 1; i < WORDS; i += 2)
		words[i] = words[i] << 32 | some_value(state) % 16;
	memcpy(words, &size, sizeof(size));
	count(ioctl(some_file(state), 0x3b00 | nr, words));
}

static void make_ioas(uint64_t *state)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	count(ioctl(some_file(state), IOMMU_IOAS_ALLOC, &cmd));
}

static void map(uint64_t *state)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = next_random(state) & 7,
		.ioas_id = 1 + next_random(state) % 4,
		.user_va = (uintptr_t)arena + next_random(state) % ARENA_PAGES * PAGE,
		.length = PAGE << next_random(state) % 4,
		.iova = 0x1000000 + next_random(state) % 64 * (uint64_t)PAGE,
	};

	count(ioctl(some_file(state), IOMMU_IOAS_MAP, &cmd));
}

static void unmap(uint64_t *state)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = 1 + next_random(state) % 4,
		.iova = 0x1000000 + next_random(state) % 64 * (uint64_t)PAGE,
		.length = PAGE << next_random(state) % 6,
	};

	if (next_random(state) % 8 == 0)
		cmd.iova = 0, cmd.length = UINT64_MAX;
	count(ioctl(some_file(state), IOMMU_IOAS_UNMAP, &cmd));
}

static void open_one(uint64_t *state)
{
	if (ncdevs && next_random(state) & 1)
		remember(state, open(cdevs[next_random(state) % (unsigned)ncdevs], O_RDWR | O_CLOEXEC));
	else
		remember(state, open("/dev/iommu", O_RDWR));
}

static void bind_and_attach(uint64_t *state)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = some_file(state)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = 1 + next_random(state) % 6};
	int fd = some_file(state);

	count(ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	count(ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

static void act(uint64_t *state)
{
	switch (next_random(state) % 16) {
	case 0:
		open_one(state);
		break;
	case 1:
		close_one(state);
		break;
	case 2:
		make_ioas(state);
		break;
	case 3:
		bind_and_attach(state);
		break;
	case 4:
	case 5:
	case 6:
		map(state);
		break;
	case 7:
	case 8:
		unmap(state);
		break;
	case 9:
		move_memory(state);
		break;
	case 10:
		read_or_write(state);
		break;
	default:
		ask_anything(state);
		break;
	}
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	cdevs = argv + 5;
	ncdevs = argc - 5;
	race_init();
	for (unsigned i = 0; i < FILES; i++)
		atomic_store(&shared->files[i], open("/dev/iommu", O_RDWR));
	return race(argv + 1);
}
