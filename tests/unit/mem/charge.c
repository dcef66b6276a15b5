/* SPDX-License-Identifier: MIT */
#include "mem/charge.h"

#include "tests/fixtures/holder.h"
#include "tests/fixtures/powerless.h"
#include "tests/fixtures/self_client.h"
#include "tests/helpers.h"

#include <linux/capability.h>
#include <pthread.h>
#include <sys/syscall.h>

TEST(charge, memlock_refusal_has_all_three_numbers)
{
	struct charge first = {0}, second = {0};
	struct why why = WHY_INIT;
	struct client *client;
	pid_t child;
	int tell;

	child = start_powerless(&tell, 0);
	client = self_client_new(child);
	ASSERT_OK(why, charge_init(&first, client, 0x8000, &why));
	EXPECT_REFUSED(MEMLOCK_EXCEEDED, why, charge_init(&second, client, 0x9000, &why));
	EXPECT_SUBSTR("32768", why.text);
	EXPECT_SUBSTR("65536", why.text);
	EXPECT_SUBSTR("36864", why.text);
	charge_fini(&second);
	charge_fini(&first);
	assert_int_equal(client->locked_bytes, 0);
	client_put(client);
	close(tell);
	waitpid(child, NULL, 0);
}

TEST(charge, memory_under_mlock_counts_against_the_limit_too)
{
	struct charge charge = {0}, large = {0};
	struct why why = WHY_INIT;
	struct client *client;
	pid_t child;
	int tell;

	child = start_powerless(&tell, 0x4000);
	client = self_client_new(child);
	EXPECT_REFUSED(MEMLOCK_EXCEEDED, why, charge_init(&large, client, 0xd000, &why));
	EXPECT_SUBSTR("16384 bytes locked", why.text);
	ASSERT_OK(why, charge_init(&charge, client, 0xc000, &why));
	assert_int_equal(client->locked_bytes, 0xc000);
	charge_fini(&charge);
	charge_fini(&charge);
	client_put(client);
	close(tell);
	waitpid(child, NULL, 0);
}

/* Two processes of one user: each is held against its own limit, but with what both have pinned. */
TEST(charge, pins_of_a_user_count_together)
{
	struct accounts accounts = {0};
	struct client *one, *two;
	struct payer payer[2];
	struct why why = WHY_INIT;
	pid_t child[2];
	int tell[2];

	for (unsigned i = 0; i < 2; i++)
		child[i] = start_powerless(&tell[i], i ? 0x4000 : 0);
	one = self_client_new(child[0]);
	two = self_client_new(child[1]);
	ASSERT_OK(why, payer_settle(&accounts, one, CHARGE_USER, &payer[0], &why));
	ASSERT_OK(why, payer_settle(&accounts, two, CHARGE_USER, &payer[1], &why));
	assert_int_equal(payer[0].mode, CHARGE_USER);
	assert_int_equal(payer[0].account, payer[1].account);
	ASSERT_OK(why, payer_charge(&accounts, &payer[0], one, 0x8000, &why));
	EXPECT_REFUSED(MEMLOCK_EXCEEDED, why, payer_charge(&accounts, &payer[1], two, 0x9000, &why));
	EXPECT_SUBSTR("user ", why.text);
	EXPECT_SUBSTR("has 32768 bytes locked", why.text);
	ASSERT_OK(why, payer_charge(&accounts, &payer[1], two, 0x8000, &why));
	assert_int_equal(one->pinned_bytes, 0x8000);
	assert_int_equal(two->pinned_bytes, 0x8000);
	assert_int_equal(one->locked_bytes, 0);
	assert_int_equal(accounts.count, 1);
	payer_uncharge(&accounts, &payer[0], one, 0x8000);
	payer_uncharge(&accounts, &payer[1], two, 0x8000);
	/* The later one has inherited the earlier one's descriptor. */
	for (unsigned i = 2; i-- > 0;) {
		close(tell[i]);
		waitpid(child[i], NULL, 0);
	}
	client_put(one);
	client_put(two);
	accounts_fini(&accounts);
}

TEST(charge, pins_of_a_process_count_beside_what_it_has_locked)
{
	struct accounts accounts = {0};
	struct why why = WHY_INIT;
	struct client *client;
	struct payer payer;
	pid_t child;
	int tell;

	child = start_powerless(&tell, 0x4000);
	client = self_client_new(child);
	ASSERT_OK(why, payer_settle(&accounts, client, CHARGE_MM, &payer, &why));
	EXPECT_REFUSED(MEMLOCK_EXCEEDED, why, payer_charge(&accounts, &payer, client, 0xd000, &why));
	EXPECT_SUBSTR("16384 bytes locked", why.text);
	ASSERT_OK(why, payer_charge(&accounts, &payer, client, 0xc000, &why));
	assert_int_equal(client->locked_bytes, 0xc000);
	assert_int_equal(client->pinned_bytes, 0xc000);
	payer_uncharge(&accounts, &payer, client, 0xc000);
	client_put(client);
	close(tell);
	waitpid(child, NULL, 0);
	accounts_fini(&accounts);
}

/* In a child, because nobody gets capabilities back. */
static void drop_powers(void)
{
	if (setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){.rlim_cur = 65536, .rlim_max = 65536}) < 0 ||
	    (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0))
		_exit(2);
}

static int fill_up(struct accounts *accounts, struct client *client)
{
	struct why why = WHY_INIT;
	struct payer before, payer;
	int err;

	err = payer_settle(accounts, client, CHARGE_USER, &before, &why);
	drop_powers();
	client_look_again(client);
	if (err == 0)
		err = payer_settle(accounts, client, CHARGE_USER, &payer, &why);
	if (err < 0 || payer.mode != CHARGE_USER || accounts->at == NULL)
		return 3;
	/* The limit is that of now, the mode that of when the mapping was made. */
	if (before.mode == CHARGE_NONE && payer_charge(accounts, &before, client, 0x20000, &why) < 0)
		return 4;
	if (payer_charge(accounts, &payer, client, 0x10000, &why) < 0)
		return 5;
	if (payer_charge(accounts, &payer, client, 0x1000, &why) == 0 || why.code != WHY_MEMLOCK_EXCEEDED)
		return 6;
	return accounts_of_user(accounts, getuid()) == 0x10000 ? 0 : 7;
}

TEST(charge, this_process_is_asked_without_a_file)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct accounts accounts = {0};

		_exit(fill_up(&accounts, self_client_new(getpid())));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void *give_up_powers(void *argument)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	int *tell = argument;
	pid_t thread = gettid();

	syscall(SYS_capset, &header, none);
	if (write(tell[1], &thread, sizeof(thread)) == (ssize_t)sizeof(thread))
		pause();
	return NULL;
}

static enum charge_mode mode_of(struct client *client)
{
	struct accounts accounts = {0};
	struct payer payer = {0};
	struct why why;

	ASSERT_OK(why, payer_settle(&accounts, client, CHARGE_MM, &payer, &why));
	accounts_fini(&accounts);
	return payer.mode;
}

/* Linux asks the thread that maps, not the process. */
TEST(charge, capabilities_are_the_calling_threads)
{
	struct client *client;
	pthread_t thread;
	int tell[2];
	pid_t child;

	assert_int_equal(pipe(tell), 0);
	child = fork();
	if (child == 0) {
		end_with_the_test();
		pthread_create(&thread, NULL, give_up_powers, tell);
		for (;;)
			pause();
	}
	client = self_client_new(child);
	assert_int_equal(read(tell[0], &client->thread, sizeof(client->thread)), sizeof(client->thread));
	assert_int_equal(mode_of(client), CHARGE_MM);
	assert_false(client_capable(client, CAP_IPC_LOCK));
	client->thread = child;
	/* Which has what the test has. */
	if (geteuid() == 0)
		assert_true(client_capable(client, CAP_IPC_LOCK) == (mode_of(client) == CHARGE_NONE));
	if (mode_of(client) == CHARGE_NONE)
		assert_true(client_capable(client, CAP_IPC_LOCK));
	client_put(client);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(tell[0]);
	close(tell[1]);
}

static struct accounts swept_accounts;
static struct client *swept_client;

static int settle_and_charge(struct why *why)
{
	struct payer payer;
	int err = payer_settle(&swept_accounts, swept_client, CHARGE_USER, &payer, why);

	if (err == 0)
		err = payer_charge(&swept_accounts, &payer, swept_client, 0x1000, why);
	if (err == 0)
		payer_uncharge(&swept_accounts, &payer, swept_client, 0x1000);
	assert_int_equal(swept_client->pinned_bytes, 0);
	accounts_fini(&swept_accounts);
	return err;
}

TEST(charge, each_step_may_fail)
{
	pid_t child;
	int tell;

	child = start_powerless(&tell, 0);
	swept_client = self_client_new(child);
	SWEEP_FAILURES(settle_and_charge);
	client_put(swept_client);
	close(tell);
	waitpid(child, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(charge, memlock_refusal_has_all_three_numbers),
		CASE(charge, memory_under_mlock_counts_against_the_limit_too),
		CASE(charge, pins_of_a_user_count_together),
		CASE(charge, pins_of_a_process_count_beside_what_it_has_locked),
		CASE(charge, this_process_is_asked_without_a_file),
		CASE(charge, capabilities_are_the_calling_threads),
		CASE(charge, each_step_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
