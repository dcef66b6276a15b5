/* SPDX-License-Identifier: MIT */
/* Stores of 64 bytes that a device takes at once: descriptors for its portals. */
#include "x86/step.h"

enum { PORTAL_BYTES = 64, PASID_BYTES = 4 };

/* The first operand is a register with the destination's address, in ES. */
static u64 portal_address(const struct step *step)
{
	return gpr_read(step, step->operands[0].reg.value);
}

static enum x86_outcome load_command(struct step *step, u64 portal, u8 command[static PORTAL_BYTES])
{
	if (!is_aligned(portal, PORTAL_BYTES))
		return X86_PROTECTION;
	return memory_load(step, operand_address(step, 1), command, PORTAL_BYTES);
}

enum x86_outcome step_movdir64b(struct step *step, unsigned what)
{
	u64 portal = portal_address(step);
	u8 command[PORTAL_BYTES];
	enum x86_outcome outcome = load_command(step, portal, command);

	return outcome ? outcome : memory_store(step, portal, command, PORTAL_BYTES);
}

/* The first four bytes become the PASID, with the privilege bit 31 clear: a program has no say in either. */
enum x86_outcome step_enqcmd(struct step *step, unsigned what)
{
	u64 portal = portal_address(step);
	u8 command[PORTAL_BYTES];
	bool accepted = false;
	enum x86_outcome outcome;
	u32 pasid;

	if (!step->bus->pasid(step->context, &pasid))
		return X86_PROTECTION;
	outcome = load_command(step, portal, command);
	if (outcome)
		return outcome;
	put_u32(command, (u32)(pasid & MASK(19, 0)));
	if (step->bus->enqueue(step->context, portal, command, &accepted) < 0) {
		step->fault_address = portal;
		return X86_FAULT;
	}
	step->rflags &= ~(u64)X86_ARITHMETIC;
	if (!accepted)
		step->rflags |= X86_ZF;
	return X86_DONE;
}

/* The supervisor's: it chooses the PASID, so programs may not. */
enum x86_outcome step_enqcmds(struct step *step, unsigned what)
{
	return X86_PROTECTION;
}
