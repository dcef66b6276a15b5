/* SPDX-License-Identifier: MIT */
#include "tests/helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "pci/irq.h"

/* How often fd was signalled since the last call. */
static u64 drained(int fd)
{
	u64 count = 0;

	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? count : 0;
}

static int event(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static void enable(struct pci_irq *irq, enum pci_irq_mode mode, unsigned nvectors)
{
	struct why why = WHY_INIT;

	ASSERT_OK(why, pci_irq_enable(irq, mode, nvectors, &why));
}

/* The irq owns what it is given; the test looks through a duplicate. */
static void listen_on(struct pci_irq *irq, unsigned vector, int fd)
{
	pci_irq_set_vector(irq, vector, dup(fd));
}

TEST(irq, message_reaches_its_vector_only)
{
	struct pci_irq irq;
	int first = event(), second = event();

	pci_irq_init(&irq);
	enable(&irq, PCI_IRQ_MSIX, 3);
	assert_int_equal(pci_irq_current(&irq), PCI_IRQ_MSIX);
	listen_on(&irq, 0, first);
	listen_on(&irq, 2, second);
	pci_irq_message(&irq, 2);
	pci_irq_message(&irq, 2);
	assert_int_equal(drained(first), 0);
	assert_int_equal(drained(second), 2);
	pci_irq_fini(&irq);
	close(first);
	close(second);
}

TEST(irq, messages_nobody_listens_to_are_lost)
{
	struct pci_irq irq;
	int fd = event();

	pci_irq_init(&irq);
	pci_irq_message(&irq, 0);
	enable(&irq, PCI_IRQ_MSI, 2);
	pci_irq_message(&irq, 0);
	pci_irq_message(&irq, 1);
	pci_irq_message(&irq, 2);
	pci_irq_message(&irq, ~0u);
	listen_on(&irq, 1, fd);
	assert_int_equal(drained(fd), 0);
	pci_irq_set_vector(&irq, 1, -1);
	pci_irq_message(&irq, 1);
	assert_int_equal(drained(fd), 0);
	pci_irq_disable(&irq);
	assert_int_equal(pci_irq_current(&irq), PCI_IRQ_OFF);
	/* A line is no message and a message no line. */
	enable(&irq, PCI_IRQ_INTX, 1);
	listen_on(&irq, 0, fd);
	pci_irq_message(&irq, 0);
	assert_int_equal(drained(fd), 0);
	pci_irq_disable(&irq);
	enable(&irq, PCI_IRQ_MSI, 1);
	listen_on(&irq, 0, fd);
	pci_irq_level(&irq, true);
	assert_int_equal(drained(fd), 0);
	pci_irq_fini(&irq);
	close(fd);
}

TEST(irq, level_is_delivered_once_and_again_at_unmask)
{
	struct pci_irq irq;
	int fd = event();

	pci_irq_init(&irq);
	enable(&irq, PCI_IRQ_INTX, 1);
	listen_on(&irq, 0, fd);
	pci_irq_level(&irq, true);
	assert_true(pci_irq_asserted(&irq));
	pci_irq_level(&irq, true);
	assert_int_equal(drained(fd), 1);
	pci_irq_unmask_intx(&irq);
	assert_int_equal(drained(fd), 1);
	pci_irq_level(&irq, false);
	pci_irq_unmask_intx(&irq);
	assert_int_equal(drained(fd), 0);
	/* Unmasked and low: the next edge is delivered. */
	pci_irq_level(&irq, true);
	assert_int_equal(drained(fd), 1);
	pci_irq_fini(&irq);
	close(fd);
}

TEST(irq, masked_level_waits)
{
	struct pci_irq irq;
	int fd = event();

	pci_irq_init(&irq);
	enable(&irq, PCI_IRQ_INTX, 1);
	listen_on(&irq, 0, fd);
	pci_irq_mask_intx(&irq);
	pci_irq_level(&irq, true);
	assert_int_equal(drained(fd), 0);
	/* The loopback knows no mask. */
	pci_irq_loopback(&irq, 0);
	assert_int_equal(drained(fd), 1);
	pci_irq_unmask_intx(&irq);
	assert_int_equal(drained(fd), 1);
	pci_irq_fini(&irq);
	close(fd);
}

TEST(irq, level_survives_a_change_of_mode)
{
	struct pci_irq irq;
	int fd = event();

	pci_irq_init(&irq);
	pci_irq_level(&irq, true);
	enable(&irq, PCI_IRQ_MSI, 1);
	pci_irq_disable(&irq);
	enable(&irq, PCI_IRQ_INTX, 1);
	/* As soon as somebody listens, the line is seen to be high. */
	listen_on(&irq, 0, fd);
	assert_int_equal(drained(fd), 1);
	pci_irq_fini(&irq);
	close(fd);
}

TEST(irq, growing_keeps_the_listeners)
{
	struct why why = WHY_INIT;
	struct pci_irq irq;
	int old = event(), new = event();

	pci_irq_init(&irq);
	enable(&irq, PCI_IRQ_MSIX, 1);
	listen_on(&irq, 0, old);
	ASSERT_OK(why, pci_irq_grow(&irq, 5, &why));
	listen_on(&irq, 4, new);
	pci_irq_message(&irq, 0);
	pci_irq_message(&irq, 3);
	pci_irq_message(&irq, 4);
	assert_int_equal(drained(old), 1);
	assert_int_equal(drained(new), 1);
	pci_irq_fini(&irq);
	close(old);
	close(new);
}

TEST(irq, descriptors_are_closed_when_replaced_and_when_switched_off)
{
	struct pci_irq irq;
	int first = event(), second = event();

	pci_irq_init(&irq);
	enable(&irq, PCI_IRQ_MSI, 1);
	pci_irq_set_vector(&irq, 0, first);
	pci_irq_set_vector(&irq, 0, second);
	assert_int_equal(fcntl(first, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
	assert_true(fcntl(second, F_GETFD) >= 0);
	pci_irq_disable(&irq);
	assert_int_equal(fcntl(second, F_GETFD), -1);
	pci_irq_disable(&irq);
	pci_irq_fini(&irq);
}

static int grow_and_stop(struct why *why)
{
	struct pci_irq irq;
	int err;

	pci_irq_init(&irq);
	err = pci_irq_enable(&irq, PCI_IRQ_MSIX, 2, why);
	if (err < 0) {
		assert_int_equal(pci_irq_current(&irq), PCI_IRQ_OFF);
	} else {
		err = pci_irq_grow(&irq, 8, why);
		assert_int_equal(irq.nvectors, err < 0 ? 2 : 8);
	}
	pci_irq_fini(&irq);
	return err;
}

TEST(irq, failures_change_nothing)
{
	SWEEP_FAILURES(grow_and_stop);
}

enum { MESSAGES = 20000 };

static void *send(void *argument)
{
	for (unsigned i = 0; i < MESSAGES; i++)
		pci_irq_message(argument, i & 3);
	return NULL;
}

/* The model's thread sends while a control thread moves the listeners: none is signalled after it was taken away. */
TEST(irq, messages_race_with_changes)
{
	struct why why = WHY_INIT;
	struct pci_irq irq;
	pthread_t thread;
	int fd = event();

	pci_irq_init(&irq);
	assert_int_equal(pthread_create(&thread, NULL, send, &irq), 0);
	for (unsigned i = 0; i < 500; i++) {
		enable(&irq, PCI_IRQ_MSIX, 2);
		listen_on(&irq, 1, fd);
		ASSERT_OK(why, pci_irq_grow(&irq, 4, &why));
		listen_on(&irq, 3, fd);
		pci_irq_disable(&irq);
		drained(fd);
		assert_int_equal(drained(fd), 0);
	}
	pthread_join(thread, NULL);
	pci_irq_fini(&irq);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(irq, message_reaches_its_vector_only),
		CASE(irq, messages_nobody_listens_to_are_lost),
		CASE(irq, level_is_delivered_once_and_again_at_unmask),
		CASE(irq, masked_level_waits),
		CASE(irq, level_survives_a_change_of_mode),
		CASE(irq, growing_keeps_the_listeners),
		CASE(irq, descriptors_are_closed_when_replaced_and_when_switched_off),
		CASE(irq, failures_change_nothing),
		CASE(irq, messages_race_with_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
