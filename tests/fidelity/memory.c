/* Memory: private, shared, sealed, guarded, advised. */
#define _GNU_SOURCE
#include "victim.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, MANY = 1024 };

static int fd;
static char *area, *second;
static struct helper child;

static char *map(size_t size, int flags, int file)
{
	char *made = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, file, 0);
	NEED(made != MAP_FAILED);
	return made;
}

/* -- private memory: written pages, untouched ones, and pages over a file */

static uint32_t word(uint32_t number)
{
	return number * 2654435761U + 12345;
}

static void private_up(void)
{
	area = map((size_t)MANY * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (uint32_t i = 0; i < MANY; i += 2)
		*(uint32_t *)(area + (size_t)i * PAGE) = word(i);
	fd = open(path_of("file"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	NEED(fd >= 0 && !ftruncate(fd, 4 * PAGE) && pwrite(fd, "file", 4, PAGE) == 4);
	second = map(4 * PAGE, MAP_PRIVATE, fd);
	memcpy(second, "copy", 4);
}

static void private_check(void)
{
	for (uint32_t i = 0; i < MANY; i++) {
		const uint32_t found = *(uint32_t *)(area + (size_t)i * PAGE);
		CHECK(found == (i % 2 ? 0 : word(i)), "page %u is %x", i, found);
	}
	CHECK(!memcmp(second, "copy", 4), "a copied page over a file is lost");
	CHECK(!memcmp(second + PAGE, "file", 4), "a page of the file is lost");
	CHECK(pwrite(fd, "FILE", 4, PAGE) == 4 && !memcmp(second + PAGE, "FILE", 4),
	      "the mapping is no longer of the file");
}

static void private_tamper(void)
{
	area[17 * PAGE] ^= 1;
}

VICTIM(private, "memory-private", private_up, private_check, private_tamper);

/* -- memory that two processes share goes on being shared, by them only */

static char add(char amount)
{
	atomic_fetch_add((atomic_int *)area, amount);
	return (char)*(int *)area;
}

static void shared_check(void)
{
	CHECK(*(int *)area == 5, "it holds %d", *(int *)area);
	CHECK(request(&child, 2) == 7 && *(int *)area == 7, "the child's writing is not seen");
	*(int *)area = 20;
	CHECK(request(&child, 1) == 21, "our writing is not seen by the child");
}

static void shared_up(void)
{
	area = map(PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
	*(int *)area = 5;
	child = spawn(add);
}

static void shared_tamper(void)
{
	*(int *)area = 6;
}

VICTIM(shared, "memory-shared", shared_up, shared_check, shared_tamper);

static void memfd_shared_up(void)
{
	fd = memfd_create("fidelity", MFD_CLOEXEC);
	NEED(fd >= 0 && !ftruncate(fd, PAGE));
	area = map(PAGE, MAP_SHARED, fd);
	*(int *)area = 5;
	child = spawn(add);
}

static void memfd_shared_check(void)
{
	int found = 0;
	shared_check();
	CHECK(pread(fd, &found, sizeof(found), 0) == sizeof(found) && found == *(int *)area,
	      "the descriptor and the mapping differ");
}

VICTIM(memfd_shared, "memfd-shared", memfd_shared_up, memfd_shared_check, shared_tamper);

/* -- memfd: name, content, offset, seals */

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static void seals_up(void)
{
	fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	NEED(fd >= 0 && write(fd, "content", 7) == 7 && lseek(fd, 2, SEEK_SET) == 2);
	NEED(!fcntl(fd, F_ADD_SEALS, SEALS));
}

static void seals_check(void)
{
	char text[8] = "", link[64], target[64] = "";
	CHECK(lseek(fd, 0, SEEK_CUR) == 2, "the offset moved");
	CHECK(pread(fd, text, 7, 0) == 7 && !strcmp(text, "content"), "content `%s`", text);
	CHECK(fcntl(fd, F_GET_SEALS) == SEALS, "seals %x", fcntl(fd, F_GET_SEALS));
	CHECK(write(fd, "x", 1) < 0 && errno == EPERM, "it can be written");
	errno = 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	CHECK(readlink(link, target, sizeof(target) - 1) > 0, "readlink");
	CHECK(!strncmp(target, "/memfd:sealed", 13), "its name is %s", target);
}

static void seals_tamper(void)
{
	lseek(fd, 0, SEEK_SET);
}

VICTIM(seals, "memfd-seals", seals_up, seals_check, seals_tamper);

/* -- advice and locks, as the kernel tells them in /proc/self/smaps */

/* Whether the mapping at `start` has all of the space-separated flags. */
static bool has_flags(const char *start, const char *flags)
{
	char line[512], wanted[32], copy[64], *place, *rest = copy;
	snprintf(wanted, sizeof(wanted), "%lx-", (unsigned long)(uintptr_t)start);
	FILE *file = fopen("/proc/self/smaps", "re");
	NEED(file);
	bool here = false, found = false;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, wanted, strlen(wanted)))
			here = true;
		if (!here || strncmp(line, "VmFlags:", 8))
			continue;
		snprintf(copy, sizeof(copy), "%s", flags);
		found = true;
		while ((place = strsep(&rest, " "))) {
			char spaced[8];
			snprintf(spaced, sizeof(spaced), " %s ", place);
			found = found && strstr(line, spaced);
		}
		break;
	}
	fclose(file);
	return found;
}

static char *lone(void)
{
	/* Guards around it keep the kernel from merging it with a neighbour. */
	char *made = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(made != MAP_FAILED && !mprotect(made + PAGE, PAGE, PROT_READ | PROT_WRITE));
	made += PAGE;
	*made = 'x';
	return made;
}

static char *dont_fork, *wipe, *dont_dump, *mergeable;

static void advice_up(void)
{
	dont_fork = lone();
	wipe = lone();
	dont_dump = lone();
	mergeable = lone();
	NEED(!madvise(dont_fork, PAGE, MADV_DONTFORK) && !madvise(wipe, PAGE, MADV_WIPEONFORK));
	NEED(!madvise(dont_dump, PAGE, MADV_DONTDUMP));
	NEED(!madvise(mergeable, PAGE, MADV_NOHUGEPAGE));
}

static void advice_check(void)
{
	CHECK(has_flags(dont_fork, "dc") && *dont_fork == 'x', "MADV_DONTFORK");
	CHECK(has_flags(wipe, "wf") && *wipe == 'x', "MADV_WIPEONFORK");
	CHECK(has_flags(dont_dump, "dd") && *dont_dump == 'x', "MADV_DONTDUMP");
	CHECK(has_flags(mergeable, "nh") && *mergeable == 'x', "MADV_NOHUGEPAGE");
}

static void advice_tamper(void)
{
	madvise(wipe, PAGE, MADV_KEEPONFORK);
}

VICTIM(advice, "madvise", advice_up, advice_check, advice_tamper);

static void mlock_up(void)
{
	area = lone();
	NEED(!mlock(area, PAGE));
}

static void mlock_check(void)
{
	CHECK(has_flags(area, "lo") && *area == 'x', "the memory is no longer locked");
}

static void mlock_tamper(void)
{
	munlock(area, PAGE);
}

VICTIM(mlock, "mlock", mlock_up, mlock_check, mlock_tamper);

/* -- pages that may not be touched */

static sigjmp_buf back;

static void caught(int number)
{
	siglongjmp(back, number);
}

/* Whether touching it is a fault; the handler was there before the fork. */
static bool faults(volatile char *place)
{
	if (sigsetjmp(back, 1))
		return true;
	(void)*place;
	return false;
}

static void guard_up(void)
{
	struct sigaction action = {.sa_handler = caught};
	NEED(!sigaction(SIGSEGV, &action, NULL));
	area = lone();
}

static void guard_check(void)
{
	CHECK(*area == 'x' && !faults(area), "the page between is lost");
	CHECK(faults(area - PAGE) && faults(area + PAGE), "a guard page can be touched");
}

static void guard_tamper(void)
{
	mprotect(area + PAGE, PAGE, PROT_READ);
}

VICTIM(guard, "guard-mprotect", guard_up, guard_check, guard_tamper);

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

static bool guards; /* Linux 6.13 or newer */

static void light_guard_up(void)
{
	struct sigaction action = {.sa_handler = caught};
	NEED(!sigaction(SIGSEGV, &action, NULL));
	area = map(4 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	memset(area, 'x', 4 * PAGE);
	guards = !madvise(area + PAGE, PAGE, MADV_GUARD_INSTALL);
}

static void light_guard_check(void)
{
	CHECK(!faults(area) && *area == 'x' && !faults(area + 2 * PAGE), "the pages are lost");
	CHECK(!guards || faults(area + PAGE), "the guard page can be touched");
}

static void light_guard_tamper(void)
{
	area[0] = 'y';
}

VICTIM(light_guard, "guard-madvise", light_guard_up, light_guard_check, light_guard_tamper);
