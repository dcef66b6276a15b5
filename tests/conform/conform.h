/* SPDX-License-Identifier: MIT */
/*
 * What a conformance test is made of. Tests are plain programs of /dev/iommu: they know libc, the ABI, and nothing of
 * who answers. The same source runs
 *
 *	in-process	conform-inproc, with the machine inside (inprocess.c stands between libc and the tests)
 *	in a room	isolde run --selftest --bind vfio-pci=BDF -- conform
 *	on Linux	conform, as root, on a kernel with CONFIG_IOMMUFD_TEST; never in CI
 *
 * and prints one line for each test, so that the lists of two ways can be compared with diff(1). When the last two
 * differ, isolde is wrong.
 *
 *	TEST(a_sentence_that_says_what_holds) { int fd = iommu(); EXPECT(-ENOENT, destroy(fd, 7)); }
 *
 * An answer is what a system call returned, or -errno. What EXPECT finds wrong ends the test; descriptors and memory
 * that a test got from here are given back at its end in any case, and then nobody may hold a page of it.
 *
 * Functions here begin with their verb: the machine, which is linked in as well, has the noun first.
 */
#ifndef TESTS_CONFORM_H
#define TESTS_CONFORM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "isolde/abi/iommufd.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef long answer;

#define PAGE   4096ul
#define KIB    1024ul
#define MIB    (1024 * KIB)
#define TOP    UINT64_MAX
#define NOBODY 0x7ffffff0u /* an id that nobody has */

#define COUNT(array)	     (sizeof(array) / sizeof((array)[0]))
#define FOR_EACH(row, array) for (typeof(&(array)[0]) row = (array); row < (array) + COUNT(array); row++)

/* ---- tests and suites ---- */

struct conform_case {
	const char *name;
	void (*run)(void);
	bool outside; /* it forks, or calls what the library does not offer: not in-process */
};

struct conform_suite {
	const char *name;
	const struct conform_case *cases; /* ends with a case without a name */
};

#define TEST(name) static void name(void)
#define CASE(name)                                                                                                     \
	{                                                                                                              \
#name, name, false                                                                                     \
	}
#define CASE_OUTSIDE(name)                                                                                             \
	{                                                                                                              \
#name, name, true                                                                                      \
	}
#define SUITE(id, ...)                                                                                                 \
	const struct conform_suite conform_##id = {#id, (const struct conform_case[]){__VA_ARGS__, {NULL, NULL, false}}}

/* ---- expectations ---- */

/* The answer is expected: a value, or -errno. Evaluates to it. */
#define EXPECT(expected, call) expect_answer((expected), (call), #call, __FILE__, __LINE__)
/* The answer is no error. Evaluates to it. */
#define WORKS(call)	       expect_success((call), #call, __FILE__, __LINE__)
#define EXPECT_TRUE(condition) expect_true((condition), #condition, __FILE__, __LINE__)
#define EXPECT_EQUAL(expected, value)                                                                                  \
	expect_equal((u64)(expected), (u64)(value), #value " is " #expected, __FILE__, __LINE__)

answer expect_answer(answer expected, answer got, const char *call, const char *file, int line);
answer expect_success(answer got, const char *call, const char *file, int line);
void expect_true(bool condition, const char *text, const char *file, int line);
void expect_equal(u64 expected, u64 got, const char *text, const char *file, int line);

/* What a table's test is at: printed when something is wrong. Ends with the test, or with about(NULL). */
void about(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* This host cannot: the test ends, and its line says why. ISOLDE_MUST_WORK=1 makes it a failure. */
void skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* In a thread without any capability; nothing there may expect, only answer. */
void powerless(void (*function)(void *), void *argument);

/* In a thread beside the test, likewise, until joined or until the test is over: argument outlives it. */
void start_beside(void (*function)(void *), void *argument);
void join_beside(void);

/*
 * A child, for what is CASE_OUTSIDE. Nothing there may expect either. One at a time; it is killed at the end of the
 * test at the latest.
 */
void start_child(void (*function)(void *), void *argument);
void await_step(volatile int *step, int value);	     /* in shared_memory(), by whichever side; 20 s at most */
void become_another(void) __attribute__((noreturn)); /* in the child: executes a program that only waits */
void await_another(void);			     /* until it has, or has ended */
void end_child(void);

/* ---- descriptors and memory ---- */

int iommu(void);			  /* opens /dev/iommu */
int watch(answer fd);			  /* fd is closed at the end of the test; an error ends it */
void drop(int fd);			  /* closes one of those now */
void *memory(size_t size);		  /* private, of zeros, with a page on each side that nobody can touch */
void *shared_memory(size_t size);	  /* the same, shared anonymous */
int new_file(size_t size);		  /* a memfd; watched */
void *reserve(size_t size);		  /* addresses where nothing is */
void unmap_mapped(void *address);	  /* or now */
void *mapped(void *address, size_t size); /* what mmap() gave; unmapped at the end of the test */
void protect(void *address, size_t size, int prot);
answer open_answer(const char *path, int flags);

/* ---- requests ---- */

answer ask(int fd, unsigned long request, void *structure);
#define ASK(fd, request, type, ...) ask((fd), (request), &(struct type){.size = sizeof(struct type), __VA_ARGS__})

/* The structure in memory that can be read but not written, so that the answer cannot be given. */
answer ask_read_only(int fd, unsigned long request, const void *structure, size_t size);

enum {
	RW = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
	FIXED = IOMMU_IOAS_MAP_FIXED_IOVA,
};

u32 new_ioas(int fd);
answer destroy(int fd, u32 id);
answer map_at(int fd, u32 ioas, const void *address, u64 length, u64 iova); /* FIXED | RW */
u64 map_somewhere(int fd, u32 ioas, const void *address, u64 length);	    /* RW; the IOVA chosen */
answer map_file_at(int fd, u32 ioas, int file, u64 start, u64 length, u64 iova);
answer copy_at(int fd, u32 to, u64 to_iova, u32 from, u64 from_iova, u64 length);
answer unmap(int fd, u32 ioas, u64 iova, u64 length); /* bytes removed */
answer allow(int fd, u32 ioas, const struct iommu_iova_range *ranges, u32 count);
u64 alignment_of(int fd, u32 ioas);
u32 new_fault_queue(int fd, int *queue); /* its id and, watched, its descriptor */

/* ---- the mock device of Linux's own selftests (ioctl 0x3ba0) ---- */

enum mock_op {
	MOCK_ADD_RESERVED = 1,
	MOCK_DOMAIN = 2,
	MOCK_CHECK_MAP = 3,
	MOCK_CHECK_REFS = 4,
	MOCK_CREATE_ACCESS = 5,
	MOCK_UNPIN = 6,
	MOCK_PIN = 7,
	MOCK_ACCESS_RW = 8,
	MOCK_MEMORY_LIMIT = 9,
	MOCK_REPLACE = 10,
	MOCK_ACCESS_REPLACE = 11,
	MOCK_DOMAIN_FLAGS = 12,
	MOCK_DIRTY = 13,
	MOCK_CHECK_IOTLB = 14,
	MOCK_PAGE_REQUEST = 15,
	MOCK_CHECK_CACHE = 16,
	MOCK_EVENT = 17,
	MOCK_PASID_ATTACH = 18,
	MOCK_PASID_REPLACE = 19,
	MOCK_PASID_DETACH = 20,
	MOCK_PASID_CHECK = 21,
	MOCK_BUFFER_GET = 22,
	MOCK_BUFFER_REVOKE = 23,
};

struct mock_request {
	u32 size, op, id, unused;
	union {
		u64 words[6];
		u32 halves[12];
	};
	u32 last, padding;
};

#define MOCK_CMD IOMMUFD_REQUEST(0xa0)

enum {
	MOCK_PAGE = 2048,
	MOCK_NO_DIRTY = 1 << 0, /* devices */
	MOCK_PASIDS = 1 << 2,
	MOCK_NEEDS_PINS = 1 << 0, /* accesses */
	MOCK_WRITE = 1 << 0,
	MOCK_SLOW = 1 << 2,
};

#define MOCK_FIRST 0x1000000ul /* what its domains can reach */
#define MOCK_LAST  0x7ffffffful

#define MOCK_DATA	0xdeadu /* HWPT_ALLOC */
#define MOCK_IOTLB	0xbadbeefu
#define MOCK_CACHE	0xbaddadu
#define MOCK_HW_INFO	0xfeedbeefu
#define MOCK_INVALIDATE 0xdeadbeefu
#define MOCK_VIOMMU	0xdeadbeefu
#define MOCK_HW_QUEUE	0xdeadbeefu
#define MOCK_EVENTS	0xbeefbeefu

struct mock {
	u32 stdev; /* destroy this one */
	u32 hwpt;  /* what it is attached to */
	u32 idev;  /* the device of requests */
};

bool have_mock(void); /* does whoever answers know IOMMU_TEST? */
void need_mock(void); /* skips the test otherwise */
answer ask_mock(int fd, struct mock_request *request);
struct mock new_mock(int fd, u32 pt_id, u32 flags); /* attached to pt_id */
answer try_mock(int fd, u32 pt_id, u32 flags, struct mock *ret);
answer replace_mock(int fd, u32 stdev, u32 *pt_id);
answer attach_mock(int fd, u32 stdev, u32 pasid, u32 *pt_id);
answer replace_mock_at(int fd, u32 stdev, u32 pasid, u32 *pt_id);
answer detach_mock(int fd, u32 stdev, u32 pasid);
answer check_attached(int fd, u32 stdev, u32 pasid, u32 hwpt); /* 0: it is that one; hwpt 0: none */
answer reserve_iova(int fd, u32 ioas, u64 start, u64 length);
answer check_maps(int fd, u32 hwpt, u64 iova, u64 length, const void *address); /* 0: just that memory */
answer check_refs(int fd, const void *address, u64 length, u32 refs);		/* 0: each page is pinned that often */
answer new_access(int fd, u32 ioas, u32 flags);					/* a descriptor; not watched */
answer rw_access(int fd, int access, u64 iova, void *buffer, u64 length, u32 flags);
answer pin_access(int fd, int access, u64 iova, u64 length, const void *address, u32 flags); /* the item's number */
answer unpin_access(int fd, int access, u32 item);
answer request_page(int fd, u32 idev, u32 pasid, u32 grpid, u32 perm, u64 address);

/* HWPT_ALLOC of a mock device; data_type is MOCK_DATA when data is given. The id, or -errno. */
answer alloc_hwpt(int fd, u32 idev, u32 pt_id, u32 flags);
answer alloc_nested_hwpt(int fd, u32 idev, u32 parent, u32 flags, u32 fault_id);

/* ---- who answers: native.c or inprocess.c ---- */

bool conform_is_outside(void);		/* may a test fork()? */
void conform_begin_thread(bool beside); /* this one belongs to a test, too */
void conform_begin(const char *name);
/* Once more? Clears *passed or sets it, when steps were made to fail. */
bool conform_end(bool *passed);
answer conform_write(const char *path, const char *text); /* a file of sysfs; nothing is made to fail in it */
const char *conform_reason(void);			  /* of the last refusal; "" when nobody says why */
long conform_pinned_kib(void);				  /* VmPin of this process; -1: not known */
long conform_locked_kib(void);				  /* VmLck */

#endif
