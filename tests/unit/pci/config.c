/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include "pci/caps.h"

/* What the ops were told, and what the device has to say. */
static unsigned resets, commands;
static u32 event;

static void count_reset(struct pci_function *function)
{
	resets++;
}

static void count_command(struct pci_function *function)
{
	commands++;
}

static void show_event(struct pci_function *function)
{
	put_u32(function->config + 0x184, get_u32(function->config + 0x184) | event);
	event = 0;
}

static const struct pci_model_ops counting_ops = {
	.name = "counting",
	.reset = count_reset,
	.command_written = count_command,
	.config_refresh = show_event,
};

static struct pci_function *bare(void)
{
	struct pci_function *function = calloc(1, sizeof(*function));
	const struct pci_identity identity = {.vendor = 0x8086, .device = 0x10d3, .class_code = 0x020000};

	resets = commands = 0;
	pci_function_init(function, (struct pci_addr){0, 1, 0}, &identity);
	function->ops = &counting_ops;
	return function;
}

static struct pci_function *endpoint(void)
{
	struct pci_function *function = bare();

	pci_add_bar(function, 0, PCI_BAR_MEMORY64, 0x20000, true);
	pci_add_bar(function, 2, PCI_BAR_IO, 32, false);
	pci_add_bar(function, 3, PCI_BAR_MEMORY32, 0x4000, false);
	pci_add_bar(function, PCI_ROM, PCI_BAR_MEMORY32, 0x40000, false);
	pci_set_intx(function, 1, 16);
	pci_add_pm(function);
	pci_add_msi(function, 2, true);
	pci_add_msix(function, 5, 3, 0, 3, 0x800);
	pci_add_pcie(function, PCIE_ENDPOINT, 0, true);
	pci_add_aer(function);
	pci_add_acs(function, PCI_ACS_RR | PCI_ACS_CR, 0);
	pci_add_ats(function);
	pci_add_pasid(function, 20);
	return function;
}

static void function_free(struct pci_function *function)
{
	pci_function_fini(function);
	free(function);
}

#define READ(at, width)		pci_config_read(function, (u16)(at), width)
#define WRITE(at, width, value) pci_config_write(function, (u16)(at), width, value)

/* Which bits of a dword take a one, starting from zero, and which take a zero, starting from ones. */
static u32 settable(struct pci_function *function, u16 at)
{
	u32 before = READ(at, 4), set;

	WRITE(at, 4, 0);
	set = READ(at, 4);
	WRITE(at, 4, 0xffffffff);
	set ^= READ(at, 4);
	WRITE(at, 4, before);
	return set;
}

TEST(config, identity_is_read_only)
{
	struct pci_function *function = endpoint();
	static const u16 wired[] = {PCI_VENDOR_ID, PCI_REVISION, 0x28, PCI_SUBSYSTEM_VENDOR, PCI_CAP_POINTER, 0x38};

	for (size_t i = 0; i < ARRAY_SIZE(wired); i++)
		assert_int_equal(settable(function, wired[i]), 0);
	/* Cache line and latency beside the header type; the interrupt line beside the pin. */
	assert_int_equal(settable(function, PCI_CACHE_LINE), 0xffff);
	assert_int_equal(settable(function, PCI_INTERRUPT_LINE), 0xff);
	assert_int_equal(READ(PCI_INTERRUPT_PIN, 1), 1);
	function_free(function);
}

TEST(config, command_takes_what_exists_and_tells_the_model)
{
	struct pci_function *function = endpoint();

	WRITE(PCI_COMMAND, 2, 0xffff);
	assert_int_equal(READ(PCI_COMMAND, 2), 0x0547);
	assert_int_equal(commands, 1);
	WRITE(PCI_COMMAND, 1, PCI_COMMAND_MASTER);
	assert_int_equal(pci_command(function), 0x0504);
	WRITE(PCI_COMMAND + 1, 1, 0);
	assert_int_equal(pci_command(function), PCI_COMMAND_MASTER);
	assert_int_equal(commands, 3);
	function_free(function);
}

TEST(config, status_bits_are_cleared_by_writing_one)
{
	struct pci_function *function = endpoint();
	u16 status = (u16)READ(PCI_STATUS, 2);

	put_u16(function->config + PCI_STATUS, (u16)(status | 0x2100));
	WRITE(PCI_COMMAND, 4, 0x20000006);
	assert_int_equal(READ(PCI_STATUS, 2), status | 0x0100);
	assert_int_equal(READ(PCI_COMMAND, 2), 6);
	WRITE(PCI_STATUS, 2, 0x0100);
	assert_int_equal(READ(PCI_STATUS, 2), status);
	/* The list of capabilities cannot be switched off. */
	WRITE(PCI_STATUS, 2, 0xffff);
	assert_int_equal(READ(PCI_STATUS, 2), status);
	function_free(function);
}

TEST(config, status_shows_the_interrupt_line)
{
	struct pci_function *function = endpoint();

	pci_irq_level(&function->irq, true);
	assert_int_equal(READ(PCI_STATUS, 1) & PCI_STATUS_INTX, PCI_STATUS_INTX);
	assert_int_equal(READ(PCI_COMMAND, 4) >> 16 & PCI_STATUS_INTX, PCI_STATUS_INTX);
	WRITE(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	pci_irq_level(&function->irq, false);
	assert_int_equal(READ(PCI_STATUS, 2) & PCI_STATUS_INTX, 0);
	function_free(function);
}

TEST(config, ones_in_a_bar_read_back_its_size)
{
	struct pci_function *function = endpoint();

	for (u16 at = PCI_BAR0; at < PCI_BAR0 + 24; at += 4)
		WRITE(at, 4, 0xffffffff);
	WRITE(PCI_ROM_ADDRESS, 4, 0xfffff800);
	assert_int_equal(READ(PCI_BAR0, 4), 0xfffe000c);
	assert_int_equal(READ(PCI_BAR0 + 4, 4), 0xffffffff);
	assert_int_equal(READ(PCI_BAR0 + 8, 4), 0xffffffe1);
	assert_int_equal(READ(PCI_BAR0 + 12, 4), 0xffffc000);
	assert_int_equal(READ(PCI_BAR0 + 16, 4), 0);
	assert_int_equal(READ(PCI_ROM_ADDRESS, 4), 0xfffc0000);
	WRITE(PCI_ROM_ADDRESS, 4, 0xffffffff);
	assert_int_equal(READ(PCI_ROM_ADDRESS, 4), 0xfffc0001);
	WRITE(PCI_BAR0, 4, 0);
	assert_int_equal(READ(PCI_BAR0, 4), 0xc);
	/* Bytes are written one by one, too. */
	WRITE(PCI_BAR0 + 3, 1, 0xe0);
	assert_int_equal(READ(PCI_BAR0, 4), 0xe000000c);
	function_free(function);
}

TEST(config, a_large_bar_is_sized_through_both_halves)
{
	struct pci_function *function = bare();

	pci_add_bar(function, 4, PCI_BAR_MEMORY64, BIT(34), true);
	WRITE(PCI_BAR0 + 16, 4, 0xffffffff);
	WRITE(PCI_BAR0 + 20, 4, 0xffffffff);
	assert_int_equal(READ(PCI_BAR0 + 16, 4), 0xc);
	assert_int_equal(READ(PCI_BAR0 + 20, 4), 0xfffffffc);
	function_free(function);
}

TEST(config, capabilities_take_their_control_bits_only)
{
	struct pci_function *function = endpoint();
	const struct {
		unsigned at;
		u32 bits;
	} expected[] = {
		{function->cap_pm, 0},
		{function->cap_pm + 4, 0x3},
		{function->cap_msi, 0x00710000},
		{function->cap_msi + 4, 0xfffffffc},
		{function->cap_msi + 8, 0xffffffff},
		{function->cap_msi + 12, 0xffff},
		{function->cap_msix, 0xc0000000},
		{function->cap_msix + 4, 0},
		{function->cap_msix + 8, 0},
		{function->cap_pcie, 0},
		{function->cap_pcie + 4, 0},
		{function->cap_pcie + 0x0c, 0},
		{function->cap_pcie + 0x10, 0x01cb},
		{function->cap_pcie + 0x18, 0},
		{function->cap_pcie + 0x1c, 0},
		{function->cap_pcie + 0x28, 0x5f},
		{function->cap_pcie + 0x30, 0xffbf},
		{function->cap_aer, 0},
		{function->cap_aer + 8, 0xffffffff},
		{function->cap_aer + 0x2c, 0},
		{function->cap_acs, 0},
		{function->cap_acs + 4, 0x000c0000},
		{function->cap_ats + 4, 0x801f0000},
		{function->cap_pasid + 4, 0x00070000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		u32 bits = settable(function, (u16)expected[i].at);

		if (bits != expected[i].bits)
			fail_msg("row %zu, offset %#x: %#x is writable, expected %#x", i, expected[i].at, bits,
				 expected[i].bits);
	}
	assert_int_equal(resets, 0);
	function_free(function);
}

TEST(config, short_msi_leaves_the_next_capability_alone)
{
	struct pci_function *function = bare();

	pci_add_msi(function, 0, false);
	pci_add_msix(function, 1, 0, 0, 0, 0x800);
	assert_int_equal(settable(function, (u16)(function->cap_msi + 8)), 0xffff);
	assert_int_equal(function->cap_msix, function->cap_msi + 12);
	assert_int_equal(settable(function, function->cap_msix), 0xc0000000);
	function_free(function);
}

TEST(config, ports_have_slot_and_root_registers)
{
	struct pci_function *function = bare();

	pci_make_bridge(function, 1, 2);
	pci_add_pcie(function, PCIE_ROOT_PORT, 1, false);
	pci_add_aer(function);
	assert_int_equal(settable(function, (u16)(function->cap_pcie + 0x10)), 0x0fdb);
	assert_int_equal(settable(function, (u16)(function->cap_pcie + 0x18)), 0x1fff);
	assert_int_equal(settable(function, (u16)(function->cap_pcie + 0x1c)), 0x1f);
	assert_int_equal(settable(function, (u16)(function->cap_aer + 0x2c)), 0x7);
	put_u16(function->config + function->cap_pcie + 0x1a, 0x0048);
	WRITE(function->cap_pcie + 0x1a, 2, 0xffff);
	assert_int_equal(READ(function->cap_pcie + 0x1a, 2), 0x0040);
	function_free(function);
}

TEST(config, bridge_takes_bus_numbers_and_windows)
{
	struct pci_function *function = bare();

	pci_make_bridge(function, 1, 2);
	assert_int_equal(settable(function, PCI_BAR0), 0);
	assert_int_equal(settable(function, PCI_PRIMARY_BUS), 0xffffffff);
	assert_int_equal(settable(function, 0x1c), 0xf0f0);
	assert_int_equal(settable(function, 0x20), 0xfff0fff0);
	assert_int_equal(settable(function, 0x24), 0xfff0fff0);
	assert_int_equal(settable(function, 0x28), 0xffffffff);
	assert_int_equal(settable(function, PCI_ROM_ADDRESS), 0);
	assert_int_equal(settable(function, PCI_INTERRUPT_LINE), 0x0fff00ff);
	function_free(function);
}

TEST(config, power_states_that_do_not_exist_are_not_entered)
{
	struct pci_function *function = endpoint();
	u16 control = (u16)(function->cap_pm + 4);

	WRITE(control, 2, 3);
	assert_int_equal(READ(control, 2) & 3, 3);
	WRITE(control, 2, 1);
	assert_int_equal(READ(control, 2) & 3, 3);
	WRITE(control, 2, 2);
	assert_int_equal(READ(control, 2) & 3, 3);
	WRITE(control, 1, 0);
	assert_int_equal(READ(control, 2), 0x0008);
	/* D1 and D2 supported */
	put_u16(function->config + function->cap_pm + 2, 0x0603);
	WRITE(control, 2, 2);
	assert_int_equal(READ(control, 2) & 3, 2);
	function_free(function);
}

TEST(config, without_no_soft_reset_d3hot_is_forgotten)
{
	struct pci_function *function = endpoint();
	u16 control = function->cap_pm + 4;

	WRITE(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	WRITE(control, 2, 3);
	WRITE(control, 2, 0);
	assert_int_equal(resets, 0);
	assert_int_equal(READ(PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	put_u16(function->config + control, 0);
	put_u16(function->config + control - 2, 0x0403); /* D2, too */
	WRITE(control, 2, 2);
	WRITE(control, 2, 0);
	WRITE(control, 2, 3);
	assert_int_equal(resets, 0);
	WRITE(control, 1, 0);
	assert_int_equal(resets, 1);
	assert_int_equal(READ(PCI_COMMAND, 2), 0);
	assert_int_equal(READ(control, 2), 0);
	function_free(function);
}

TEST(config, aer_records_are_cleared_by_writing_one)
{
	struct pci_function *function = endpoint();
	u16 status = (u16)(function->cap_aer + 4);

	put_u32(function->config + status, 0x00100020);
	WRITE(status, 4, 0x00000020);
	assert_int_equal(READ(status, 4), 0x00100000);
	/* They are sticky: a reset does not lose them. */
	pci_function_reset(function);
	assert_int_equal(READ(status, 4), 0x00100000);
	assert_int_equal(READ(function->cap_aer + 0x0c, 4), 0x00462030);
	function_free(function);
}

static void scribble(struct pci_function *function)
{
	pci_place_bar(function, 0, 0x4000000000);
	pci_place_bar(function, 2, 0x3020);
	pci_place_bar(function, 3, 0xe0000000);
	pci_place_bar(function, PCI_ROM, 0xe0040000);
	WRITE(PCI_COMMAND, 2, 0x0507);
	WRITE(PCI_CACHE_LINE, 1, 0x10);
	WRITE(function->cap_pm + 4, 2, 3);
	WRITE(function->cap_msi + 4, 4, 0xfee00000);
	WRITE(function->cap_msi + 2, 2, 1);
	WRITE(function->cap_msix + 2, 2, 0x8000);
	WRITE(function->cap_pcie + 8, 2, 0x0020);
	WRITE(function->cap_ats + 6, 2, 0x8000);
	pci_irq_level(&function->irq, true);
}

static void expect_after_reset(struct pci_function *function)
{
	assert_int_equal(resets, 1);
	assert_int_equal(pci_command(function), 0);
	assert_int_equal(READ(PCI_CACHE_LINE, 1), 0);
	assert_int_equal(READ(PCI_INTERRUPT_LINE, 2), 0x0110);
	assert_int_equal(READ(PCI_BAR0, 4), 0xc);
	assert_int_equal(READ(PCI_BAR0 + 4, 4), 0);
	assert_int_equal(READ(PCI_BAR0 + 8, 4), 1);
	assert_int_equal(READ(PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(READ(function->cap_pm + 4, 2), 0x0008);
	assert_int_equal(READ(function->cap_msi + 4, 4), 0);
	assert_int_equal(READ(function->cap_msi + 2, 2) & 1, 0);
	assert_int_equal(READ(function->cap_msix + 2, 2), 4);
	/* Power-on values, but for the payload size (6.6.2). */
	assert_int_equal(READ(function->cap_pcie + 8, 2), 0x2830);
	assert_int_equal(READ(function->cap_ats + 6, 2), 0);
	assert_false(pci_irq_asserted(&function->irq));
	pci_function_restore(function);
	assert_int_equal(READ(PCI_BAR0, 4), 0xc);
	assert_int_equal(READ(PCI_BAR0 + 4, 4), 0x40);
	assert_int_equal(READ(PCI_BAR0 + 8, 4), 0x3021);
	assert_int_equal(READ(PCI_BAR0 + 12, 4), 0xe0000000);
	assert_int_equal(READ(PCI_ROM_ADDRESS, 4), 0xe0040000);
}

TEST(config, function_level_reset_by_device_control)
{
	struct pci_function *function = endpoint();

	scribble(function);
	WRITE(function->cap_pcie + 8, 2, 0x8020);
	expect_after_reset(function);
	assert_int_equal(READ(function->cap_pcie + 8, 2) & 0x8000, 0);
	function_free(function);
}

TEST(config, reset_bit_of_a_function_that_has_none_does_nothing)
{
	struct pci_function *function = bare();

	pci_add_pcie(function, PCIE_ENDPOINT, 0, false);
	WRITE(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	WRITE(function->cap_pcie + 8, 2, 0xffff);
	assert_int_equal(resets, 0);
	assert_int_equal(pci_command(function), PCI_COMMAND_MASTER);
	assert_int_equal(READ(function->cap_pcie + 8, 2), 0x78ff);
	function_free(function);
}

TEST(config, conventional_function_resets_by_advanced_features)
{
	struct pci_function *function = bare();

	pci_add_af(function);
	WRITE(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	WRITE(function->cap_af + 4, 1, 2);
	assert_int_equal(resets, 0);
	WRITE(function->cap_af + 4, 1, 1);
	assert_int_equal(resets, 1);
	assert_int_equal(pci_command(function), 0);
	assert_int_equal(READ(function->cap_af + 4, 1), 0);
	function_free(function);
}

/* Whatever is written wherever: the function stays readable, and the identity stays. */
TEST(config, a_model_may_have_registers_of_its_own)
{
	static const struct pci_config_rule rules[] = {
		{.offset = 0x180, .writable = 0x00ff00ff, .initial = 0x00110011},
		{.offset = 0x184, .clears = 0x0000ffff, .kept = 0x0000ff00},
	};
	struct pci_function *function = bare();

	pci_add_pcie(function, PCIE_ENDPOINT, 0, true);
	function->own_rules = rules;
	function->nown_rules = ARRAY_SIZE(rules);
	WRITE(0x180, 4, 0xffffffff);
	assert_int_equal(READ(0x180, 4), 0x00ff00ff);
	event = 0x3300ff81;
	assert_int_equal(READ(0x186, 2), 0x3300);
	assert_int_equal(event, 0);
	WRITE(0x184, 1, 0x80);
	assert_int_equal(READ(0x184, 4), 0x3300ff01);
	/* What happens just before the write is not lost, and is what the write may clear. */
	event = 0x00000080;
	WRITE(0x184, 1, 0x81);
	assert_int_equal(READ(0x184, 4), 0x3300ff00);
	event = 0x0000000f;
	READ(0x184, 4);
	pci_function_reset(function);
	assert_int_equal(READ(0x180, 4), 0x00110011);
	assert_int_equal(READ(0x184, 4), 0x3300ff00);
	WRITE(0x188, 4, 0xffffffff);
	assert_int_equal(READ(0x188, 4), 0);
	function_free(function);
}

TEST(config, random_writes_never_change_what_is_wired)
{
	struct pci_function *function = endpoint();
	u32 random = 1;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned width;

		random = random * 1664525 + 1013904223;
		width = 1u << (random >> 8) % 3;
		WRITE(align_down(random >> 12 & 0xfff, width), width, random);
	}
	assert_int_equal(READ(PCI_VENDOR_ID, 4), 0x10d38086);
	assert_int_equal(pci_find_cap(function, PCI_CAP_PCIE), function->cap_pcie);
	assert_int_equal(pci_find_ext_cap(function, PCI_EXT_PASID), function->cap_pasid);
	assert_int_equal(READ(PCI_BAR0, 4) & 0x1ffff, 0xc);
	function_free(function);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(config, identity_is_read_only),
		CASE(config, command_takes_what_exists_and_tells_the_model),
		CASE(config, status_bits_are_cleared_by_writing_one),
		CASE(config, status_shows_the_interrupt_line),
		CASE(config, ones_in_a_bar_read_back_its_size),
		CASE(config, a_large_bar_is_sized_through_both_halves),
		CASE(config, capabilities_take_their_control_bits_only),
		CASE(config, short_msi_leaves_the_next_capability_alone),
		CASE(config, ports_have_slot_and_root_registers),
		CASE(config, bridge_takes_bus_numbers_and_windows),
		CASE(config, power_states_that_do_not_exist_are_not_entered),
		CASE(config, without_no_soft_reset_d3hot_is_forgotten),
		CASE(config, aer_records_are_cleared_by_writing_one),
		CASE(config, function_level_reset_by_device_control),
		CASE(config, reset_bit_of_a_function_that_has_none_does_nothing),
		CASE(config, conventional_function_resets_by_advanced_features),
		CASE(config, a_model_may_have_registers_of_its_own),
		CASE(config, random_writes_never_change_what_is_wired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
