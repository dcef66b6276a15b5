/* SPDX-License-Identifier: MIT */
/* GET_HW_INFO: what a device is behind, and what that can do (spec 03 section 5.1). */
#include "iommufd/device.h"
#include "iommufd/driver.h"
#include "iommufd/ioctl.h"
#include "pci/function.h"

/* The largest structure of a driver; the union only says how large. */
union hw_info {
	struct iommu_hw_info_vtd vtd;
	struct iommu_hw_info_arm_smmuv3 smmuv3;
	struct iommu_hw_info_tegra241_cmdqv cmdqv;
	struct iommu_hw_info_amd amd;
	u8 bytes[64];
};

/* PCIe 5.0 section 7.8.8.3: the control register, 6 bytes into the capability */
enum { PASID_CONTROL = 6 };

/* What is switched on, of the physical function (pci/ats.c:pci_pasid_status()). */
static u64 pasid_abilities(const struct iommu_device *device)
{
	const struct pci_function *function = device->function;
	u16 control;

	if (!device->max_pasids || !function)
		return 0;
	function = pci_pasid_function(function);
	if (!function->cap_pasid)
		return 0;
	control = get_u16(function->config + function->cap_pasid + PASID_CONTROL);
	return (control & PCI_PASID_EXECUTE ? IOMMU_HW_CAP_PCI_PASID_EXEC : 0) |
	       (control & PCI_PASID_PRIVILEGED ? IOMMU_HW_CAP_PCI_PASID_PRIV : 0);
}

static bool can_use_ats(const struct iommu_device *device, const struct iommufd_driver *driver)
{
	if (driver->ats_capable)
		return driver->ats_capable(device);
	return device->function && device->function->cap_ats;
}

static u64 abilities(const struct iommu_device *device, const struct iommufd_driver *driver)
{
	u64 found = pasid_abilities(device);

	if (iommufd_dirty_capable(device))
		found |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (!can_use_ats(device, driver))
		found |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	return found;
}

static u8 log2_of(u32 count)
{
	return count ? (u8)(31 - __builtin_clz(count)) : 0;
}

static int clear_client(struct client *client, u64 address, u64 size, struct why *why)
{
	static const u8 zeroes[PAGE_SIZE];
	int err = 0;

	while (err == 0 && size) {
		u64 piece = min_u64(size, sizeof(zeroes));

		err = client_write(client, address, zeroes, piece, why);
		address += piece;
		size -= piece;
	}
	return err;
}

/* The driver's structure, cut or filled up with zeroes to what the program has room for. */
static int answer_data(struct request *request, const struct iommu_hw_info *info, const union hw_info *data, u32 length,
		       struct why *why)
{
	u32 copied = (u32)min_u64(info->data_len, length);
	int err = copied ? client_write(request->client, info->data_uptr, data, copied, why) : 0;

	return err < 0 ? err : clear_client(request->client, info->data_uptr + copied, info->data_len - copied, why);
}

/* Linux: drivers/iommu/iommufd/device.c:iommufd_get_hw_info() */
long ioctl_get_hw_info(struct request *request, struct why *why)
{
	struct iommu_hw_info *info = &request->command->ioctl_get_hw_info_command;
	const struct iommufd_driver *driver;
	struct iommufd_device *device;
	union hw_info data = {};
	int length = 0, err;
	u32 type;

	err = refuse_unknown_flags(request, info->flags, IOMMU_HW_INFO_FLAG_INPUT_TYPE, why);
	for (unsigned i = 0; err == 0 && i < ARRAY_SIZE(info->__reserved); i++)
		err = refuse_reserved_field(request, info->__reserved[i], why);
	if (err == 0)
		err = iommufd_device_find(request->context, info->dev_id, &device, why);
	if (err < 0)
		return err;
	type = info->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE ? info->in_data_type : IOMMU_HW_INFO_TYPE_DEFAULT;
	driver = iommufd_driver_of(device->core->unit->driver);
	if (driver->hw_info)
		length = driver->hw_info(device->core, &type, &data, sizeof(data), why);
	else
		type = IOMMU_HW_INFO_TYPE_NONE;
	if (length < 0)
		return length;
	assert((size_t)length <= sizeof(data));
	err = answer_data(request, info, &data, (u32)length, why);
	if (err < 0)
		return err;
	info->out_data_type = type;
	info->data_len = (u32)length;
	info->out_capabilities = abilities(device->core, driver);
	info->out_max_pasid_log2 = log2_of(device->core->max_pasids);
	return request_answer(request, why);
}
