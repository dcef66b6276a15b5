/* SPDX-License-Identifier: MIT */
/* What functions hold besides registers, as a machine file has it: contents of ROMs, vital product data. */
#include "pci/contents.h"
#include "base/alloc.h"
#include "base/os.h"
#include "machine/description.h"

/* ---- ROM ---- */

static int read_file(const char *path, u64 limit, u8 **ret, u32 *ret_size, struct why *why)
{
	struct os_file file;
	_close_ int fd = os_file_look(path, &file);
	_memory_ u8 *bytes = NULL;

	if (fd < 0)
		return refuse_host(why, -fd, "open(%.150s)", path);
	if (!file.regular || !file.size || file.size > limit)
		return refuse(why, CONTENTS_FILE, "%.150s is no file of 1 to %llu bytes", path,
			      (unsigned long long)limit);
	bytes = alloc_zero(file.size, why);
	if (!bytes)
		return -why->err;
	if (!os_file_read(fd, 0, bytes, file.size))
		return refuse(why, CONTENTS_FILE, "%.150s cannot be read whole", path);
	*ret = take(bytes);
	*ret_size = (u32)file.size;
	return 0;
}

static int load_rom(const struct function_description *words, struct pci_function *function, struct why *why)
{
	u64 size = words->rom.shadow ? words->rom.shadow : words->bars[PCI_ROM].size;

	if (!size)
		return 0;
	if (words->rom.file)
		return read_file(words->rom.file, size, &function->rom, &function->rom_size, why);
	if (!words->rom.minimal)
		return 0;
	function->rom_size = words->rom.shadow ? words->rom.shadow : 512;
	function->rom = alloc_zero(function->rom_size, why);
	if (!function->rom)
		return -why->err;
	pci_rom_minimal(function, function->rom, function->rom_size);
	return 0;
}

/* ---- VPD: resources of fields (PCI Local Bus 3.0 appendix I) ---- */

#define TAG_NAME     0x82
#define TAG_READ     0x90
#define TAG_WRITE    0x91
#define TAG_END	     0x78
#define SPARE	     32	  /* bytes that may still be written */
#define VPD_CONTENTS 4096 /* more than the fields of a description take */

struct vpd_writer {
	u8 *bytes;
	u32 size;
};

static void put_bytes(struct vpd_writer *writer, const void *bytes, size_t size)
{
	assert(writer->size + size <= VPD_CONTENTS);
	memcpy(writer->bytes + writer->size, bytes, size);
	writer->size += (u32)size;
}

static void put_byte(struct vpd_writer *writer, u8 byte)
{
	put_bytes(writer, &byte, 1);
}

/* A large resource; its length follows in close_resource(). */
static u32 open_resource(struct vpd_writer *writer, u8 tag)
{
	const u8 header[3] = {tag};

	put_bytes(writer, header, sizeof(header));
	return writer->size;
}

static void close_resource(const struct vpd_writer *writer, u32 start)
{
	put_u16(writer->bytes + start - 2, (u16)(writer->size - start));
}

static void put_field(struct vpd_writer *writer, const char keyword[static 2], const void *bytes, size_t size)
{
	put_bytes(writer, keyword, 2);
	put_byte(writer, (u8)size);
	put_bytes(writer, bytes, size);
}

static void put_fields(struct vpd_writer *writer, const struct vpd_description *vpd, bool writable)
{
	for (unsigned i = 0; i < vpd->nfields; i++)
		if (vpd->field[i].writable == writable)
			put_field(writer, vpd->field[i].keyword, vpd->field[i].text, strlen(vpd->field[i].text));
}

/* All bytes up to and with this one add up to zero. */
static void put_checksum(struct vpd_writer *writer)
{
	u8 sum = 'R' + 'V' + 1;

	for (u32 i = 0; i < writer->size; i++)
		sum = (u8)(sum + writer->bytes[i]);
	sum = (u8)-sum;
	put_field(writer, "RV", &sum, 1);
}

static void write_vpd(struct vpd_writer *writer, const struct vpd_description *vpd)
{
	static const u8 zeroes[SPARE] = {0};
	u32 start = open_resource(writer, TAG_NAME);

	put_bytes(writer, vpd->name, strlen(vpd->name));
	close_resource(writer, start);
	start = open_resource(writer, TAG_READ);
	put_fields(writer, vpd, false);
	/* The length counts for the sum, so it is there before. */
	put_u16(writer->bytes + start - 2, (u16)(writer->size + 4 - start));
	put_checksum(writer);
	start = open_resource(writer, TAG_WRITE);
	put_fields(writer, vpd, true);
	put_field(writer, "RW", zeroes, sizeof(zeroes));
	close_resource(writer, start);
	put_byte(writer, TAG_END);
}

static int load_vpd(const struct function_description *words, struct pci_function *function, struct why *why)
{
	struct vpd_writer writer = {.size = 0};

	if (!words->vpd)
		return 0;
	writer.bytes = alloc_zero(VPD_CONTENTS, why);
	if (!writer.bytes)
		return -why->err;
	write_vpd(&writer, words->vpd);
	function->vpd = writer.bytes;
	function->vpd_size = writer.size;
	return 0;
}

int function_contents_load(const struct function_description *words, struct pci_function *function, struct why *why)
{
	int err = load_rom(words, function, why);
	char bdf[PCI_ADDR_TEXT];

	if (err < 0)
		return why_context(why, "the ROM of %s", pci_addr_print(function->addr, bdf));
	return load_vpd(words, function, why);
}

int contents_load(const struct description *description, struct pci_topology *topology, struct why *why)
{
	const struct function_description *words;
	int err = 0;

	list_for_each(words, &description->functions, link) {
		if (!words->vpd && !words->bars[PCI_ROM].size && !words->rom.shadow)
			continue;
		err = function_contents_load(words, pci_topology_find(topology, words->addr), why);
		if (err < 0)
			break;
	}
	return err;
}
