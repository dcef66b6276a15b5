/* SPDX-License-Identifier: MIT */
/*
 * Machine file -> description: what is said of the machine as a whole, and what is done with a description once it is
 * there. Any bytes are legal input.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "machine/reading.h"

static int read_name(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct description *description = reading_of(reader)->description;

	return yaml_copy(reader, node, description->name, sizeof(description->name));
}

static int read_strict_intent(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct description *)target)->options.strict_intent);
}

static int read_private_domains(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct description *)target)->options.private_domains);
}

static int read_alias_domains(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct description *)target)->options.alias_domains);
}

static int read_selftest(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct description *)target)->selftest);
}

static int read_provides_vfio(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct description *)target)->iommufd_provides_vfio);
}

#define PARAMETER(name)                                                                                                \
	static int read_##name(struct yaml_reader *reader, yaml_node_t *node, void *target)                            \
	{                                                                                                              \
		return yaml_bool(reader, node, &((struct vfio_pci_options *)target)->name);                            \
	}

PARAMETER(nointxmask)
PARAMETER(disable_idle_d3)
PARAMETER(disable_vga)
PARAMETER(enable_sriov)
PARAMETER(disable_denylist)

/* As `modprobe vfio_pci NAME=1` would have it. */
static int read_vfio_pci(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"nointxmask", read_nointxmask},
					       {"disable_idle_d3", read_disable_idle_d3},
					       {"disable_vga", read_disable_vga},
					       {"enable_sriov", read_enable_sriov},
					       {"disable_denylist", read_disable_denylist}};

	return yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "vfio_pci",
				 &((struct description *)target)->vfio_pci);
}

static int read_unsafe_interrupts(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct description *)target)->unsafe_interrupts);
}

static int read_entry_limit(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct description *description = target;
	u64 limit;
	int err = yaml_number(reader, node, UINT32_MAX, &limit);

	if (err < 0)
		return err;
	description->has_dma_entry_limit = true;
	description->dma_entry_limit = (u32)limit;
	return 0;
}

static int read_vectors(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct description *description = target;
	u64 vectors = 0;
	int err = yaml_number(reader, node, UINT32_MAX, &vectors);

	description->has_interrupt_vectors = err == 0;
	description->interrupt_vectors = (u32)vectors;
	return err;
}

#define PASID_MAX 0xfffffu /* IA32_PASID has 20 bits */

static int read_process_pasid(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct description *description = target;
	u64 pasid = 0;
	int err = yaml_number(reader, node, PASID_MAX, &pasid);

	description->has_process_pasid = err == 0;
	description->process_pasid = (u32)pasid;
	return err;
}

static int read_noiommu(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct description *)target)->noiommu);
}

static int read_linux_hot_reset(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &((struct description *)target)->linux_hot_reset);
}

/* Where the room is to do other than Linux, or than Linux does with its usual configuration. */
static int read_options(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {
		{"strict_intent", read_strict_intent},	       {"private_domains", read_private_domains},
		{"alias_domains", read_alias_domains},	       {"noiommu", read_noiommu},
		{"linux_hot_reset", read_linux_hot_reset},     {"selftest", read_selftest},
		{"iommufd_provides_vfio", read_provides_vfio}, {"unsafe_interrupts", read_unsafe_interrupts},
		{"dma_entry_limit", read_entry_limit},	       {"interrupt_vectors", read_vectors},
		{"process_pasid", read_process_pasid},	       {"vfio_pci", read_vfio_pci}};

	return yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "options", reading_of(reader)->description);
}

static int keep_devices(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	reading_of(reader)->devices = node;
	return 0;
}

static int keep_roots(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	reading_of(reader)->roots = node;
	return 0;
}

static int keep_emulated(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	reading_of(reader)->emulated = node;
	return 0;
}

static int read_as_found(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	return yaml_bool(reader, node, &reading_of(reader)->description->as_found);
}

static const struct yaml_key machine_keys[] = {
	{"name", read_name},	   {"iommu", read_iommu}, {"as_found", read_as_found}, {"options", read_options},
	{"devices", keep_devices}, {"roots", keep_roots}, {"emulated", keep_emulated},
};

static int read_machine(struct reading *reading)
{
	yaml_node_t *root = yaml_document_get_root_node(&reading->yaml.document);
	int err = yaml_read_mapping(&reading->yaml, root, machine_keys, ARRAY_SIZE(machine_keys), "a machine", NULL);

	if (err < 0)
		return err;
	if (!reading->devices && !reading->roots)
		return yaml_refuse(&reading->yaml, root, "a machine needs devices");
	err = tree_read(reading);
	return err < 0 ? err : emulated_read(reading);
}

static void free_functions(struct list *functions)
{
	struct function_description *function, *following;

	list_for_each_safe(function, following, functions, link)
		function_description_free(function);
}

int description_parse(const char *text, size_t size, const char *file, struct description **ret, struct why *why)
{
	_free_(description) struct description *description = alloc_new(struct description, why);
	struct reading reading = {.description = description};
	int err;

	if (!description)
		return -why->err;
	list_init(&description->functions);
	list_init(&description->emulated);
	list_init(&reading.virtuals);
	snprintf(description->name, sizeof(description->name), "machine");
	err = yaml_reader_init(&reading.yaml, text, size, file, why);
	if (err < 0)
		return err;
	err = read_machine(&reading);
	free_functions(&reading.virtuals);
	yaml_reader_fini(&reading.yaml);
	if (err == 0)
		*ret = take(description);
	return err;
}

void description_free(struct description *description)
{
	if (!description)
		return;
	emulated_descriptions_free(&description->emulated);
	free_functions(&description->functions);
	free(description->by_address);
	free(description);
}

struct function_description *description_find(const struct description *description, struct pci_addr addr)
{
	size_t first = 0, after = description->count;

	while (first < after) {
		size_t middle = first + (after - first) / 2;

		if (pci_addr_key(description->by_address[middle]->addr) < pci_addr_key(addr))
			first = middle + 1;
		else
			after = middle;
	}
	if (first == description->count || !pci_addr_equal(description->by_address[first]->addr, addr))
		return NULL;
	return description->by_address[first];
}

static int refuse_option(const struct function_description *function, const char *key, struct why *why)
{
	char bdf[PCI_ADDR_TEXT], known[120] = "";
	size_t used = 0;

	if (!function->model)
		return refuse(why, OPTION_UNKNOWN, "%s has no model, so it has no option \"%.40s\"",
			      pci_addr_print(function->addr, bdf), key);
	for (const char *const *name = function->model->keys; *name && used < sizeof(known); name++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", *name);
	return refuse(why, OPTION_UNKNOWN, "%s is an %s, which knows no option \"%.40s\"; it knows %s",
		      pci_addr_print(function->addr, bdf), function->model->name, key, known);
}

static bool knows(const struct model *model, const char *key)
{
	for (const char *const *name = model ? model->keys : NULL; name && *name; name++)
		if (strcmp(*name, key) == 0)
			return true;
	return false;
}

int description_set_option(struct function_description *function, const char *key, const char *value, struct why *why)
{
	struct model_options *options = &function->options;
	char *key_copy, *value_copy;
	unsigned i = 0;

	if (!knows(function->model, key))
		return refuse_option(function, key, why);
	while (i < options->count && strcmp(options->option[i].key, key) != 0)
		i++;
	assert(i < MODEL_OPTIONS); /* no model knows so many keys */
	key_copy = alloc_string(key, why);
	value_copy = key_copy ? alloc_string(value, why) : NULL;
	if (!value_copy) {
		free(key_copy);
		return -why->err;
	}
	free(function->option_text[2 * i]);
	free(function->option_text[2 * i + 1]);
	function->option_text[2 * i] = key_copy;
	function->option_text[2 * i + 1] = value_copy;
	options->option[i] = (struct model_option){key_copy, value_copy};
	if (i == options->count)
		options->count++;
	return 0;
}

static int refuse_unknown(const char *name, struct why *why)
{
	char known[120] = "";
	const char *builtin;
	size_t used = 0;

	for (unsigned i = 0; (builtin = description_builtin_name(i)) && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", builtin);
	return refuse(why, MACHINE_UNKNOWN, "there is no machine \"%.60s\" built in; there is %s, or name a file.yaml",
		      name, known);
}

static bool is_path(const char *name)
{
	size_t length = strlen(name);

	return strchr(name, '/') || (length > 5 && strcmp(name + length - 5, ".yaml") == 0);
}

/* At most MACHINE_BYTES + 1 bytes into text; their number. */
static int read_file(const char *path, char *text, size_t *ret_size, struct why *why)
{
	FILE *file = fopen(path, "re");
	int err = 0;

	if (!file)
		return refuse_host(why, errno, "open(%.150s)", path);
	errno = 0;
	*ret_size = fread(text, 1, MACHINE_BYTES + 1, file);
	if (ferror(file))
		err = refuse_host(why, errno, "read(%.150s)", path);
	fclose(file);
	return err;
}

static int load_file(const char *path, struct description **ret, struct why *why)
{
	_memory_ char *text = alloc_zero(MACHINE_BYTES + 1, why);
	size_t size = 0;
	int err = text ? read_file(path, text, &size, why) : -why->err;

	if (err < 0)
		return err;
	if (size > MACHINE_BYTES)
		return refuse(why, MACHINE_FILE, "%.100s:1:1: a machine file has at most %u bytes", path,
			      MACHINE_BYTES);
	return description_parse(text, size, path, ret, why);
}

int description_load(const char *name, struct description **ret, struct why *why)
{
	const char *text;
	size_t size;

	if (!name)
		name = "default";
	if (is_path(name))
		return load_file(name, ret, why);
	text = description_builtin(name, &size);
	return text ? description_parse(text, size, name, ret, why) : refuse_unknown(name, why);
}
