/* SPDX-License-Identifier: MIT */
/* Structures of IOMMU drivers in a program's memory (spec 03 section 6.1). */
#include <string.h>

#include "iommufd/driver.h"

const struct iommufd_driver *iommufd_driver_of(const struct iommu_driver *driver)
{
	static const struct iommufd_driver plain = {.mock = false};

	return driver->user ? driver->user : &plain;
}

bool iommufd_dirty_capable(const struct iommu_device *device)
{
	const struct iommufd_driver *driver = iommufd_driver_of(device->unit->driver);

	return driver->dirty_capable ? driver->dirty_capable(device) : iommu_unit_capable(device->unit, CAP_DIRTY);
}

bool iommufd_coherency_enforceable(const struct iommu_device *device)
{
	const struct iommufd_driver *driver = iommufd_driver_of(device->unit->driver);

	return driver->coherency_enforceable ? driver->coherency_enforceable(device)
					     : iommu_unit_capable(device->unit, CAP_ENFORCE_COHERENCY);
}

static int refuse_type(u32 given, u32 wanted, struct why *why)
{
	return refuse(why, USER_DATA_TYPE, "the data is of type %#x, not %#x", given, wanted);
}

/* Linux: include/linux/iommu.h:__iommu_copy_struct_from_user() */
int user_data_read(const struct user_data *data, u32 type, size_t min, void *to, size_t size, struct why *why)
{
	if (data->type != type)
		return refuse_type(data->type, type, why);
	if (data->size < min || data->size > size)
		return refuse(why, USER_DATA_SIZE, "%u bytes of data of type %#x, which has %zu to %zu", data->size,
			      type, min, size);
	memset(to, 0, size);
	return client_read(data->client, data->address, to, data->size, why);
}

int user_data_write(const struct user_data *data, const void *from, size_t size, struct why *why)
{
	return client_write(data->client, data->address, from, min_u64(data->size, size), why);
}

static u64 address_of(const struct user_array *array, u32 index)
{
	return array->address + (u64)index * array->entry_size;
}

/* Linux: include/linux/iommu.h:iommu_copy_struct_from_user_array() */
int user_array_read(const struct user_array *array, u32 index, u32 type, size_t min, void *to, size_t size,
		    struct why *why)
{
	const struct user_data entry = {array->client, array->type, array->entry_size, address_of(array, index)};

	assert(index < array->count);
	return user_data_read(&entry, type, min, to, size, why);
}

/* What a newer program knows more must be zero. */
static int check_tail(const struct user_array *array, u32 index, size_t known, struct why *why)
{
	u8 tail[PAGE_SIZE]; /* the request refuses longer entries */
	size_t size = array->entry_size - known;
	int err = client_read(array->client, address_of(array, index) + known, tail, size, why);

	for (size_t i = 0; err == 0 && i < size; i++)
		if (tail[i])
			err = refuse(why, FIELD_UNKNOWN, "byte %zu of entry %u is %#x, and entries have %zu bytes here",
				     known + i, index, tail[i], known);
	return err;
}

/* Linux: include/linux/iommu.h:iommu_copy_struct_from_full_user_array() */
int user_array_read_all(const struct user_array *array, u32 type, void *to, size_t size, struct why *why)
{
	int err = 0;

	if (array->type != type)
		return refuse_type(array->type, type, why);
	if (!array->count)
		return refuse(why, USER_DATA_SIZE, "no entries of type %#x", type);
	if (array->entry_size == size)
		return client_read(array->client, array->address, to, size * array->count, why);
	memset(to, 0, size * array->count);
	for (u32 i = 0; err == 0 && i < array->count; i++) {
		if (array->entry_size > size)
			err = check_tail(array, i, size, why);
		if (err == 0)
			err = client_read(array->client, address_of(array, i), (u8 *)to + i * size,
					  min_u64(array->entry_size, size), why);
	}
	return err;
}
