/* SPDX-License-Identifier: MIT */
#include <ctype.h>

#include "base/alloc.h"
#include "machine/reading.h"

static int read_uuid(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	char *uuid = ((struct emulated_description *)target)->uuid;
	const char *text = "";
	u8 value[UUID_SIZE];
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	if (!text_uuid(text, value) || text[UUID_LENGTH])
		return yaml_refuse(reader, node, "\"%.40s\" is no UUID; `uuidgen` makes one", text);
	for (size_t i = 0; text[i]; i++)
		uuid[i] = (char)tolower((unsigned char)text[i]);
	return 0;
}

static int read_model(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct emulated_description *description = target;
	const char *text = "";
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	description->model = model_find(text);
	if (description->model && model_is_emulated(description->model))
		return 0;
	return yaml_refuse(reader, node, "%s \"%.40s\"; `isolde machine models` lists the emulated ones",
			   description->model ? "it takes hardware to be a" : "there is no model", text);
}

static int read_parent(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	struct emulated_description *description = target;
	const char *text = "";
	struct pci_addr addr;
	int err = yaml_text(reader, node, &text);

	if (err < 0)
		return err;
	if (!pci_addr_parse(text, &addr))
		return yaml_refuse(reader, node, "\"%.40s\" is no address of a device, as 0000:01:00.0", text);
	description->parent = description_find(reading_of(reader)->description, addr);
	if (!description->parent)
		return yaml_refuse(reader, node, "there is no device %.40s in this machine", text);
	return 0;
}

static int check_emulated(struct yaml_reader *reader, const yaml_node_t *node,
			  const struct emulated_description *description)
{
	const struct emulated_description *other;

	if (!description->uuid[0] || !description->model)
		return yaml_refuse(reader, node, "an emulated device has a uuid and a model");
	list_for_each(other, &reading_of(reader)->description->emulated, link)
		if (strcmp(other->uuid, description->uuid) == 0)
			return yaml_refuse(reader, node, "there are two devices %s", description->uuid);
	return 0;
}

static int add_emulated(struct yaml_reader *reader, yaml_node_t *node, void *target)
{
	static const struct yaml_key keys[] = {{"uuid", read_uuid}, {"model", read_model}, {"parent", read_parent}};
	struct list *list = &reading_of(reader)->description->emulated;
	_memory_ struct emulated_description *description = alloc_new(struct emulated_description, reader->why);
	int err;

	if (!description)
		return -reader->why->err;
	if (list_length(list) == MACHINE_EMULATED)
		return yaml_refuse(reader, node, "a machine has at most %d emulated devices", MACHINE_EMULATED);
	err = yaml_read_mapping(reader, node, keys, ARRAY_SIZE(keys), "an emulated device", description);
	if (err == 0)
		err = check_emulated(reader, node, description);
	if (err < 0)
		return err;
	list_append(list, &description->link);
	take(description);
	return 0;
}

int emulated_read(struct reading *reading)
{
	if (!reading->emulated)
		return 0;
	return yaml_read_sequence(&reading->yaml, reading->emulated, "emulated", add_emulated, NULL);
}

void emulated_descriptions_free(struct list *emulated)
{
	while (!list_empty(emulated)) {
		struct emulated_description *description = list_first(emulated, struct emulated_description, link);

		list_remove(&description->link);
		free(description);
	}
}
