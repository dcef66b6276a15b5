/* SPDX-License-Identifier: MIT */
/* The machine files of machines/, as bytes in the program: the assembler includes them. */
#include "machine/description.h"
#include "machine/machines_stamp.h" /* made by the build: what is embedded below has changed */

#define EMBED(name, path)                                                                                              \
	__asm__(".pushsection .rodata\n"                                                                               \
		"machine_" #name "_text:\n"                                                                            \
		".incbin \"" path "\"\n"                                                                               \
		"machine_" #name "_text_behind:\n"                                                                     \
		".byte 0\n"                                                                                            \
		".popsection\n");                                                                                      \
	extern const char machine_##name##_text[] __attribute__((visibility("hidden")));                               \
	extern const char machine_##name##_text_behind[] __attribute__((visibility("hidden")))

EMBED(amd, MACHINES_FOLDER "/amd.yaml");
EMBED(arm, MACHINES_FOLDER "/arm.yaml");
EMBED(default, MACHINES_FOLDER "/default.yaml");
EMBED(emulated, MACHINES_FOLDER "/emulated.yaml");
EMBED(nesting, MACHINES_FOLDER "/nesting.yaml");
EMBED(riscv, MACHINES_FOLDER "/riscv.yaml");
EMBED(selftest_vfio, MACHINES_FOLDER "/selftest-vfio.yaml");
EMBED(two_nvme, MACHINES_FOLDER "/two-nvme.yaml");

static const struct {
	const char *name, *text, *behind;
} machines[] = {
	{"default", machine_default_text, machine_default_text_behind},
	{"emulated", machine_emulated_text, machine_emulated_text_behind},
	{"amd", machine_amd_text, machine_amd_text_behind},
	{"arm", machine_arm_text, machine_arm_text_behind},
	{"nesting", machine_nesting_text, machine_nesting_text_behind},
	{"riscv", machine_riscv_text, machine_riscv_text_behind},
	{"selftest-vfio", machine_selftest_vfio_text, machine_selftest_vfio_text_behind},
	{"two-nvme", machine_two_nvme_text, machine_two_nvme_text_behind},
};

const char *description_builtin(const char *name, size_t *ret_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (strcmp(machines[i].name, name) == 0) {
			*ret_size = (size_t)(machines[i].behind - machines[i].text);
			return machines[i].text;
		}
	return NULL;
}

const char *description_builtin_name(unsigned index)
{
	return index < ARRAY_SIZE(machines) ? machines[index].name : NULL;
}
