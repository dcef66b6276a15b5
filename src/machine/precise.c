/* SPDX-License-Identifier: MIT */
#include "machine/precise.h"

#include <signal.h>
#include <stdio.h>
#include <sys/sysmacros.h>

bool precise_stop_of(int signal, int code, enum precise_stop *ret)
{
	switch (signal) {
	case SIGBUS:
		*ret = PRECISE_BUS;
		return code == BUS_ADRERR;
	case SIGSEGV:
		*ret = PRECISE_PROTECTION;
		return code == SI_KERNEL;
	case SIGILL:
		*ret = PRECISE_ILLEGAL;
		return code > 0 && code != SI_KERNEL;
	default:
		return false;
	}
}

bool precise_is_ours(const struct precise *precise)
{
	return precise->stop == PRECISE_BUS || precise->touched;
}

/* ---- what is where ---- */

static bool look_up(struct precise *precise, u64 address)
{
	if (!precise->have_vma || address < precise->vma.start || address > precise->vma.last)
		precise->have_vma = vma_at(precise->client, address, &precise->vma);
	return precise->have_vma;
}

static u64 host_device(const struct vma *vma)
{
	return makedev(vma->device_major, vma->device_minor);
}

/* A file of ours that is mapped at an alias: no other has offsets like that. */
bool precise_at(struct precise *precise, u64 address)
{
	return look_up(precise, address) && precise->vma.shared && precise->vma.inode &&
	       file_offset_is_alias(precise->vma.file_offset) &&
	       machine_find_file(precise->machine, host_device(&precise->vma), precise->vma.inode);
}

/* ---- ordinary memory ---- */

static bool copy(const struct precise *precise, u64 address, void *buffer, size_t size, bool write)
{
	return client_copy(precise->client, precise->thread, address, buffer, size, write);
}

unsigned precise_fetch(const struct precise *precise, u64 address, u8 code[static X86_CODE_MAX])
{
	unsigned in_page = (unsigned)min_u64(X86_CODE_MAX, PAGE_SIZE - (address & (PAGE_SIZE - 1)));

	if (copy(precise, address, code, X86_CODE_MAX, false))
		return X86_CODE_MAX;
	return copy(precise, address, code, in_page, false) ? in_page : 0;
}

/* ---- the bus ---- */

static bool bus_is_precise(void *context, u64 address)
{
	return precise_at(context, address);
}

/*
 * What the processor has checked where it stopped at the page itself; not where it knows no such instruction, nor at a
 * second page. On x86, what may be written or executed may be read.
 */
static bool is_allowed(const struct vma *vma, bool write)
{
	return write ? vma->writable : vma->readable || vma->writable || vma->executable;
}

/* From here on all of the instruction is ours, also when nobody answers. */
static int access_page(struct precise *precise, u64 address, struct file_access *access)
{
	struct why why = WHY_INIT;

	precise->touched = true;
	if (!is_allowed(&precise->vma, access->kind != FILE_LOAD)) {
		precise->lost = SEGV_ACCERR;
		return refuse(&why, CLIENT_FAULT, "the page at 0x%llx is not mapped for that",
			      (unsigned long long)address);
	}
	access->alias = precise->vma.file_offset + (address - precise->vma.start);
	return machine_access(precise->machine, precise->client, host_device(&precise->vma), precise->vma.inode, access,
			      &why);
}

/* The program is told by a signal, as always. */
static int lost(struct precise *precise, u64 address, unsigned width)
{
	struct why why = WHY_INIT;

	precise->lost = SEGV_MAPERR;
	return refuse(&why, CLIENT_FAULT, "no memory at 0x%llx (%u bytes)", (unsigned long long)address, width);
}

/*
 * #GP and #UD say nothing of an address: until the instruction has reached a precise page it may be none of our
 * business, and then it must not have changed anything.
 */
static int access_memory(struct precise *precise, u64 address, void *buffer, unsigned width, bool write)
{
	if ((precise_is_ours(precise) || !write) && copy(precise, address, buffer, width, write))
		return 0;
	return lost(precise, address, width);
}

static int access_piece(struct precise *precise, u64 address, u8 *buffer, unsigned width, bool write)
{
	struct file_access access = {.kind = write ? FILE_STORE : FILE_LOAD, .width = width};
	int err;

	if (!precise_at(precise, address))
		return access_memory(precise, address, buffer, width, write);
	if (write)
		memcpy(access.data, buffer, width);
	err = access_page(precise, address, &access);
	if (err == 0 && !write)
		memcpy(buffer, access.data, width);
	return err;
}

/* What crosses from one page to the next may cross from one kind to the other. */
static int access_run(struct precise *precise, u64 address, u8 *buffer, unsigned width, bool write)
{
	int err = 0;

	precise->lost = 0;
	for (unsigned done = 0, piece; err == 0 && done < width; done += piece) {
		u64 at = address + done;

		piece = (unsigned)min_u64(width - done, PAGE_SIZE - (at & (PAGE_SIZE - 1)));
		err = access_piece(precise, at, buffer + done, piece, write);
	}
	return err;
}

static int bus_load(void *context, u64 address, void *to, unsigned width)
{
	return access_run(context, address, to, width, false);
}

static int bus_store(void *context, u64 address, const void *from, unsigned width)
{
	return access_run(context, address, (u8 *)(uintptr_t)from, width, true);
}

static int bus_enqueue(void *context, u64 address, const u8 from[64], bool *accepted)
{
	struct file_access access = {.kind = FILE_ENQUEUE, .width = 64};
	struct precise *precise = context;
	int err;

	precise->lost = 0;
	if (!precise_at(precise, address))
		return lost(precise, address, 64);
	memcpy(access.data, from, sizeof(access.data));
	err = access_page(precise, address, &access);
	*accepted = err == 0 && access.accepted;
	return err;
}

/* Linux gives a process a PASID when a driver binds its address space; the machine file may say that one has done so.
 */
static bool bus_pasid(void *context, u32 *pasid)
{
	const struct description *description = ((struct precise *)context)->machine->description;

	*pasid = description->process_pasid;
	return description->has_process_pasid;
}

/*
 * Of an instruction that has not reached a page of ours nothing may be left behind, and a signal's image of them is
 * changed in place. What needs vector registers and is #GP or #UD would be that here as well.
 */
static bool bus_vectors(void *context, struct x86_state *state)
{
	struct precise *precise = context;

	return precise_is_ours(precise) && precise->vectors(precise, state);
}

static const struct x86_bus bus = {
	.is_precise = bus_is_precise,
	.load = bus_load,
	.store = bus_store,
	.enqueue = bus_enqueue,
	.pasid = bus_pasid,
	.vectors = bus_vectors,
};

/* ---- the instruction ---- */

static void say_unknown(struct precise *precise, const struct x86_state *state, const u8 *code, unsigned size)
{
	char bytes[3 * X86_CODE_MAX + 1] = "";
	struct why why = WHY_INIT;

	size = (unsigned)min_u64(size, precise->result.length ? precise->result.length : size);
	for (unsigned i = 0; i < size; i++)
		snprintf(bytes + 3 * i, 4, " %02x", code[i]);
	refuse(&why, PAGE_INSTRUCTION, "\"%s\" at 0x%llx (bytes%s) cannot be carried out on a register page",
	       precise->result.text, (unsigned long long)state->rip, bytes);
	journal_append(&precise->machine->journal, precise->client->pid, precise->client->name, "instruction", &why);
}

enum x86_outcome precise_step(struct precise *precise, struct x86_state *state)
{
	u8 code[X86_CODE_MAX];
	unsigned size = precise_fetch(precise, state->rip, code);

	x86_step(state, code, size, &bus, precise, &precise->result);
	if (precise->result.outcome == X86_UNKNOWN && precise->stop == PRECISE_BUS)
		say_unknown(precise, state, code, size);
	return precise->result.outcome;
}
