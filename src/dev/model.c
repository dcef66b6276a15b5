/* SPDX-License-Identifier: MIT */
#include "dev/model.h"

#include <errno.h>
#include <stdlib.h>

#include "dev/dsa.h"
#include "dev/ioat.h"
#include "dev/mcopy.h"
#include "dev/nvme.h"
#include "dev/probe.h"

static const struct model *const models[] = {
	&nvme_model, &ioat_model, &dsa_model, &mcopy_model, &probe_model,
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

int model_number(const struct model *model, const struct model_options *options, const char *key, unsigned min,
		 unsigned max, unsigned *ret, struct why *why)
{
	const char *text = model_option(options, key);
	unsigned long number;
	char *rest;

	*ret = max;
	if (!text)
		return 0;
	errno = 0;
	number = strtoul(text, &rest, 10);
	if (*text < '0' || *text > '9' || *rest || errno || number < min || number > max)
		return refuse(why, MODEL_OPTION_INVALID, "option %s=%.32s of model %s: it is a number from %u to %u",
			      key, text, model->name, min, max);
	*ret = (unsigned)number;
	return 0;
}

int model_flag(const struct model *model, const struct model_options *options, const char *key, bool *ret,
	       struct why *why)
{
	const char *text = model_option(options, key);

	*ret = text && strcmp(text, "true") == 0;
	if (!text || *ret || strcmp(text, "false") == 0)
		return 0;
	return refuse(why, MODEL_OPTION_INVALID, "option %s=%.32s of model %s: it is true or false", key, text,
		      model->name);
}
