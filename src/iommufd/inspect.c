/* SPDX-License-Identifier: MIT */
/* What each open /dev/iommu has, for `isolde inspect`. */
#include "iommufd/inspect.h"

#include "iommufd/context.h"

static void inspect_object(const struct object *object, struct describer *describer)
{
	char text[OBJECT_TEXT] = "";

	describe_object(describer, NULL);
	describe_number(describer, "id", object->id);
	describe_text(describer, "type", object->class->name);
	describe_number(describer, "users", object->users);
	if (object->class->describe)
		object->class->describe(object, text, sizeof(text));
	describe_text(describer, "what", text[0] ? text + strspn(text, " ") : NULL);
	describe_end(describer);
}

static void inspect_context(const struct context *context, struct describer *describer)
{
	static const char *const modes[] = {[CHARGE_NONE] = "none", [CHARGE_USER] = "user", [CHARGE_MM] = "process"};
	const struct object *object;
	u32 id = 0;

	describe_object(describer, NULL);
	describe_text(describer, "path", context->file.path);
	describe_text(describer, "opener", context->opener);
	describe_flag(describer, "open", context->open);
	describe_number(describer, "kept_by", context->files - context->open);
	describe_text(describer, "charges", modes[context->charge_mode]);
	if (context->vfio_ioas)
		describe_number(describer, "vfio_ioas", context->vfio_ioas->id);
	describe_array(describer, "objects");
	for (; (object = context_next(context, &id)); id++)
		inspect_object(object, describer);
	describe_end(describer);
	describe_end(describer);
}

void iommufd_inspect(const struct iommufd *iommufd, struct describer *describer)
{
	const struct context *context;

	describe_array(describer, "contexts");
	list_for_each(context, &iommufd->contexts, link)
		inspect_context(context, describer);
	describe_end(describer);
}
