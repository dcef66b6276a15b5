/* SPDX-License-Identifier: MIT */
/* OPTION: what of a context, or of an IOAS, can be set and asked (spec 03 section 3.9). */
#include "iommufd/ioas.h"
#include "iommufd/ioctl.h"

#define CAP_SYS_RESOURCE 24

static int decode_set_mode(const struct request *request, u64 value, struct why *why)
{
	const struct context *context = request->context;
	char text[CLIENT_DESCRIPTION], where[CONTEXT_TEXT];

	if (!client_capable(request->client, CAP_SYS_RESOURCE))
		return refuse(why, OPTION_PRIVILEGE, "%s has no CAP_SYS_RESOURCE, which RLIMIT_MODE takes",
			      client_describe(request->client, text));
	if (context_has_objects(context))
		return refuse(why, OPTION_LATE, "%s has %u objects already", context_describe(context, where),
			      context->nobjects);
	if (value > 1)
		return refuse(why, OPTION_VALUE, "RLIMIT_MODE %llu is neither 0 (user) nor 1 (process)",
			      (unsigned long long)value);
	return 0;
}

static int option_rlimit_mode(struct request *request, struct iommu_option *option, struct why *why)
{
	struct context *context = request->context;
	int err;

	if (option->object_id)
		return refuse(why, OPTION_OBJECT, "RLIMIT_MODE of object %u", option->object_id);
	if (option->op == IOMMU_OPTION_OP_GET) {
		option->val64 = context->charge_mode == CHARGE_MM;
		return 0;
	}
	if (option->op != IOMMU_OPTION_OP_SET)
		return refuse(why, IOMMU_OPTION_UNKNOWN, "RLIMIT_MODE has no operation %u", option->op);
	err = decode_set_mode(request, option->val64, why);
	if (err == 0)
		context->charge_mode = option->val64 ? CHARGE_MM : CHARGE_USER;
	return err;
}

static int set_huge_pages(struct ioas *ioas, u64 value, struct why *why)
{
	if (value > 1)
		return refuse(why, OPTION_VALUE, "HUGE_PAGES %llu is neither 0 nor 1", (unsigned long long)value);
	if (!value)
		return ioas_disable_huge_pages(ioas, why);
	ioas_enable_huge_pages(ioas);
	return 0;
}

static int option_huge_pages(struct request *request, struct iommu_option *option, struct why *why)
{
	struct ioas *ioas;
	int err = ioas_find(request->context, option->object_id, &ioas, why);

	if (err < 0)
		return err;
	switch (option->op) {
	case IOMMU_OPTION_OP_GET:
		option->val64 = !ioas->huge_pages_off;
		return 0;
	case IOMMU_OPTION_OP_SET:
		return set_huge_pages(ioas, option->val64, why);
	default:
		return refuse(why, IOMMU_OPTION_UNKNOWN, "HUGE_PAGES has no operation %u", option->op);
	}
}

/* Only the value is written back. */
static int answer_value(const struct request *request, const struct iommu_option *option, struct why *why)
{
	return client_write(request->client, request->arg + offsetof(struct iommu_option, val64), &option->val64,
			    sizeof(option->val64), why);
}

long ioctl_option(struct request *request, struct why *why)
{
	struct iommu_option *option = &request->command->ioctl_option_command;
	int err = refuse_reserved_field(request, option->__reserved, why);

	if (err < 0)
		return err;
	switch (option->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		err = option_rlimit_mode(request, option, why);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		err = option_huge_pages(request, option, why);
		break;
	default:
		return refuse(why, IOMMU_OPTION_UNKNOWN, "there is no option %u", option->option_id);
	}
	return err < 0 ? err : answer_value(request, option, why);
}
