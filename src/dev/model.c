/* SPDX-License-Identifier: MIT */
#include "dev/model.h"

#include "dev/mcopy.h"
#include "dev/nvme.h"

static const struct model *const models[] = {
	&nvme_model,
	&mcopy_model,
};

const struct model *model_at(unsigned index)
{
	return index < ARRAY_SIZE(models) ? models[index] : NULL;
}

const struct model *model_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
		if (!strcmp(models[i]->name, name))
			return models[i];
	return NULL;
}

const char *model_option(const struct model_options *options, const char *key)
{
	for (unsigned i = 0; i < options->count; i++)
		if (!strcmp(options->option[i].key, key))
			return options->option[i].value;
	return NULL;
}
