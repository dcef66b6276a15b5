/* SPDX-License-Identifier: MIT */
/*
 * The memory file of a session: BAR i at i << 40, as far as the program's mappings go. Each session has a fresh one, so
 * a mapping that a program forgot to give up can never touch the next session.
 *
 * The registers move between the file and their home. Linux zaps the page tables when memory is switched off and
 * answers the next access with SIGBUS; here the file is cut to nothing, which does the same to every mapping, and comes
 * back by growing it, with the contents of before. Our own mapping of it stays and must not be touched in between. A
 * program that cuts the file itself loses the registers that were in it (mem/kept.h).
 */
#include <sys/mman.h>

#include "base/os.h"
#include "vfio/pci.h"

#define FILE_SIZE ((u64)VFIO_PCI_NUM_REGIONS << REGION_SHIFT)

/* Whole pages: that is what can be mapped. */
static u64 mapped_size(const struct pci_function *function, unsigned bar)
{
	return align_up(bar_size(function, bar), PAGE_SIZE);
}

static int map_bar(struct pci_session *session, unsigned bar, struct why *why)
{
	char name[KEPT_NAME];

	snprintf(name, sizeof(name), "BAR %u of %s", bar, session->device->name);
	return kept_map_new(session->device->vfio, name, session->file->file.memfd, (u64)bar << REGION_SHIFT,
			    mapped_size(session->function, bar), &session->shared[bar], why);
}

/* What a program wrote into the file before it had the device is gone; what it mapped of it reads as zero. */
int backing_init(struct pci_session *session, struct why *why)
{
	struct pci_function *function = session->function;
	int fd = session->file->file.memfd;
	int err = os_resize(fd, 0, why);

	if (err == 0)
		err = os_resize(fd, FILE_SIZE, why);
	if (err < 0)
		return err;
	session->revoked = true;
	for (unsigned bar = 0; err == 0 && bar < PCI_BARS; bar++)
		if (bar_is_memory(function, bar) && function->bars[bar].home)
			err = map_bar(session, bar, why);
	return err;
}

void backing_fini(struct pci_session *session)
{
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		kept_map_free(session->shared[bar]);
}

/*
 * The model's thread and the program may be at it meanwhile: word by word, as registers are accessed. The file is empty
 * when registers come to it and keeps no memory for zeroes; a home keeps what it has, so there every word counts.
 */
static void copy_registers(u64 *to, const u64 *from, u64 size, bool to_is_empty)
{
	for (u64 i = 0; i < size / sizeof(u64); i++) {
		u64 word = __atomic_load_n(&from[i], __ATOMIC_RELAXED);

		if (word || !to_is_empty)
			__atomic_store_n(&to[i], word, __ATOMIC_RELAXED);
	}
}

static void move(struct pci_session *session, bool home)
{
	struct pci_function *function = session->function;

	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		void *to = home ? function->bars[bar].home : kept_memory(session->shared[bar]);

		if (!session->shared[bar])
			continue;
		copy_registers(to, function->bars[bar].memory, function->bars[bar].size, !home);
		function->bars[bar].memory = to;
		if (function->ops->backing_moved)
			function->ops->backing_moved(function, bar);
	}
}

static void expect_file(struct pci_session *session, u64 size)
{
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		kept_expect(session->shared[bar], size);
}

/* The file keeps its pages: a mapping that outlives the session is memory with no device behind it. */
void backing_send_home(struct pci_session *session)
{
	if (session->revoked)
		return;
	move(session, true);
	expect_file(session, 0);
	session->revoked = true;
}

void backing_revoke(struct pci_session *session)
{
	struct why ignored;

	if (session->revoked)
		return;
	dmabufs_revoke(session, true);
	backing_send_home(session);
	/* Cannot fail on our own memory file: it only drops pages. */
	os_resize(session->file->file.memfd, 0, &ignored);
}

void backing_update(struct pci_session *session)
{
	struct why ignored;

	if (!config_memory_enabled(session) || session->low_power != LOW_POWER_NONE) {
		backing_revoke(session);
		return;
	}
	/* A host that limits the size of files (RLIMIT_FSIZE) leaves the mappings dead; requests still work. */
	if (!session->revoked || os_resize(session->file->file.memfd, FILE_SIZE, &ignored) < 0)
		return;
	expect_file(session, FILE_SIZE);
	move(session, false);
	session->revoked = false;
	dmabufs_revoke(session, false);
}

/* Does anything else of the machine lie in [start, last]? */
static bool is_free(const struct vfio *vfio, u64 start, u64 last)
{
	const struct pci_function *function;

	list_for_each(function, &vfio->topology->functions, link)
		for (unsigned bar = 0; bar <= PCI_ROM; bar++) {
			const struct pci_bar *other = &function->bars[bar];

			if (other->size && other->kind != PCI_BAR_IO && other->kind != PCI_BAR_UPPER_HALF &&
			    ranges_overlap(start, last, other->address, other->address + other->size - 1))
				return false;
		}
	return true;
}

/*
 * A BAR smaller than a page must begin one and share it with nobody: Linux takes the rest of the page for itself, if it
 * can (vfio_pci_core.c:vfio_pci_probe_mmaps()).
 */
static bool has_pages_of_its_own(const struct vfio *vfio, const struct pci_bar *bar)
{
	if (bar->size >= PAGE_SIZE)
		return true;
	return is_aligned(bar->address, PAGE_SIZE) &&
	       is_free(vfio, bar->address + bar->size, bar->address + PAGE_SIZE - 1);
}

bool bar_is_mappable(const struct pci_session *session, unsigned bar)
{
	return session->shared[bar] && has_pages_of_its_own(session->device->vfio, &session->function->bars[bar]);
}

int pci_mmap(const struct pci_session *session, u64 offset, u64 size, int flags, struct why *why)
{
	const char *name = session->device->name;
	u64 region = offset >> REGION_SHIFT, start = offset & (BIT(REGION_SHIFT) - 1), limit;
	int sharing = flags & MAP_TYPE;

	if (region >= VFIO_PCI_NUM_REGIONS)
		return refuse(why, REGION_UNKNOWN, "%s has no region %llu", name, (unsigned long long)region);
	if (sharing != MAP_SHARED && sharing != MAP_SHARED_VALIDATE)
		return refuse(why, REGION_NOT_MAPPABLE, "region %llu of %s can only be mapped MAP_SHARED",
			      (unsigned long long)region, name);
	if (region >= VFIO_PCI_ROM_REGION_INDEX)
		return refuse(why, REGION_NOT_MAPPABLE, "region %llu of %s is read and written, not mapped",
			      (unsigned long long)region, name);
	if (!bar_is_mappable(session, (unsigned)region))
		return refuse(why, REGION_NOT_MAPPABLE, "BAR %llu of %s %s", (unsigned long long)region, name,
			      bar_size(session->function, (unsigned)region) ? "is no memory of whole pages"
									    : "does not exist");
	limit = mapped_size(session->function, (unsigned)region);
	if (start >= limit || size > limit - start)
		return refuse(why, REGION_NOT_MAPPABLE, "%#llx bytes from %#llx pass the %#llx bytes of BAR %llu of %s",
			      (unsigned long long)size, (unsigned long long)start, (unsigned long long)limit,
			      (unsigned long long)region, name);
	return 0;
}
