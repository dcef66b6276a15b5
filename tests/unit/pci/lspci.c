/* SPDX-License-Identifier: MIT */
/* Small dumps, one for each form that lspci, mail programs and people give them. */
#include "tests/helpers.h"

#include <time.h>

#include "pci/survey.h"

#define CAPS_GAPS (PCI_GAP_CAPS | PCI_GAP_EXT_CAPS)

static const char ids_text[] = "1022  Advanced Micro Devices, Inc. [AMD]\n"
			       "\t1632  Renoir PCIe Dummy Host Bridge\n"
			       "\t7801  FCH SATA Controller [AHCI mode]\n"
			       "\t7901  FCH SATA Controller [AHCI mode]\n"
			       "8086  Intel Corporation\n"
			       "\t1901  PCIe Controller (x16)\n"
			       "\t10c9  82576 Gigabit Network Connection\n"
			       "\t10ca  82576 Virtual Function\n"
			       "C 01  Mass storage controller\n"
			       "\t06  SATA controller\n"
			       "C 02  Network controller\n"
			       "\t00  Ethernet controller\n"
			       "C 06  Bridge\n"
			       "\t00  Host bridge\n"
			       "\t04  PCI bridge\n";

/* A root port as root sees it with -vvvnn. */
#define PORT                                                                                                           \
	"00:01.0 PCI bridge [0604]: Intel Corporation PCIe Controller (x16) [8086:1901] (rev 07) (prog-if 00 [Normal " \
	"decode])\n"                                                                                                   \
	"\tSubsystem: Dell Device [1028:0825]\n"                                                                       \
	"\tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+\n"    \
	"\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-\n"     \
	"\tLatency: 0, Cache Line Size: 64 bytes\n"                                                                    \
	"\tIOMMU group: 2\n"                                                                                           \
	"\tRegion 0: Memory at e1000000 (64-bit, non-prefetchable) [size=16K]\n"                                       \
	"\tBus: primary=00, secondary=01, subordinate=3d, sec-latency=0\n"                                             \
	"\tCapabilities: [88] Subsystem: Dell Device [1028:0825]\n"                                                    \
	"\tCapabilities: [80] Power Management version 3\n"                                                            \
	"\t\tStatus: D0 NoSoftRst+ PME-Enable- DSel=0 DScale=0 PME-\n"                                                 \
	"\tCapabilities: [90] MSI: Enable+ Count=1/8 Maskable- 64bit-\n"                                               \
	"\tCapabilities: [a0] Express (v2) Root Port (Slot+), MSI 00\n"                                                \
	"\t\tDevCap:\tMaxPayload 256 bytes, PhantFunc 0\n"                                                             \
	"\t\tSltCap:\tAttnBtn- PwrCtrl- MRL- AttnInd- PwrInd- HotPlug- Surprise-\n"                                    \
	"\t\t\tSlot #5, PowerLimit 75W; Interlock- NoCompl+\n"                                                         \
	"\t\tDevCtl2: Completion Timeout: 50us to 50ms, TimeoutDis- LTR+ OBFF Via WAKE#, ARIFwd+\n"                    \
	"\tCapabilities: [140 v1] Access Control Services\n"                                                           \
	"\t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-\n"               \
	"\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd- EgressCtrl- DirectTrans-\n"               \
	"\tKernel driver in use: pcieport\n"                                                                           \
	"\n"

/* A network card with virtual functions. */
#define CARD                                                                                                           \
	"01:00.0 Ethernet controller [0200]: Intel Corporation 82576 Gigabit Network Connection [8086:10c9] (rev "     \
	"01)\n"                                                                                                        \
	"\tSubsystem: Intel Corporation Device [8086:a03c]\n"                                                          \
	"\tControl: I/O+ Mem+ BusMaster+\n"                                                                            \
	"\tStatus: Cap+\n"                                                                                             \
	"\tIOMMU group: 3\n"                                                                                           \
	"\tRegion 0: Memory at fbe40000 (32-bit, non-prefetchable) [size=128K]\n"                                      \
	"\tRegion 2: I/O ports at e880 [size=32]\n"                                                                    \
	"\tRegion 3: Memory at fbe38000 (64-bit, prefetchable) [size=16K]\n"                                           \
	"\tExpansion ROM at fb400000 [disabled] [size=4M]\n"                                                           \
	"\tCapabilities: [70] MSI-X: Enable+ Count=10 Masked-\n"                                                       \
	"\t\tVector table: BAR=3 offset=00000000\n"                                                                    \
	"\t\tPBA: BAR=3 offset=00002000\n"                                                                             \
	"\tCapabilities: [a0] Express (v2) Endpoint, MSI 00\n"                                                         \
	"\t\tDevCap:\tMaxPayload 512 bytes, PhantFunc 3, Latency L0s <512ns, L1 <64us\n"                               \
	"\t\t\tExtTag- AttnBtn- AttnInd- PwrInd- RBE+ FLReset+\n"                                                      \
	"\tCapabilities: [100 v1] Advanced Error Reporting\n"                                                          \
	"\tCapabilities: [150 v1] Alternative Routing-ID Interpretation (ARI)\n"                                       \
	"\tCapabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)\n"                                           \
	"\t\tIOVCtl:\tEnable+ Migration- Interrupt- MSE+ ARIHierarchy+\n"                                              \
	"\t\tInitial VFs: 8, Total VFs: 8, Number of VFs: 2, Function Dependency Link: 00\n"                           \
	"\t\tVF offset: 128, stride: 2, Device ID: 10ca\n"                                                             \
	"\t\tRegion 0: Memory at 00000000d0000000 (64-bit, prefetchable)\n"                                            \
	"\tCapabilities: [1b0 v1] Address Translation Service (ATS)\n"                                                 \
	"\tCapabilities: [1c0 v1] Process Address Space ID (PASID)\n"                                                  \
	"\t\tPASIDCap: Exec- Priv-, Max PASID Width: 14\n"                                                             \
	"\tCapabilities: [1d0 v1] Page Request Interface (PRI)\n"                                                      \
	"\tKernel driver in use: igb\n"                                                                                \
	"\tKernel modules: igb\n"                                                                                      \
	"\n"

#define VIRTUAL                                                                                                        \
	"01:10.0 Ethernet controller [0200]: Intel Corporation 82576 Virtual Function [8086:10ca] (rev 01)\n"          \
	"\tControl: I/O- Mem- BusMaster+\n"                                                                            \
	"\tStatus: Cap+\n"                                                                                             \
	"\tIOMMU group: 4\n"                                                                                           \
	"\tCapabilities: [a0] Express (v2) Endpoint, MSI 00\n"                                                         \
	"\n"

static int read_with(const char *text, size_t size, bool with_ids, struct pci_survey **ret, struct why *why)
{
	struct pci_ids *ids = NULL;
	int err = with_ids ? pci_ids_parse(ids_text, sizeof(ids_text) - 1, &ids, why) : 0;

	if (err == 0)
		err = pci_read_lspci(text, size, "dump.txt", ids, ret, why);
	pci_ids_free(ids);
	return err;
}

static struct pci_survey *read_dump(const char *text)
{
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;

	ASSERT_OK(why, read_with(text, strlen(text), true, &survey, &why));
	return survey;
}

static const struct pci_facts *facts_at(const struct pci_survey *survey, const char *bdf)
{
	struct pci_function *function;
	struct pci_addr addr;

	assert_true(pci_addr_parse(bdf, &addr));
	function = pci_topology_find(&survey->topology, addr);
	if (!function)
		fail_msg("no %s", bdf);
	return &survey->facts[function->index];
}

static const struct pci_function *function_at(const struct pci_survey *survey, const char *bdf)
{
	return facts_at(survey, bdf)->function;
}

static u16 at(const struct pci_function *function, unsigned offset)
{
	return get_u16(function->config + offset);
}

/* The remark that contains text, of which there must be one; NULL if not. */
static const struct pci_remark *remark_of(const struct pci_survey *survey, const char *text)
{
	for (size_t i = 0; i < survey->nremarks; i++)
		if (strstr(survey->remarks[i].text, text))
			return &survey->remarks[i];
	return NULL;
}

static void expect_remark(const struct pci_survey *survey, enum pci_remark_kind kind, unsigned line, const char *text)
{
	const struct pci_remark *remark = remark_of(survey, text);

	if (!remark)
		fail_msg("no remark \"%s\"", text);
	assert_int_equal(remark->kind, kind);
	assert_int_equal(remark->line, line);
}

/* ---- forms ---- */

TEST(lspci, reads_lists_with_names_numbers_and_both)
{
	static const char *const lists[] = {
		"00:00.0 Host bridge: Intel Corporation Device 3ec2 (rev 07)\n00:01.0 PCI bridge: Intel Corporation "
		"PCIe "
		"Controller (x16) (rev 07)\n",
		"00:00.0 0600: 8086:3ec2 (rev 07)\n00:01.0 0604: 8086:1901 (rev 07)\n",
		"00:00.0 Class 0600: 8086:3ec2 (rev 07)\n00:01.0 Class 0604: 8086:1901 (rev 07)\n",
		"0000:00:00.0 Host bridge [0600]: Intel Corporation 8th Gen [8086:3ec2] (rev 07)\n0000:00:01.0 PCI "
		"bridge "
		"[0604]: Intel Corporation PCIe [8086:1901] (rev 07)\n",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++) {
		struct pci_survey *survey = read_dump(lists[i]);
		const struct pci_facts *host = facts_at(survey, "00:00.0"), *port = facts_at(survey, "00:01.0");

		assert_int_equal(survey->count, 2);
		assert_int_equal(at(host->function, 0), 0x8086);
		assert_int_equal(at(host->function, 2), 0x3ec2);
		assert_int_equal(at(port->function, 2), 0x1901);
		assert_int_equal(at(port->function, PCI_CLASS), 0x0604);
		assert_int_equal(port->function->config[PCI_REVISION], 7);
		assert_int_equal(host->gaps, CAPS_GAPS | PCI_GAP_HEADER | PCI_GAP_SUBSYSTEM);
		assert_int_equal(port->gaps, CAPS_GAPS | PCI_GAP_HEADER | PCI_GAP_SUBSYSTEM | PCI_GAP_BUSES);
		assert_int_equal(port->line, 2);
		assert_false(survey->says_groups);
		assert_false(port->driver_said);
		pci_survey_free(survey);
	}
}

TEST(lspci, reads_all_that_words_say_of_a_port)
{
	struct pci_survey *survey = read_dump(PORT);
	const struct pci_facts *facts = facts_at(survey, "00:01.0");
	const struct pci_function *port = facts->function;

	assert_int_equal(facts->gaps, PCI_GAP_HEADER);
	assert_int_equal(facts->host_group, 2);
	assert_true(survey->says_groups);
	assert_string_equal(facts->driver, "pcieport");
	assert_true(facts->driver_said);
	assert_string_equal(facts->name, "PCI bridge: Intel Corporation PCIe Controller (x16)");
	assert_true(pci_is_bridge(port));
	assert_int_equal(port->secondary, 1);
	assert_int_equal(port->subordinate, 0x3d);
	assert_int_equal(pcie_type(port), PCIE_ROOT_PORT);
	assert_int_equal(at(port, port->cap_acs + 4u), 0x1f);
	assert_int_equal(at(port, port->cap_acs + 6u), 0x0d);
	assert_int_equal(at(port, port->cap_msi + 2u) >> 1 & 7, 3);
	assert_int_equal(at(port, port->cap_pcie + 0x28u) & 0x20, 0x20);
	assert_int_equal(get_u32(port->config + port->cap_pcie + 0x14) >> 19, 5);
	assert_int_equal(port->bars[0].kind, PCI_BAR_MEMORY64);
	assert_int_equal(port->bars[0].size, 0x4000);
	assert_int_equal(at(port, pci_find_cap(port, PCI_CAP_SUBSYSTEM) + 6u), 0x0825);
	pci_survey_free(survey);
}

TEST(lspci, reads_all_that_words_say_of_a_card_and_finds_its_virtual_functions)
{
	struct pci_survey *survey = read_dump(PORT CARD VIRTUAL);
	const struct pci_function *card = function_at(survey, "01:00.0"), *virtual = function_at(survey, "01:10.0");

	assert_ptr_equal(virtual->physical, card);
	assert_ptr_equal(card->parent, function_at(survey, "00:01.0"));
	assert_int_equal(at(card, card->cap_sriov + 0x0eu), 8);
	assert_int_equal(at(card, card->cap_sriov + 0x10u), 2);
	assert_int_equal(at(card, card->cap_sriov + 0x14u), 128);
	assert_int_equal(at(card, card->cap_sriov + 0x16u), 2);
	assert_int_equal(at(card, card->cap_sriov + 0x1au), 0x10ca);
	assert_int_equal(card->config[card->cap_pasid + 5], 20);
	assert_true(card->cap_ari && card->cap_ats && card->cap_pri && card->cap_aer);
	assert_int_equal(get_u32(card->config + card->cap_pcie + 4) & 0x10000018, 0x10000010);
	assert_int_equal(at(card, card->cap_msix + 2u), 9);
	assert_int_equal(at(card, PCI_SUBSYSTEM), 0xa03c);
	assert_int_equal(card->bars[0].size, 0x20000);
	assert_int_equal(card->bars[1].kind, PCI_BAR_NONE);
	assert_int_equal(card->bars[2].kind, PCI_BAR_IO);
	assert_int_equal(card->bars[2].address, 0xe880);
	assert_true(card->bars[3].prefetchable);
	assert_int_equal(card->bars[4].kind, PCI_BAR_UPPER_HALF);
	assert_int_equal(card->bars[PCI_ROM].size, 4 << 20);
	pci_survey_free(survey);
}

TEST(lspci, takes_acs_as_on_where_v_names_it_without_registers)
{
	struct pci_survey *survey = read_dump("00:01.0 PCI bridge: Intel Corporation PCIe Controller (x16) (rev 07)\n"
					      "\tFlags: bus master, fast devsel, latency 0, IRQ 122, IOMMU group 2\n"
					      "\tMemory at e1000000 (64-bit, non-prefetchable) [size=16K]\n"
					      "\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0\n"
					      "\tCapabilities: [a0] Express Root Port (Slot+), MSI 00\n"
					      "\tCapabilities: [140] Access Control Services\n"
					      "\n"
					      "01:00.0 Ethernet controller: Intel Corporation Device 10d3\n"
					      "\tFlags: bus master, fast devsel, latency 0, IOMMU group 3\n"
					      "\tMemory at e2000000 (32-bit, non-prefetchable) [size=128K]\n"
					      "\tMemory at e2100000 (64-bit, prefetchable) [size=1M]\n"
					      "\tI/O ports at e880 [size=32]\n");
	const struct pci_function *port = function_at(survey, "00:01.0"), *card = function_at(survey, "01:00.0");

	assert_int_equal(at(port, port->cap_acs + 6u), PCI_ACS_ISOLATION);
	expect_remark(survey, REMARK_ASSUMPTION, 1, "Access Control Services are named");
	assert_int_equal(facts_at(survey, "00:01.0")->host_group, 2);
	assert_int_equal(facts_at(survey, "01:00.0")->gaps, PCI_GAP_HEADER); /* it is conventional */
	assert_false(pci_is_pcie(card));
	assert_int_equal(card->bars[1].kind, PCI_BAR_MEMORY64);
	assert_int_equal(card->bars[3].kind, PCI_BAR_IO);
	pci_survey_free(survey);
}

TEST(lspci, knows_every_kind_of_express_function)
{
	static const struct {
		const char *text;
		enum pcie_type type;
	} kinds[] = {
		{"Express (v2) Endpoint, MSI 00", PCIE_ENDPOINT},
		{"Express (v1) Legacy Endpoint, IntMsgNum 0", PCIE_LEGACY_ENDPOINT},
		{"Express Upstream Port, MSI 00", PCIE_UPSTREAM_PORT},
		{"Express (v2) Downstream Port (Slot-), MSI 00", PCIE_DOWNSTREAM_PORT},
		{"Express (v1) PCI-Express to PCI/PCI-X Bridge, MSI 00", PCIE_TO_PCI_BRIDGE},
		{"Express (v1) PCI/PCI-X Bridge, MSI 00", PCIE_TO_PCI_BRIDGE},
		{"Express (v1) PCI/PCI-X to PCI-Express Bridge, MSI 00", PCI_TO_PCIE_BRIDGE},
		{"Express (v2) Root Complex Integrated Endpoint, MSI 00", PCIE_RC_ENDPOINT},
		{"Express (v2) Root Complex Event Collector, MSI 00", PCIE_RC_EVENT_COLLECTOR},
		{"Express (v2) Unknown type 11, MSI 00", (enum pcie_type)11},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct pci_survey *survey;
		char text[256];

		snprintf(text, sizeof(text), "00:01.0 0200: 8086:1901\n\tControl: I/O+\n\tCapabilities: [a0] %s\n",
			 kinds[i].text);
		survey = read_dump(text);
		assert_int_equal(pcie_type(function_at(survey, "00:01.0")), kinds[i].type);
		pci_survey_free(survey);
	}
}

/* ---- gaps ---- */

TEST(lspci, knows_what_an_ordinary_user_is_not_shown)
{
	static const char *const denied[] = {"Capabilities: <access denied>",
					     "Capabilities: ", "Capabilities: &lt;access denied&gt;"};

	for (unsigned i = 0; i < ARRAY_SIZE(denied); i++) {
		struct pci_survey *survey;
		char text[512];

		snprintf(text, sizeof(text),
			 "00:01.0 0604: 8086:1901\n\tControl: I/O+\n\tStatus: Cap+\n\tBus: primary=00, secondary=01, "
			 "subordinate=01\n\t%s\n\tKernel driver in use: pcieport\n",
			 denied[i]);
		survey = read_dump(text);
		assert_int_equal(facts_at(survey, "00:01.0")->gaps, CAPS_GAPS | PCI_GAP_HEADER);
		assert_null(remark_of(survey, "lost"));
		pci_survey_free(survey);
	}
}

TEST(lspci, tells_capabilities_that_are_lost_from_those_there_never_were)
{
	struct pci_survey *survey = read_dump("00:00.0 0600: 8086:1234\n\tControl: I/O-\n\tStatus: Cap- 66MHz-\n\n"
					      "00:02.0 0200: 8086:1234\n\tControl: I/O-\n\tStatus: Cap+ 66MHz-\n\n"
					      "00:03.0 0200: 8086:1234\n\tControl: I/O-\n\tStatus: Cap-\n");

	assert_int_equal(facts_at(survey, "00:00.0")->gaps, PCI_GAP_HEADER);
	assert_int_equal(facts_at(survey, "00:02.0")->gaps, PCI_GAP_HEADER | CAPS_GAPS);
	expect_remark(survey, REMARK_WARNING, 5, "has lost them");
	pci_survey_free(survey);
}

TEST(lspci, tells_registers_that_are_lost)
{
	struct pci_survey *survey = read_dump("00:01.0 0604: 8086:1901\n"
					      "\tControl: I/O+\n"
					      "\tCapabilities: [a0] Express (v2) Root Port (Slot+), MSI 00\n"
					      "\tCapabilities: [140 v1] Access Control Services\n"
					      "\t\tACSCap: SrcValid+ TransBlk+ ReqRe\n"
					      "\tCapabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)\n"
					      "\tKernel driver in use: pcieport\n"
					      "00:02.0 0200: 8086:1234\n"
					      "\tControl: I/O+\n"
					      "\tCapabilities: [100 v1] Advanced Error Reporting\n"
					      "\tKernel driver in use: igb\n");

	assert_int_equal(facts_at(survey, "00:01.0")->gaps, PCI_GAP_HEADER | PCI_GAP_BUSES | PCI_GAP_EXT_CAPS);
	assert_int_equal(function_at(survey, "00:01.0")->cap_acs, 0);
	expect_remark(survey, REMARK_WARNING, 1, "lost the registers of Access Control");
	expect_remark(survey, REMARK_WARNING, 1, "lost the registers of SR-IOV");
	assert_int_equal(facts_at(survey, "00:02.0")->gaps, PCI_GAP_HEADER | CAPS_GAPS);
	expect_remark(survey, REMARK_WARNING, 8, "lost that of PCI Express");
	pci_survey_free(survey);
}

TEST(lspci, says_where_the_text_is_cut_off)
{
	struct pci_survey *survey = read_dump(
		"00:02.0 0200: 8086:1234\n\tControl: I/O-\n\tStatus: Cap+\n"
		"\tCapabilities: [a0] Express (v2) Endpoint, MSI 00\n\tCapabilities: [100 v1] Adv");

	assert_int_equal(facts_at(survey, "00:02.0")->gaps, PCI_GAP_HEADER | PCI_GAP_EXT_CAPS);
	expect_remark(survey, REMARK_WARNING, 5, "ends in the middle");
	pci_survey_free(survey);
	survey = read_dump("00:02.0 0200: 8086:1234\n\tControl: I/O-\n\tStatus: Cap+\n"
			   "\tCapabilities: [a0] Express (v2) Endpoint, MSI 00\n\tKernel driver in use: igb");
	assert_int_equal(facts_at(survey, "00:02.0")->gaps, PCI_GAP_HEADER);
	assert_null(remark_of(survey, "ends in the middle"));
	pci_survey_free(survey);
	survey = read_dump("00:02.0 0200: 8086:1234\n\tCapabilities: [a0] Express (v2) Endpoint, MSI 00\n"
			   "\tCapabilities: [100 v1] Advanced Error Reporting\n\t\tUESvrt:\tDLP+\n\t\t\tECRC- Unsu");
	expect_remark(survey, REMARK_WARNING, 5, "ends in the middle");
	pci_survey_free(survey);
	survey = read_dump("00:02.0 0200: 8086:1234\n\tCapabilities: [a0] Express (v2) Endpoint, MSI 00\n\nRegards, B");
	assert_null(remark_of(survey, "ends in the middle"));
	pci_survey_free(survey);
}

TEST(lspci, remarks_on_names_that_give_no_ids_or_several)
{
	struct pci_survey *survey = read_dump("00:00.0 Host bridge: Advanced Micro Devices, Inc. [AMD] Something new\n"
					      "00:01.0 Fancy thing: Intel Corporation PCIe Controller (x16)\n"
					      "00:02.0 SATA controller: Advanced Micro Devices, Inc. [AMD] FCH SATA "
					      "Controller [AHCI mode] (rev 51)\n");

	assert_int_equal(facts_at(survey, "00:00.0")->gaps & (PCI_GAP_IDS | PCI_GAP_CLASS), PCI_GAP_IDS);
	assert_int_equal(at(function_at(survey, "00:00.0"), 0), 0x1022);
	expect_remark(survey, REMARK_MISSING, 1, "0000:00:00.0: no device id is said");
	assert_int_equal(facts_at(survey, "00:01.0")->gaps & (PCI_GAP_IDS | PCI_GAP_CLASS), PCI_GAP_CLASS);
	expect_remark(survey, REMARK_MISSING, 2, "class code is not said");
	assert_int_equal(at(function_at(survey, "00:02.0"), 2), 0x7801);
	expect_remark(survey, REMARK_ASSUMPTION, 3, "fits several device ids");
	pci_survey_free(survey);
}

TEST(lspci, reads_numbers_without_a_list_of_ids)
{
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;
	static const char text[] = "00:00.0 Host bridge: Intel Corporation Device 3ec2\n"
				   "00:01.0 PCI bridge [0604]: Intel Corporation PCIe [8086:1901]\n";

	ASSERT_OK(why, read_with(text, sizeof(text) - 1, false, &survey, &why));
	assert_int_equal(facts_at(survey, "00:00.0")->gaps & (PCI_GAP_IDS | PCI_GAP_CLASS),
			 PCI_GAP_IDS | PCI_GAP_CLASS);
	assert_int_equal(facts_at(survey, "00:01.0")->gaps & (PCI_GAP_IDS | PCI_GAP_CLASS), 0);
	pci_survey_free(survey);
}

/* ---- bytes ---- */

#define ROW0  "00: 86 80 01 19 06 04 10 00 07 00 04 06 10 00 81 00\n"
#define ROW1  "10: 00 00 00 00 00 00 00 00 00 01 3d 00 f0 00 00 20\n"
#define ROW2  "20: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
#define ROW3  "30: 00 00 00 00 40 00 00 00 00 00 00 00 ff 01 10 00\n"
#define ROW4  "40: 10 00 42 01 01 80 00 00 00 00 00 00 00 00 00 00\n"
#define BYTES ROW0 ROW1 ROW2 ROW3

/* Rows of zeros, then ACS at 100 if there are that many. */
static void add_rows(char *text, unsigned from, unsigned after)
{
	for (unsigned offset = from; offset < after; offset += 16)
		sprintf(text + strlen(text), "%02x: %s\n", offset,
			offset == 0x100 ? "0d 00 01 00 1f 00 1d 00 00 00 00 00 00 00 00 00"
					: "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
}

TEST(lspci, reads_a_header_of_64_bytes_and_the_rest_from_words)
{
	struct pci_survey *survey = read_dump("00:01.0 PCI bridge: Intel Corporation Whatever\n" BYTES);
	const struct pci_function *port = function_at(survey, "00:01.0");

	assert_int_equal(facts_at(survey, "00:01.0")->gaps, CAPS_GAPS);
	assert_true(port->multifunction);
	assert_int_equal(port->subordinate, 0x3d);
	assert_int_equal(at(port, 2), 0x1901);
	pci_survey_free(survey);

	survey = read_dump(
		"00:01.0 PCI bridge: Intel Corporation Whatever\n\tControl: I/O+\n"
		"\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00\n"
		"\tCapabilities: [100 v1] Access Control Services\n"
		"\t\tACSCap: SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-\n"
		"\t\tACSCtl: SrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-\n" BYTES);
	port = function_at(survey, "00:01.0");
	assert_int_equal(facts_at(survey, "00:01.0")->gaps, 0);
	assert_int_equal(pcie_type(port), PCIE_ROOT_PORT);
	assert_int_equal(at(port, port->cap_acs + 6u), 0x1d);
	pci_survey_free(survey);
}

TEST(lspci, reads_256_and_4096_bytes)
{
	static char text[400 * 60];
	struct pci_survey *survey;
	const struct pci_function *port;

	strcpy(text, "00:01.0 PCI bridge: Intel Corporation Whatever\n" BYTES ROW4);
	add_rows(text, 0x50, 0x100);
	survey = read_dump(text);
	port = function_at(survey, "00:01.0");
	assert_int_equal(pcie_type(port), PCIE_ROOT_PORT);
	assert_int_equal(facts_at(survey, "00:01.0")->gaps, PCI_GAP_EXT_CAPS);
	pci_survey_free(survey);

	add_rows(text, 0x100, 0x1000);
	survey = read_dump(text);
	port = function_at(survey, "00:01.0");
	assert_int_equal(facts_at(survey, "00:01.0")->gaps, 0);
	assert_int_equal(port->cap_acs, 0x100);
	assert_int_equal(at(port, port->cap_acs + 6u), 0x1d);
	assert_int_equal(survey->nremarks ? 0 : 1, 0); /* those of finish alone: */
	assert_null(remark_of(survey, "bytes"));
	pci_survey_free(survey);

	/* Cut off in between: the conventional part is whole. */
	text[strlen(text) - 500] = '\0';
	survey = read_dump(text);
	assert_int_equal(facts_at(survey, "00:01.0")->gaps, PCI_GAP_EXT_CAPS);
	assert_non_null(remark_of(survey, "its bytes stop early"));
	pci_survey_free(survey);
}

TEST(lspci, reads_as_far_as_bytes_go_when_there_are_no_words)
{
	struct pci_survey *survey = read_dump("00:01.0 0604: 8086:1901\n" BYTES ROW4);

	assert_int_equal(pcie_type(function_at(survey, "00:01.0")), PCIE_ROOT_PORT);
	assert_int_equal(facts_at(survey, "00:01.0")->gaps, PCI_GAP_EXT_CAPS);
	expect_remark(survey, REMARK_WARNING, 6, "its bytes stop early");
	pci_survey_free(survey);
	survey = read_dump("00:01.0 0604: 8086:1901\n" ROW0 ROW1 ROW3);
	assert_int_equal(facts_at(survey, "00:01.0")->gaps,
			 CAPS_GAPS | PCI_GAP_HEADER | PCI_GAP_BUSES | PCI_GAP_SUBSYSTEM);
	pci_survey_free(survey);
}

#define FF "ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff\n"

TEST(lspci, does_not_believe_a_device_that_sleeps)
{
	struct pci_survey *survey = read_dump(
		"01:00.0 Ethernet controller: Intel Corporation 82576 Gigabit Network Connection (rev ff) (prog-if "
		"ff)\n"
		"\t!!! Unknown header type 7f\n\tKernel driver in use: igb\n"
		"00: " FF "10: " FF "20: " FF "30: " FF "\n"
		"02:00.0 Unassigned class [ffff]: Illegal Vendor ID Device ffff (rev ff)\n"
		"\t!!! Unknown header type 7f\n");

	assert_int_equal(at(function_at(survey, "01:00.0"), 2), 0x10c9);
	assert_int_equal(facts_at(survey, "01:00.0")->gaps & CAPS_GAPS, CAPS_GAPS);
	assert_int_equal(facts_at(survey, "02:00.0")->gaps & (CAPS_GAPS | PCI_GAP_IDS), CAPS_GAPS | PCI_GAP_IDS);
	expect_remark(survey, REMARK_WARNING, 1, "0000:01:00.0 and 1 more: the registers read as ff");
	pci_survey_free(survey);
}

TEST(lspci, takes_ids_of_a_virtual_function_from_words)
{
	struct pci_survey *survey = read_dump(
		"01:10.0 Ethernet controller: Intel Corporation 82576 Virtual Function (rev 01)\n"
		"00: ff ff ff ff 04 00 10 00 01 00 00 02 00 00 00 00\n" ROW2
		"10: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
		"30: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n");

	assert_int_equal(at(function_at(survey, "01:10.0"), 0), 0x8086);
	assert_int_equal(at(function_at(survey, "01:10.0"), 2), 0x10ca);
	assert_true(facts_at(survey, "01:10.0")->is_virtual);
	pci_survey_free(survey);
}

TEST(lspci, believes_bytes_more_than_words_and_says_so)
{
	struct pci_survey *survey = read_dump("00:01.0 0604: 8086:1901\n\tControl: I/O+\n"
					      "\tBus: primary=00, secondary=02, subordinate=02, sec-latency=0\n" BYTES);

	assert_int_equal(function_at(survey, "00:01.0")->secondary, 1);
	expect_remark(survey, REMARK_WARNING, 1, "words and bytes do not agree");
	pci_survey_free(survey);
}

TEST(lspci, takes_a_cardbus_bridge_as_a_bridge)
{
	struct pci_survey *survey = read_dump("02:00.0 CardBus bridge: Ricoh Co Ltd RL5c476 II (rev ba)\n"
					      "00: 80 11 76 04 07 00 10 02 ba 00 07 06 00 40 02 00\n"
					      "10: 00 00 00 00 dc 00 00 02 02 03 06 00 00 00 00 00\n" ROW2
					      "30: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n\n"
					      "03:00.0 0200: 10ec:8139\n");

	assert_ptr_equal(function_at(survey, "03:00.0")->parent, function_at(survey, "02:00.0"));
	pci_survey_free(survey);
}

TEST(lspci, survives_chains_that_loop)
{
	static char text[400 * 60];
	struct pci_survey *survey;

	strcpy(text, "00:01.0 0604: 8086:1901\n" BYTES "40: 05 40 42 01 01 80 00 00 00 00 00 00 00 00 00 00\n");
	add_rows(text, 0x50, 0x1000);
	survey = read_dump(text);
	expect_remark(survey, REMARK_WARNING, 1, "chain of capabilities is broken");
	pci_survey_free(survey);
	survey = read_dump("00:01.0 0200: 8086:1901\n\tControl: I/O+\n\tCapabilities: [40] <chain looped>\n");
	expect_remark(survey, REMARK_WARNING, 1, "chain of capabilities is broken");
	pci_survey_free(survey);
}

/* ---- paths ---- */

TEST(lspci, follows_paths)
{
	struct pci_survey *survey = read_dump("00:1c.0 0604: 8086:a110\n"
					      "00:1c.0/05:00.0 0604: 8086:15ea\n"
					      "00:1c.0/05:00.0/06:01.0 0604: 8086:15ea\n"
					      "00:1c.0/05:00.0/06:01.0/09:00.0 0200: 8086:1533\n");
	const struct pci_function *port = function_at(survey, "00:1c.0"), *card = function_at(survey, "09:00.0");

	assert_ptr_equal(card->parent, function_at(survey, "06:01.0"));
	assert_ptr_equal(card->parent->parent->parent, port);
	assert_int_equal(port->secondary, 5);
	assert_int_equal(port->subordinate, 9);
	assert_null(remark_of(survey, "not say which bus"));
	pci_survey_free(survey);
}

TEST(lspci, finds_the_buses_that_short_paths_leave_out)
{
	struct pci_survey *survey = read_dump(
		"00:01.0 0604: 8086:1901\n\tBus: primary=00, secondary=01, subordinate=02\n"
		"00:02.0 0604: 8086:1905\n"
		"00:01.0/00.0 0604: 10b5:8747\n\tBus: primary=01, secondary=02, subordinate=02\n"
		"00:01.0/00.0/08.1 0200: 8086:1533\n"
		"00:02.0/00.0 0200: 8086:1533\n");

	assert_int_equal(survey->count, 4);
	assert_ptr_equal(function_at(survey, "02:08.1")->parent, function_at(survey, "01:00.0"));
	expect_remark(survey, REMARK_MISSING, 7, "0000:00:02.0: functions below it do not say their bus");
	pci_survey_free(survey);
}

TEST(lspci, knows_segments)
{
	struct pci_survey *survey = read_dump("0000:00:0e.0 RAID bus controller [0104]: Intel Corporation Volume "
					      "Management Device NVMe RAID Controller [8086:9a0b]\n"
					      "10000:e0:06.0 PCI bridge [0604]: Intel Corporation Device [8086:9a09]\n"
					      "0001:00:00.0 0600: 8086:1234\n");

	assert_ptr_equal(function_at(survey, "10000:e0:06.0")->dma_device, function_at(survey, "00:0e.0"));
	assert_int_equal(function_at(survey, "0001:00:00.0")->addr.segment, 1);
	pci_survey_free(survey);
}

/* ---- mail ---- */

static void expect_port(const char *text)
{
	struct pci_survey *survey = read_dump(text);
	const struct pci_facts *facts = facts_at(survey, "00:01.0");
	const struct pci_function *port = facts->function;

	assert_int_equal(survey->count, 1);
	assert_int_equal(facts->gaps, PCI_GAP_HEADER);
	assert_int_equal(at(port, 2), 0x1901);
	assert_int_equal(facts->host_group, 2);
	assert_int_equal(port->subordinate, 0x3d);
	assert_int_equal(at(port, port->cap_acs + 4u), 0x1f);
	assert_int_equal(at(port, port->cap_acs + 6u), 0x0d);
	assert_int_equal(at(port, port->cap_pcie + 0x28u) & 0x20, 0x20);
	assert_string_equal(facts->driver, "pcieport");
	assert_string_equal(facts->name, "PCI bridge: Intel Corporation PCIe Controller (x16)");
	pci_survey_free(survey);
}

/* Puts `before` in front of each line and `after` at its end, breaks lines at `width`, drops indentation. */
static char *mangle(const char *text, const char *before, const char *after, size_t width, bool unindent)
{
	char *mangled = calloc(1, strlen(text) * 20 + 1000), *to = mangled;

	assert_non_null(mangled);
	while (*text) {
		size_t length = strcspn(text, "\n"), indent = unindent ? strspn(text, "\t") : 0;

		text += indent;
		length -= indent;
		to += sprintf(to, "%s", before);
		while (length > width) {
			size_t piece = width;

			while (piece && text[piece] != ' ')
				piece--;
			if (!piece)
				break;
			to += sprintf(to, "%.*s%s\n%s", (int)piece, text, after, before);
			text += piece + 1;
			length -= piece + 1;
		}
		to += sprintf(to, "%.*s%s\n", (int)length, text, after);
		text += length + (text[length] == '\n');
	}
	return mangled;
}

TEST(lspci, reads_what_mail_programs_leave)
{
	static const struct {
		const char *before, *after;
		size_t width;
		bool unindent;
	} mails[] = {
		{"", "", 1000, false},	      {"> ", "", 1000, false},	 {">> ", "", 1000, true},
		{"> > >", "\r", 1000, false}, {"", "", 72, true},	 {"> ", "   ", 72, true},
		{"  ", "", 76, true},	      {"    ", "\r", 78, false}, {"", "", 80, false},
		{"\xc2\xa0", "", 76, true},   {"&gt; ", "", 76, true},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(mails); i++) {
		char *text = mangle(PORT, mails[i].before, mails[i].after, mails[i].width, mails[i].unindent);

		expect_port(text);
		free(text);
	}
}

TEST(lspci, reads_lists_that_somebody_itemized)
{
	struct pci_survey *survey = read_dump("* 00:00.0 0600: 8086:3ec2\n- 00:01.0 0604: 8086:1901\n");

	assert_int_equal(survey->count, 2);
	pci_survey_free(survey);
}

TEST(lspci, reads_quoted_printable)
{
	char *text = mangle(PORT, "", "", 1000, false),
	     *at_bus = strstr(text, "primary=00, secondary=01, subordinate=3d");
	char *coded = calloc(1, strlen(text) + 100);

	assert_non_null(at_bus);
	sprintf(coded, "%.*sprimary=3D00, secon=\ndary=3D01, subordinate=3D3d=20%s", (int)(at_bus - text), text,
		at_bus + strlen("primary=00, secondary=01, subordinate=3d"));
	expect_port(coded);
	free(coded);
	free(text);
}

TEST(lspci, skips_the_text_around_a_dump)
{
	expect_port("Hello,\n\nmy 00:01.0 is broken: see below. 01:00.0 is fine.\n"
		    "01:00.0 is the card in question\n02:00.0 looks good: I think\n"
		    "[    0.123456] pci 0000:02:00.0: [8086:1533] type 00 class 0x020000\n"
		    "00: be careful\n10: 00 11 22\n\n" PORT "\n-- \nBest regards: me\n[X.] Other notes\n");
}

TEST(lspci, leaves_out_prose_that_looks_like_a_function)
{
	struct pci_survey *survey = read_dump("02:00.0 My favourite card: Works well\n\n" PORT);

	assert_int_equal(survey->count, 1);
	expect_remark(survey, REMARK_WARNING, 1, "left out");
	pci_survey_free(survey);
}

/* ---- groups ---- */

#define LIST                                                                                                           \
	"00:00.0 0600: 8086:3ec2\n"                                                                                    \
	"00:01.0 0604: 8086:1901\n"                                                                                    \
	"01:00.0 0200: 8086:10c9\n"                                                                                    \
	"\n"

TEST(lspci, reads_groups_wherever_they_are_listed)
{
	static const char *const texts[] = {
		LIST "$ find /sys/kernel/iommu_groups/ -type l\n"
		     "/sys/kernel/iommu_groups/1/devices/0000:00:01.0\n"
		     "/sys/kernel/iommu_groups/1/devices/0000:01:00.0\n",
		"lrwxrwxrwx 1 root root 0 May 1 10:00 /sys/kernel/iommu_groups/1/devices/0000:00:01.0 -> "
		"../../../../devices/pci0000:00/0000:00:01.0\n"
		"lrwxrwxrwx 1 root root 0 May 1 10:00 /sys/kernel/iommu_groups/1/devices/0000:01:00.0 -> ../x\n\n" LIST,
		LIST "/sys/kernel/iommu_groups/1/devices:\n0000:00:01.0  0000:01:00.0\n\n",
		LIST "/sys/kernel/iommu_groups/1/devices/:\ntotal 0\nlrwxrwxrwx 1 root root 0 May 1 0000:00:01.0 -> "
		     "../../../../devices/0000:00:00.0\nlrwxrwxrwx 1 root root 0 May 1 0000:01:00.0 -> ../x\n",
		"IOMMU Group 1:\n\t00:01.0 PCI bridge [0604]: Intel Corporation X [8086:1901]\n"
		"\t01:00.0 Ethernet controller [0200]: Intel Corporation X [8086:10c9]\n\n" LIST,
		"IOMMU Group 1 00:01.0 PCI bridge [0604]: Intel Corporation X [8086:1901]\n"
		"IOMMU Group 1 01:00.0 Ethernet controller [0200]: Intel Corporation X [8086:10c9]\n" LIST,
		"IOMMU group 1:\t[8086:1901] 00:01.0 PCI bridge: Intel Corporation PCIe Controller (x16)\n"
		"Group:  1  [8086:10c9] [R] 01:00.0  Ethernet controller [0200]: X [8086:10c9]\n"
		"Group 1: 01:00.0 Ethernet controller [0200]: Intel Corporation X [8086:10c9]\n" LIST,
		LIST "[    0.5] pci 0000:00:01.0: Adding to iommu group 1\npci 0000:01:00.0: Adding to iommu group 1\n",
		LIST "[    0.5] iommu: Adding device 0000:00:01.0 to group 1\n"
		     "iommu: Adding device 0000:01:00.0 to group 1\n",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		struct pci_survey *survey = read_dump(texts[i]);

		assert_true(survey->says_groups);
		assert_int_equal(survey->count, 3);
		if (facts_at(survey, "00:01.0")->host_group != 1 || facts_at(survey, "01:00.0")->host_group != 1 ||
		    facts_at(survey, "00:00.0")->host_group != PCI_GROUP_UNSAID)
			fail_msg("groups are lost in: %s", texts[i]);
		assert_true(function_at(survey, "00:00.0")->untranslated);
		pci_survey_free(survey);
	}
}

TEST(lspci, does_not_take_silence_of_a_short_list_for_no_group)
{
	struct pci_survey *survey = read_dump(LIST "pci 0000:00:01.0: Adding to iommu group 1\n");

	assert_true(survey->says_groups);
	assert_true(facts_at(survey, "01:00.0")->gaps & PCI_GAP_GROUP);
	assert_false(facts_at(survey, "00:01.0")->gaps & PCI_GAP_GROUP);
	assert_false(function_at(survey, "01:00.0")->untranslated);
	expect_remark(survey, REMARK_MISSING, 1, "0000:00:00.0 and 1 more: no IOMMU group is said");
	pci_survey_free(survey);

	/* Described by -nn for all, by -vv for one. */
	survey = read_dump(LIST PORT);
	assert_true(facts_at(survey, "01:00.0")->gaps & PCI_GAP_GROUP);
	assert_int_equal(facts_at(survey, "00:01.0")->host_group, 2);
	assert_int_equal(facts_at(survey, "00:01.0")->gaps & (CAPS_GAPS | PCI_GAP_GROUP), 0);
	pci_survey_free(survey);
}

TEST(lspci, remarks_on_groups_of_functions_that_are_not_there)
{
	struct pci_survey *survey = read_dump(LIST "/sys/kernel/iommu_groups/1/devices/0000:00:01.0\n"
						   "/sys/kernel/iommu_groups/2/devices/0000:05:00.0\n");

	assert_int_equal(survey->count, 3);
	expect_remark(survey, REMARK_WARNING, 0, "0000:05:00.0: it is in the list of groups, but nowhere else");
	pci_survey_free(survey);
}

TEST(lspci, knows_the_kernel_from_its_log)
{
	struct pci_survey *survey =
		read_dump("[    0.000000] Linux version 5.10.0-8-amd64 (debian@example) (gcc-10)\n" LIST);

	assert_int_equal(survey->kernel, PCI_KERNEL(5, 10));
	pci_survey_free(survey);
	survey = read_dump("It broke with Linux version 6.8\n" LIST);
	assert_int_equal(survey->kernel, 0);
	pci_survey_free(survey);
}

/* ---- twice ---- */

TEST(lspci, puts_together_what_is_said_of_a_function_in_two_places)
{
	struct pci_survey *survey = read_dump("00:01.0 PCI bridge: Intel Corporation PCIe\n\tControl: I/O+\n"
					      "\tCapabilities: <access denied>\n\n" PORT);

	assert_int_equal(facts_at(survey, "00:01.0")->gaps, PCI_GAP_HEADER);
	assert_int_equal(at(function_at(survey, "00:01.0"), 2), 0x1901);
	assert_null(remark_of(survey, "twice"));
	pci_survey_free(survey);
	survey = read_dump(PORT CARD PORT CARD);
	assert_int_equal(survey->count, 2);
	expect_remark(survey, REMARK_WARNING, 52, "0000:00:01.0 and 1 more: it is described twice");
	pci_survey_free(survey);
}

TEST(lspci, tells_two_machines_from_one)
{
	struct pci_survey *survey = read_dump(PORT "00:01.0 0200: 1022:1234\n\tKernel driver in use: other\n");

	assert_int_equal(at(function_at(survey, "00:01.0"), 0), 0x8086);
	assert_string_equal(facts_at(survey, "00:01.0")->driver, "pcieport");
	expect_remark(survey, REMARK_WARNING, 23, "is this of two machines?");
	pci_survey_free(survey);
}

/* ---- any text ---- */

TEST(lspci, a_dump_cut_off_anywhere_is_read_or_refused)
{
	static const char text[] = "> " PORT "IOMMU Group 7:\n" CARD BYTES VIRTUAL
				   "00:01.0/05:00.0 0200: 8086:1901\n" ROW0;
	unsigned read = 0;

	for (size_t size = 0; size < sizeof(text); size++) {
		struct pci_survey *survey = NULL;
		struct why why = WHY_INIT;
		char *exact = malloc(size ? size : 1);
		int err;

		memcpy(exact, text, size);
		err = read_with(exact, size, true, &survey, &why);
		assert_true(err == 0 || why.code == WHY_DUMP_INVALID);
		assert_true((err == 0) == (survey != NULL));
		read += err == 0;
		pci_survey_free(survey);
		free(exact);
	}
	assert_true(read > sizeof(text) * 9 / 10);
}

TEST(lspci, a_dump_that_lost_any_line_is_read)
{
	static const char text[] = PORT CARD VIRTUAL;

	for (size_t start = 0, after; start < sizeof(text) - 1; start = after) {
		struct pci_survey *survey;
		char shorter[sizeof(text)];

		after = start + strcspn(text + start, "\n") + 1;
		memcpy(shorter, text, start);
		strcpy(shorter + start, text + after);
		survey = read_dump(shorter);
		assert_in_range(survey->count, 2, 3);
		pci_survey_free(survey);
	}
}

static int read_small(struct why *why)
{
	static const char text[] = PORT CARD VIRTUAL "00:1f.0 Host bridge: Intel Corporation\n" BYTES
						     "pci 0000:00:01.0: Adding to iommu group 1\n";
	struct pci_survey *survey = NULL;
	int err = read_with(text, sizeof(text) - 1, true, &survey, why);

	pci_survey_free(survey);
	return err;
}

TEST(lspci, no_failure_leaks)
{
	SWEEP_FAILURES(read_small);
}

/* Repeats piece up to size bytes; reading that must take time in proportion. */
static double seconds_for(const char *piece, size_t size)
{
	size_t length = strlen(piece);
	char *text = malloc(size);
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;
	clock_t start;

	for (size_t i = 0; i < size; i++)
		text[i] = piece[i % length];
	start = clock();
	if (read_with(text, size, true, &survey, &why) == 0)
		pci_survey_free(survey);
	free(text);
	return (double)(clock() - start) / CLOCKS_PER_SEC;
}

TEST(lspci, takes_time_in_proportion_to_the_text)
{
	static const char *const pieces[] = {
		"> > >\n",
		"> > > ",
		"00:01.0 ",
		"&gt; ",
		"=3D=",
		"=3D=\n",
		"00:01.0/00:02.0",
		"00:01.0 0200: 8086:1901\n\tCapabilities: [a0] Express\n",
		"IOMMU Group 1 ",
		"pci 0000:00:01.0: Adding to iommu group 1\n",
		"ff",
		"00: ff ",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++) {
		double seconds = seconds_for(pieces[i], 6 << 20);

		/* With sanitizers, on a busy computer. What is quadratic takes hours. */
		if (seconds > 100)
			fail_msg("%s: %.1f s", pieces[i], seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(lspci, reads_lists_with_names_numbers_and_both),
		CASE(lspci, reads_all_that_words_say_of_a_port),
		CASE(lspci, reads_all_that_words_say_of_a_card_and_finds_its_virtual_functions),
		CASE(lspci, takes_acs_as_on_where_v_names_it_without_registers),
		CASE(lspci, knows_every_kind_of_express_function),
		CASE(lspci, knows_what_an_ordinary_user_is_not_shown),
		CASE(lspci, tells_capabilities_that_are_lost_from_those_there_never_were),
		CASE(lspci, tells_registers_that_are_lost),
		CASE(lspci, says_where_the_text_is_cut_off),
		CASE(lspci, remarks_on_names_that_give_no_ids_or_several),
		CASE(lspci, reads_numbers_without_a_list_of_ids),
		CASE(lspci, reads_a_header_of_64_bytes_and_the_rest_from_words),
		CASE(lspci, reads_256_and_4096_bytes),
		CASE(lspci, reads_as_far_as_bytes_go_when_there_are_no_words),
		CASE(lspci, does_not_believe_a_device_that_sleeps),
		CASE(lspci, takes_ids_of_a_virtual_function_from_words),
		CASE(lspci, believes_bytes_more_than_words_and_says_so),
		CASE(lspci, takes_a_cardbus_bridge_as_a_bridge),
		CASE(lspci, survives_chains_that_loop),
		CASE(lspci, follows_paths),
		CASE(lspci, finds_the_buses_that_short_paths_leave_out),
		CASE(lspci, knows_segments),
		CASE(lspci, reads_what_mail_programs_leave),
		CASE(lspci, reads_lists_that_somebody_itemized),
		CASE(lspci, reads_quoted_printable),
		CASE(lspci, skips_the_text_around_a_dump),
		CASE(lspci, leaves_out_prose_that_looks_like_a_function),
		CASE(lspci, reads_groups_wherever_they_are_listed),
		CASE(lspci, does_not_take_silence_of_a_short_list_for_no_group),
		CASE(lspci, remarks_on_groups_of_functions_that_are_not_there),
		CASE(lspci, knows_the_kernel_from_its_log),
		CASE(lspci, puts_together_what_is_said_of_a_function_in_two_places),
		CASE(lspci, tells_two_machines_from_one),
		CASE(lspci, a_dump_cut_off_anywhere_is_read_or_refused),
		CASE(lspci, a_dump_that_lost_any_line_is_read),
		CASE(lspci, no_failure_leaks),
		CASE(lspci, takes_time_in_proportion_to_the_text),
	};

	return cmocka_run_group_tests_name("lspci", tests, NULL, NULL);
}
