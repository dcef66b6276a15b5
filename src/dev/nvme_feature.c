/* SPDX-License-Identifier: MIT */
/*
 * Set Features and Get Features (NVMe 1.4 section 5.21): one word each, except the temperature thresholds (one for
 * each direction) and the vector configuration (one bit per vector). Nothing is saved across resets.
 *
 * NSID is not looked at: no feature here belongs to a namespace, and QEMU's driver names one all the same.
 */
#include "dev/nvme.h"

enum feature_select { SELECT_CURRENT, SELECT_DEFAULT, SELECT_SAVED, SELECT_CAPABILITIES };
enum { CHANGEABLE = 0x4 };

static const u32 feature_defaults[NVME_FEATURES] = {
	[NVME_FEATURE_ARBITRATION] = 0x7, /* no limit to a burst */
	[NVME_FEATURE_WRITE_CACHE] = 1,
	[NVME_FEATURE_QUEUES] = (NVME_IO_QUEUES - 1) | (NVME_IO_QUEUES - 1) << 16,
};

void nvme_features_reset(struct nvme *nvme)
{
	struct nvme_features *features = &nvme->features;

	*features = (struct nvme_features){.over_threshold = NVME_TEMPERATURE_WARNING};
	memcpy(features->value, feature_defaults, sizeof(features->value));
}

u8 nvme_critical_warning(const struct nvme *nvme)
{
	bool outside = NVME_TEMPERATURE >= nvme->features.over_threshold ||
		       NVME_TEMPERATURE <= nvme->features.under_threshold;

	return outside ? 0x02 : 0;
}

/* The threshold that TMPSEL and THSEL name; NULL when there is none: we have the composite sensor only. */
static u16 *threshold_find(struct nvme *nvme, u32 cdw11, bool setting)
{
	unsigned sensor = cdw11 >> 16 & 0xf, direction = cdw11 >> 20 & 0x3;

	if (sensor && !(setting && sensor == 0xf))
		return NULL;
	if (direction > 1)
		return NULL;
	return direction ? &nvme->features.under_threshold : &nvme->features.over_threshold;
}

static u16 set_threshold(struct nvme *nvme, u32 cdw11)
{
	u16 *threshold = threshold_find(nvme, cdw11, true);

	if (!threshold)
		return NVME_INVALID_FIELD;
	*threshold = (u16)cdw11;
	if (nvme_critical_warning(nvme) & nvme->features.value[NVME_FEATURE_ASYNC_EVENTS])
		nvme_raise_event(nvme, NVME_EVENT_SMART, NVME_EVENT_TEMPERATURE);
	return NVME_SUCCESS;
}

/* Numbers are zero-based; what is granted is told in the result, and binds the creation of queues from now on. */
static u16 set_queues(struct nvme *nvme, u32 cdw11, u32 *result)
{
	u32 sqs = cdw11 & 0xffff, cqs = cdw11 >> 16;
	u32 granted;

	if ((nvme->live_sqs | nvme->live_cqs) & ~1ull)
		return NVME_SEQUENCE_ERROR;
	if (sqs == 0xffff || cqs == 0xffff)
		return NVME_INVALID_FIELD;
	granted = (u32)min_u64(sqs > cqs ? sqs : cqs, NVME_IO_QUEUES - 1);
	nvme->granted = granted + 1;
	*result = nvme->features.value[NVME_FEATURE_QUEUES] = granted | granted << 16;
	return NVME_SUCCESS;
}

static u16 set_vector(struct nvme *nvme, u32 cdw11)
{
	unsigned vector = cdw11 & 0xffff;

	if (vector >= NVME_VECTORS)
		return NVME_INVALID_FIELD;
	nvme->features.no_coalescing &= ~BIT(vector);
	nvme->features.no_coalescing |= cdw11 & BIT(16) ? BIT(vector) : 0;
	return NVME_SUCCESS;
}

/* Bits of the word that mean something and may be set. */
static const u32 settable[NVME_FEATURES] = {
	[NVME_FEATURE_ARBITRATION] = 0xffffff07, [NVME_FEATURE_POWER] = 0,
	[NVME_FEATURE_ERROR_RECOVERY] = 0xffff,	 [NVME_FEATURE_WRITE_CACHE] = 0x1,
	[NVME_FEATURE_COALESCING] = 0xffff,	 [NVME_FEATURE_ATOMICITY] = 0x1,
	[NVME_FEATURE_ASYNC_EVENTS] = 0xff,
};

static u16 set_word(struct nvme *nvme, unsigned feature, u32 cdw11)
{
	enum { DULBE = 0x10000, POWER_STATE = 0x1f };

	/* Neither a second power state nor an error for reading deallocated blocks exists here. */
	if (feature == NVME_FEATURE_POWER && cdw11 & POWER_STATE)
		return NVME_INVALID_FIELD;
	if (feature == NVME_FEATURE_ERROR_RECOVERY && cdw11 & DULBE)
		return NVME_INVALID_FIELD;
	nvme->features.value[feature] = cdw11 & settable[feature];
	return NVME_SUCCESS;
}

/* 03h, the LBA range type, is optional and absent. */
static bool feature_exists(unsigned feature)
{
	return feature >= NVME_FEATURE_ARBITRATION && feature < NVME_FEATURES && feature != 0x03;
}

u16 nvme_set_features(struct nvme *nvme, struct nvme_request *request)
{
	u32 cdw10 = request->command->cdw10, cdw11 = request->command->cdw11;
	unsigned feature = cdw10 & 0xff;

	if (!feature_exists(feature))
		return NVME_INVALID_FIELD;
	if (cdw10 & BIT(31))
		return NVME_NOT_SAVEABLE;
	switch (feature) {
	case NVME_FEATURE_TEMPERATURE:
		return set_threshold(nvme, cdw11);
	case NVME_FEATURE_QUEUES:
		return set_queues(nvme, cdw11, &request->result);
	case NVME_FEATURE_VECTOR:
		return set_vector(nvme, cdw11);
	default:
		return set_word(nvme, feature, cdw11);
	}
}

static u16 get_threshold(struct nvme *nvme, u32 cdw11, bool current, u32 *result)
{
	const u16 *threshold = threshold_find(nvme, cdw11, false);

	if (!threshold)
		return NVME_INVALID_FIELD;
	if (current)
		*result = *threshold;
	else
		*result = threshold == &nvme->features.over_threshold ? NVME_TEMPERATURE_WARNING : 0;
	return NVME_SUCCESS;
}

static u16 get_vector(const struct nvme *nvme, u32 cdw11, bool current, u32 *result)
{
	unsigned vector = cdw11 & 0xffff;

	if (vector >= NVME_VECTORS)
		return NVME_INVALID_FIELD;
	*result = vector;
	if (current && nvme->features.no_coalescing & BIT(vector))
		*result |= BIT(16);
	return NVME_SUCCESS;
}

u16 nvme_get_features(struct nvme *nvme, struct nvme_request *request)
{
	u32 cdw10 = request->command->cdw10, cdw11 = request->command->cdw11;
	unsigned feature = cdw10 & 0xff, select = cdw10 >> 8 & 0x7;
	bool current = select == SELECT_CURRENT;

	if (!feature_exists(feature) || select > SELECT_CAPABILITIES)
		return NVME_INVALID_FIELD;
	if (select == SELECT_CAPABILITIES) {
		request->result = CHANGEABLE;
		return NVME_SUCCESS;
	}
	if (feature == NVME_FEATURE_TEMPERATURE)
		return get_threshold(nvme, cdw11, current, &request->result);
	if (feature == NVME_FEATURE_VECTOR)
		return get_vector(nvme, cdw11, current, &request->result);
	request->result = current ? nvme->features.value[feature] : feature_defaults[feature];
	return NVME_SUCCESS;
}
