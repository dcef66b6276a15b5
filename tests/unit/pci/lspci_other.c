/* SPDX-License-Identifier: MIT */
/* What is given in place of a dump: each is refused with what it is, and what to run. */
#include "tests/helpers.h"

#include "pci/survey.h"

static void expect_refused(const char *text, const char *saying)
{
	struct pci_survey *survey = NULL;
	struct why why = WHY_INIT;

	EXPECT_REFUSED(DUMP_INVALID, why, pci_read_lspci(text, strlen(text), "dump.txt", NULL, &survey, &why));
	EXPECT_SUBSTR(saying, why.text);
	assert_null(survey);
}

TEST(lspci_other, other_forms_of_lspci)
{
	expect_refused("x\n-[0000:00]-+-00.0\n           +-01.0-[01]----00.0\n", "dump.txt:2: a tree");
	expect_refused("-[10000:e0]---06.0  Intel Corporation Device\n", "dump.txt:1: a tree");
	expect_refused("-[0000:00]-+-00.0  Intel Corporation Device\n", "sudo lspci -vvvnn");
	expect_refused("00:00.0 \"Host bridge\" \"Intel Corporation\" \"Device 1234\" -r02 \"\" \"\"\n",
		       "dump.txt:1: fields for programs");
	expect_refused("Slot:\t00:00.0\nClass:\tHost bridge\nVendor:\tIntel Corporation\n", "sudo lspci -vvvnn");
}

TEST(lspci_other, a_list_of_groups_alone)
{
	expect_refused("/sys/kernel/iommu_groups/1/devices/0000:00:01.0\n", "dump.txt:1: a list of groups");
}

TEST(lspci_other, files_of_another_kind)
{
	expect_refused("", "dump.txt:1: it is empty");
	expect_refused("\xff\xfe\x30", "dump.txt:1: it is UTF-16; run: iconv");
	expect_refused("\xfe\xff\x01", "dump.txt:1: it is UTF-16");
	expect_refused("\x1f\x8b\x08", "dump.txt:1: it is compressed");
	expect_refused("\xfd"
		       "7zXZ",
		       "dump.txt:1: it is compressed");
	expect_refused("BZh9", "dump.txt:1: it is compressed");
	expect_refused("\x28\xb5\x2f\xfd", "dump.txt:1: it is compressed");
	expect_refused("PK\x03\x04", "dump.txt:1: it is compressed");
}

TEST(lspci_other, prose)
{
	expect_refused("Hello\nworld\n", "dump.txt:2: up to here, no line starts a PCI function");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(lspci_other, other_forms_of_lspci),
		CASE(lspci_other, a_list_of_groups_alone),
		CASE(lspci_other, files_of_another_kind),
		CASE(lspci_other, prose),
	};

	return cmocka_run_group_tests_name("lspci_other", tests, NULL, NULL);
}
