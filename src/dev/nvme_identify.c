/* SPDX-License-Identifier: MIT */
/*
 * Identify: the data structures a driver decides by (NVMe 1.4 section 5.15). Offsets are the specification's; what is
 * not written is zero, which for nearly every field means "not supported".
 */
#include <stdio.h>

#include "dev/nvme.h"

enum identify_cns { CNS_NAMESPACE = 0x00, CNS_CONTROLLER = 0x01, CNS_ACTIVE_LIST = 0x02, CNS_DESCRIPTORS = 0x03 };

enum { EUI64_SIZE = 8, NGUID_SIZE = 16, DESCRIPTOR_EUI64 = 1, DESCRIPTOR_NGUID = 2 };

/* Text fields are padded with spaces and not terminated. */
static void put_text(u8 *to, size_t size, const char *text)
{
	size_t length = strlen(text);

	memset(to, ' ', size);
	memcpy(to, text, min_u64(length, size));
}

/* A locally administered identifier, different for every function of a machine and the same at each run. */
static void put_eui64(const struct nvme *nvme, u8 to[static EUI64_SIZE])
{
	u32 key = (u32)pci_addr_key(nvme->identity);

	memcpy(to, "\x02iso", 4);
	for (unsigned i = 0; i < 4; i++)
		to[4 + i] = (u8)(key >> (24 - 8 * i));
}

static void put_nguid(const struct nvme *nvme, u8 to[static NGUID_SIZE])
{
	memcpy(to, "isolde\0\1", 8);
	put_eui64(nvme, to + 8);
}

static void controller_names(const struct nvme *nvme, u8 *data)
{
	char bdf[PCI_ADDR_TEXT], text[64];

	pci_addr_print(nvme->identity, bdf);
	put_text(data + 4, 20, bdf);			/* SN */
	put_text(data + 24, 40, "isolde virtual NVMe"); /* MN */
	put_text(data + 64, 8, ISOLDE_VERSION);		/* FR */
	snprintf(text, sizeof(text), "nqn.2014-08.org.nvmexpress:isolde:%s", bdf);
	memcpy(data + 768, text, strlen(text)); /* SUBNQN */
}

static void identify_controller(const struct nvme *nvme, u8 *data)
{
	put_u16(data + 0, get_u16(nvme->function->config + PCI_VENDOR_ID));
	put_u16(data + 2, get_u16(nvme->function->config + PCI_SUBSYSTEM_VENDOR));
	controller_names(nvme, data);
	data[72] = 6;					/* RAB: arbitration burst 2^6 */
	data[77] = NVME_MDTS;				/* MDTS */
	put_u16(data + 78, 1);				/* CNTLID */
	put_u32(data + 80, NVME_VERSION);		/* VER */
	put_u32(data + 84, 100000);			/* RTD3R, us */
	put_u32(data + 88, 1000000);			/* RTD3E, us: how long SPDK waits for a shutdown */
	data[111] = 1;					/* CNTRLTYPE: I/O controller */
	data[258] = 3;					/* ACL */
	data[259] = NVME_EVENT_REQUESTS - 1;		/* AERL */
	data[260] = 0x03;				/* FRMW: one slot, read only */
	data[261] = 0x05;				/* LPA: SMART per namespace, log page offsets */
	data[262] = NVME_ERROR_ENTRIES - 1;		/* ELPE */
	put_u16(data + 266, NVME_TEMPERATURE_WARNING);	/* WCTEMP */
	put_u16(data + 268, NVME_TEMPERATURE_CRITICAL); /* CCTEMP */
	data[512] = 0x66;				/* SQES: 64 bytes */
	data[513] = 0x44;				/* CQES: 16 bytes */
	put_u32(data + 516, 1);				/* NN */
	put_u16(data + 520, 0x001d);			/* ONCS: compare, DSM, write zeroes, select and save */
	data[525] = 0x07;				/* VWC: there is one; flush takes the broadcast NSID */
	put_u16(data + 2048, 2500);			/* power state 0: MP, in 10 mW */
}

static void identify_namespace(const struct nvme *nvme, u32 nsid, u8 *data)
{
	data[33] = 0x09;			/* DLFEAT: deallocated blocks read zero, also by write zeroes */
	data[130] = (u8)nvme->disk.block_shift; /* LBAF0.LBADS; NLBAF, FLBAS and LBAF0.MS are 0 */
	if (nsid != 1)
		return;			       /* the broadcast NSID: what all namespaces have in common */
	put_u64(data + 0, nvme->disk.blocks);  /* NSZE */
	put_u64(data + 8, nvme->disk.blocks);  /* NCAP */
	put_u64(data + 16, nvme->disk.blocks); /* NUSE */
	put_nguid(nvme, data + 104);
	put_eui64(nvme, data + 120);
}

static void identify_descriptors(const struct nvme *nvme, u8 *data)
{
	data[0] = DESCRIPTOR_EUI64;
	data[1] = EUI64_SIZE;
	put_eui64(nvme, data + 4);
	data += 4 + EUI64_SIZE;
	data[0] = DESCRIPTOR_NGUID;
	data[1] = NGUID_SIZE;
	put_nguid(nvme, data + 4);
}

/* Fills nvme->page. */
static u16 identify_fill(struct nvme *nvme, unsigned cns, u32 nsid)
{
	switch (cns) {
	case CNS_NAMESPACE:
		if (nsid != 1 && nsid != UINT32_MAX)
			return NVME_INVALID_NAMESPACE;
		identify_namespace(nvme, nsid, nvme->page);
		return NVME_SUCCESS;
	case CNS_CONTROLLER:
		identify_controller(nvme, nvme->page);
		return NVME_SUCCESS;
	case CNS_ACTIVE_LIST: /* those above nsid */
		if (nsid >= UINT32_MAX - 1)
			return NVME_INVALID_NAMESPACE;
		put_u32(nvme->page, nsid < 1 ? 1 : 0);
		return NVME_SUCCESS;
	case CNS_DESCRIPTORS:
		if (nsid != 1)
			return NVME_INVALID_NAMESPACE;
		identify_descriptors(nvme, nvme->page);
		return NVME_SUCCESS;
	default:
		return NVME_INVALID_FIELD;
	}
}

u16 nvme_identify(struct nvme *nvme, struct nvme_request *request)
{
	u16 status;

	memset(nvme->page, 0, sizeof(nvme->page));
	status = identify_fill(nvme, request->command->cdw10 & 0xff, request->command->nsid);
	if (status)
		return status;
	return nvme_transfer(nvme, request->command, nvme->page, sizeof(nvme->page), DMA_WRITE);
}
