/* SPDX-License-Identifier: MIT */
/*
 * pci_rules_add(): what-ifs, and pieces of a kernel command line. A text is taken whole or not at all.
 *
 *	acs= no-acs= quirk=	one device
 *	alias=			a device, and a devfn of its bus
 *	override=		words of the pcie_acs_override patch, joined by ','
 *	config_acs= ...		options of pci=, joined by ','; devices joined by ';'
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "pci/overrides.h"

/* Part of the text; what is not parsed yet. */
struct words {
	const char *at;
	size_t left;
};

/* Linux takes the bits of the device before, until this version; since then each device has its own. */
#define BITS_OF_EACH PCI_KERNEL(6, 15)

const char *pci_quote(const char *text, size_t length, char quoted[static PCI_QUOTED])
{
	int shown = length < 40 ? (int)length : 40;

	snprintf(quoted, PCI_QUOTED, "\"%.*s%s\"", shown, text, length > 40 ? "..." : "");
	return text_clean(quoted);
}

static int refuse_words(struct why *why, struct words words, const char *expected)
{
	char quoted[PCI_QUOTED];

	return refuse(why, RULES_INVALID, "%s is not %s", pci_quote(words.at, words.left, quoted), expected);
}

/* ---- words ---- */

/* What is before the separator, or all; *words moves behind it. */
static struct words cut(struct words *words, char separator)
{
	const char *found = words->left ? memchr(words->at, separator, words->left) : NULL;
	size_t length = found ? (size_t)(found - words->at) : words->left;
	struct words before = {words->at, length};

	words->at += length + (found ? 1 : 0);
	words->left -= length + (found ? 1 : 0);
	return before;
}

static bool take_char(struct words *words, char expected)
{
	if (!words->left || *words->at != expected)
		return false;
	words->at++;
	words->left--;
	return true;
}

static bool take_prefix(struct words *words, const char *prefix)
{
	size_t length = strlen(prefix);

	if (words->left < length || memcmp(words->at, prefix, length) != 0)
		return false;
	words->at += length;
	words->left -= length;
	return true;
}

static bool is_word(struct words words, const char *word)
{
	return take_prefix(&words, word) && !words.left;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One to eight hex digits of at most `most`. */
static bool take_hex(struct words *words, u32 most, u32 *ret)
{
	u64 value = 0;
	unsigned digits = 0;

	for (; words->left && digit_of(*words->at) >= 0 && digits < 8; digits++) {
		value = value << 4 | (u64)digit_of(*words->at);
		words->at++;
		words->left--;
	}
	*ret = (u32)value;
	return digits && value <= most;
}

/* ---- devices ---- */

static bool take_devfn(struct words *words, u8 *ret)
{
	u32 device, function;

	if (!take_hex(words, 31, &device) || !take_char(words, '.') || !take_hex(words, 7, &function))
		return false;
	*ret = pci_devfn(device, function);
	return true;
}

/* Up to `count` ids with ':' between. Returns how many. */
static unsigned take_ids(struct words *words, u16 *ids, unsigned count)
{
	unsigned taken = 0;
	u32 id;

	do {
		if (!take_hex(words, 0xffff, &id))
			return 0;
		ids[taken++] = (u16)id;
	} while (taken < count && take_char(words, ':'));
	return taken;
}

static bool parse_ids(struct words words, unsigned most, struct pci_match *match)
{
	u16 ids[4] = {0};
	unsigned taken = take_ids(&words, ids, most);

	if (words.left || (taken != 2 && taken != 4))
		return false;
	*match = (struct pci_match){
		.by_ids = true,
		.vendor = ids[0],
		.device = ids[1],
		.subvendor = ids[2],
		.subdevice = ids[3],
	};
	return true;
}

/* [segment:]bus:device.function */
static bool take_address(struct words *words, struct pci_addr *ret)
{
	struct words copy = *words;
	u32 segment = 0, bus;

	if (!take_hex(&copy, UINT32_MAX, &segment) || !take_char(&copy, ':'))
		return false;
	if (take_hex(&copy, 0xff, &bus) && take_char(&copy, ':')) {
		*words = copy;
	} else {
		segment = 0;
		if (!take_hex(words, 0xff, &bus) || !take_char(words, ':'))
			return false;
	}
	*ret = (struct pci_addr){.segment = segment, .bus = (u8)bus};
	return take_devfn(words, &ret->devfn);
}

/* An address, or the way down from one. */
static bool parse_path(struct words words, struct pci_match *match)
{
	*match = (struct pci_match){.by_ids = false};
	if (!take_address(&words, &match->addr))
		return false;
	while (words.left && match->nsteps < MOST_STEPS)
		if (!take_char(&words, '/') || !take_devfn(&words, &match->steps[match->nsteps++]))
			return false;
	return !words.left;
}

/* As in pci=: a path, or pci: and ids. */
static int parse_device(struct words words, struct pci_match *match, struct why *why)
{
	struct words ids = words;

	if (take_prefix(&ids, "pci:") ? parse_ids(ids, 4, match) : parse_path(words, match))
		return 0;
	return refuse_words(why, words, "[segment:]bus:dev.fn[/dev.fn], or pci:vendor:device[:subvendor:subdevice]");
}

static bool parse_addr(struct words words, struct pci_match *match)
{
	return parse_path(words, match) && !match->nsteps;
}

/* ---- the forms ---- */

static int add_room(struct pci_rules *rules, struct why *why)
{
	size_t wanted = rules->room ? rules->room * 2 : 16;
	struct pci_override *larger = alloc_array(wanted, sizeof(larger[0]), why);

	if (!larger)
		return -why->err;
	if (rules->count)
		memcpy(larger, rules->overrides, rules->count * sizeof(larger[0]));
	free(rules->overrides);
	rules->overrides = larger;
	rules->room = wanted;
	return 0;
}

static int add(struct pci_rules *rules, const struct pci_override *override, struct why *why)
{
	int err = 0;

	if (rules->count == MOST_OVERRIDES)
		return refuse(why, RULES_INVALID, "more than %d devices in what-ifs", MOST_OVERRIDES);
	if (rules->count == rules->room)
		err = add_room(rules, why);
	if (err == 0)
		rules->overrides[rules->count++] = *override;
	return err;
}

static int add_acs(struct pci_rules *rules, struct words words, struct why *why)
{
	struct pci_override override = {.kind = OVERRIDE_ACS};

	if (!parse_addr(words, &override.match))
		return refuse_words(why, words, "the address of a function, for example 0000:01:00.0");
	return add(rules, &override, why);
}

static int add_no_acs(struct pci_rules *rules, struct words words, struct why *why)
{
	int err = add_acs(rules, words, why);

	if (err == 0)
		rules->overrides[rules->count - 1].kind = OVERRIDE_NO_ACS;
	return err;
}

static int add_quirk(struct pci_rules *rules, struct words words, struct why *why)
{
	struct pci_override override = {.kind = OVERRIDE_QUIRK};

	if (!parse_addr(words, &override.match) && !parse_ids(words, 2, &override.match))
		return refuse_words(why, words, "the address of a function, or VVVV:DDDD");
	return add(rules, &override, why);
}

static int add_alias(struct pci_rules *rules, struct words words, struct why *why)
{
	struct pci_override override = {.kind = OVERRIDE_ALIAS};
	struct words bdf = cut(&words, ','), devfn = words;

	if (!parse_addr(bdf, &override.match))
		return refuse_words(why, bdf, "the address of a function, for example 0000:01:00.0");
	if (!take_devfn(&words, &override.devfn) || words.left)
		return refuse_words(why, devfn, "the device and function of an id, for example 00.1");
	return add(rules, &override, why);
}

static int add_patch_word(struct pci_rules *rules, struct words word, struct why *why)
{
	struct pci_override override = {.kind = OVERRIDE_PATCH};
	struct words ids = word;

	if (is_word(word, "downstream"))
		rules->patch_downstream = true;
	else if (is_word(word, "multifunction"))
		rules->patch_multifunction = true;
	else if (take_prefix(&ids, "id:") && parse_ids(ids, 2, &override.match) && override.match.vendor)
		return add(rules, &override, why);
	else
		return refuse_words(why, word, "downstream, multifunction or id:VVVV:DDDD");
	return 0;
}

static int add_patch(struct pci_rules *rules, struct words words, struct why *why)
{
	int err;

	do
		err = add_patch_word(rules, cut(&words, ','), why);
	while (err == 0 && words.left);
	return err;
}

/* From the right: bit 0, 1, ... as 0, 1 or x for "as it is". */
static int parse_bits(struct words bits, struct pci_override *override, struct why *why)
{
	override->mask = override->value = 0;
	if (!bits.left || bits.left > 7)
		return refuse_words(why, bits, "up to seven of 0, 1 and x: DT EC UF CR RR TB SV");
	for (size_t i = 0; i < bits.left; i++) {
		u16 bit = (u16)(1u << (bits.left - 1 - i));

		if (bits.at[i] == 'x' || bits.at[i] == 'X')
			continue;
		if (bits.at[i] != '0' && bits.at[i] != '1')
			return refuse_words(why, bits, "up to seven of 0, 1 and x: DT EC UF CR RR TB SV");
		override->mask |= bit;
		if (bits.at[i] == '1')
			override->value |= bit;
	}
	return 0;
}

static int add_config_item(struct pci_rules *rules, struct words item, struct pci_override *override, struct why *why)
{
	struct words device = item, bits = cut(&device, '@');
	bool has_bits = bits.left < item.left;
	int err = 0;

	if (has_bits)
		err = parse_bits(bits, override, why);
	else if (override->mask && rules->kernel < BITS_OF_EACH)
		device = item;
	else
		return refuse_words(why, item, "BITS@DEVICE; each device has bits of its own");
	if (err == 0)
		err = parse_device(device, &override->match, why);
	return err < 0 ? err : add(rules, override, why);
}

static int add_config(struct pci_rules *rules, struct words words, struct why *why)
{
	struct pci_override override = {.kind = OVERRIDE_CONFIG, .parameter = ++rules->parameters};
	int err;

	do
		err = add_config_item(rules, cut(&words, ';'), &override, why);
	while (err == 0 && words.left);
	return err;
}

static int add_disable(struct pci_rules *rules, struct words words, struct why *why)
{
	struct pci_override override = {
		.kind = OVERRIDE_DISABLE,
		.mask = PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC,
		.parameter = ++rules->parameters,
	};
	int err;

	do {
		err = parse_device(cut(&words, ';'), &override.match, why);
		if (err == 0)
			err = add(rules, &override, why);
	} while (err == 0 && words.left);
	return err;
}

struct form {
	const char *prefix;
	int (*add)(struct pci_rules *rules, struct words words, struct why *why);
	unsigned since; /* Linux that has the option; the patch and what-ifs are of no version */
};

static int add_form(struct pci_rules *rules, const struct form *form, struct words words, struct why *why)
{
	if (rules->kernel < form->since)
		return refuse(why, RULES_INVALID, "%s came with Linux %u.%u; these are the rules of %u.%u",
			      form->prefix, form->since >> 8, form->since & 0xff, rules->kernel >> 8,
			      rules->kernel & 0xff);
	return form->add(rules, words, why);
}

static const struct form options[] = {
	{"config_acs=", add_config, PCI_KERNEL(6, 11)},
	{"disable_acs_redir=", add_disable, PCI_KERNEL(4, 19)},
};

static int add_option(struct pci_rules *rules, struct words option, struct why *why)
{
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		struct words rest = option;

		if (take_prefix(&rest, options[i].prefix))
			return add_form(rules, &options[i], rest, why);
	}
	return refuse_words(why, option,
			    "config_acs=... or disable_acs_redir=..., the options of pci= that matter here");
}

static int add_options(struct pci_rules *rules, struct words words, struct why *why)
{
	int err;

	do
		err = add_option(rules, cut(&words, ','), why);
	while (err == 0 && words.left);
	return err;
}

static const struct form forms[] = {
	{"acs=", add_acs},	  {"no-acs=", add_no_acs},	     {"quirk=", add_quirk}, {"alias=", add_alias},
	{"override=", add_patch}, {"pcie_acs_override=", add_patch}, {"pci=", add_options},
};

static int add_any(struct pci_rules *rules, struct words words, struct why *why)
{
	struct words rest;

	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		rest = words;
		if (take_prefix(&rest, forms[i].prefix))
			return add_form(rules, &forms[i], rest, why);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		rest = words;
		if (take_prefix(&rest, options[i].prefix))
			return add_options(rules, words, why);
	}
	return refuse_words(why, words,
			    "acs=, no-acs=, quirk=, alias=, override=, config_acs=, disable_acs_redir= or pci=");
}

int pci_rules_add(struct pci_rules *rules, const char *text, struct why *why)
{
	struct pci_rules before = *rules;
	int err = add_any(rules, (struct words){text, strlen(text)}, why);

	if (err < 0) {
		rules->count = before.count;
		rules->patch_downstream = before.patch_downstream;
		rules->patch_multifunction = before.patch_multifunction;
	}
	return err;
}
