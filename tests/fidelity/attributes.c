/* What a process is allowed, and how it is treated. */
#define _GNU_SOURCE
#include "victim.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* -- a row of numbers, read before and after */

enum { MOST = 128 };

struct numbers {
	size_t count;
	unsigned long long is[MOST];
};

static struct numbers was;
static void (*measure)(struct numbers *);

static void note(struct numbers *numbers, unsigned long long value)
{
	NEED(numbers->count < MOST);
	numbers->is[numbers->count++] = value;
}

static void measured(void (*function)(struct numbers *))
{
	measure = function;
	measure(&was);
}

static void compare(void)
{
	struct numbers found = {0};
	measure(&found);
	errno = 0;
	CHECK(found.count == was.count, "%zu values, not %zu", found.count, was.count);
	for (size_t i = 0; i < was.count; i++)
		CHECK(found.is[i] == was.is[i], "value %zu is %llx, was %llx", i, found.is[i],
		      was.is[i]);
}

/* The numbers of one line of /proc/self/status. */
static void status_line(struct numbers *numbers, const char *key, int base)
{
	char line[512];
	FILE *file = fopen("/proc/self/status", "re");
	NEED(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) || line[strlen(key)] != ':')
			continue;
		char *place = line + strlen(key) + 1, *end;
		for (;;) {
			const unsigned long long value = strtoull(place, &end, base);
			if (end == place)
				break;
			note(numbers, value);
			place = end;
		}
	}
	fclose(file);
	errno = 0;
}

/* -- who it is */

static void credentials(struct numbers *numbers)
{
	static const char *const decimal[] = {"Uid", "Gid", "Groups"};
	static const char *const hexadecimal[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
	for (size_t i = 0; i < 3; i++)
		status_line(numbers, decimal[i], 10);
	for (size_t i = 0; i < 5; i++)
		status_line(numbers, hexadecimal[i], 16);
	note(numbers, (unsigned long long)prctl(PR_GET_SECUREBITS));
	note(numbers, (unsigned long long)prctl(PR_GET_KEEPCAPS));
	note(numbers, (unsigned long long)prctl(PR_GET_DUMPABLE));
}

static void credentials_up(void)
{
	measured(credentials);
	NEED(was.count >= 16);
}

static void credentials_tamper(void)
{
	prctl(PR_SET_KEEPCAPS, 1);
}

VICTIM(credentials, "credentials", credentials_up, compare, credentials_tamper);

static void no_new(struct numbers *numbers)
{
	note(numbers, (unsigned long long)prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	note(numbers, (unsigned long long)prctl(PR_GET_DUMPABLE));
}

static void no_new_up(void)
{
	NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_DUMPABLE, 0));
	measured(no_new);
	NEED(was.is[0] == 1);
}

static void no_new_tamper(void)
{
	prctl(PR_SET_DUMPABLE, 1);
}

VICTIM(no_new, "no-new-privs", no_new_up, compare, no_new_tamper);

/* -- limits, priorities */

static void limits(struct numbers *numbers)
{
	for (int i = 0; i < RLIMIT_NLIMITS; i++) {
		struct rlimit limit = {0};
		NEED(!getrlimit((__rlimit_resource_t)i, &limit));
		note(numbers, limit.rlim_cur);
		note(numbers, limit.rlim_max);
	}
}

static void limits_up(void)
{
	const struct rlimit files = {123, 234}, core = {0, 4096};
	NEED(!setrlimit(RLIMIT_NOFILE, &files) && !setrlimit(RLIMIT_CORE, &core));
	measured(limits);
}

static void limits_tamper(void)
{
	const struct rlimit files = {122, 234};
	setrlimit(RLIMIT_NOFILE, &files);
}

VICTIM(limits, "rlimits", limits_up, compare, limits_tamper);

static void priority(struct numbers *numbers)
{
	struct sched_param parameters = {0};
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	note(numbers, (unsigned long long)getpriority(PRIO_PROCESS, 0));
	note(numbers, (unsigned long long)sched_getscheduler(0));
	NEED(!sched_getparam(0, &parameters));
	note(numbers, (unsigned long long)parameters.sched_priority);
}

static void priority_up(void)
{
	const struct sched_param none = {0};
	NEED(!setpriority(PRIO_PROCESS, 0, 7) && !sched_setscheduler(0, SCHED_BATCH, &none));
	measured(priority);
}

static void priority_tamper(void)
{
	setpriority(PRIO_PROCESS, 0, 9);
}

VICTIM(priority, "nice-policy", priority_up, compare, priority_tamper);

static void affinity(struct numbers *numbers)
{
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	NEED(!sched_getaffinity(0, sizeof(cpus), &cpus));
	for (int i = 0; i < 64; i++)
		note(numbers, CPU_ISSET(i, &cpus) != 0);
}

static void first_cpus(int count)
{
	cpu_set_t all, some;
	CPU_ZERO(&some);
	NEED(!sched_getaffinity(0, sizeof(all), &all));
	for (int i = 0; i < 64 && count; i++)
		if (CPU_ISSET(i, &all)) {
			CPU_SET(i, &some);
			count--;
		}
	NEED(!sched_setaffinity(0, sizeof(some), &some));
}

static void affinity_up(void)
{
	first_cpus(1);
	measured(affinity);
}

static void affinity_tamper(void)
{
	was.is[63] ^= 1;
}

VICTIM(affinity, "cpu-affinity", affinity_up, compare, affinity_tamper);

static void ioprio(struct numbers *numbers)
{
	note(numbers, (unsigned long long)syscall(SYS_ioprio_get, 1, 0));
}

static void ioprio_up(void)
{
	NEED(!syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6));
	measured(ioprio);
	NEED(was.is[0] == (2 << 13 | 6));
}

static void ioprio_tamper(void)
{
	syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 5);
}

VICTIM(ioprio, "io-priority", ioprio_up, compare, ioprio_tamper);

static void slack(struct numbers *numbers)
{
	note(numbers, (unsigned long long)prctl(PR_GET_TIMERSLACK));
}

static void slack_up(void)
{
	NEED(!prctl(PR_SET_TIMERSLACK, 123456));
	measured(slack);
}

static void slack_tamper(void)
{
	prctl(PR_SET_TIMERSLACK, 50000);
}

VICTIM(slack, "timer-slack", slack_up, compare, slack_tamper);

static void huge(struct numbers *numbers)
{
	note(numbers, (unsigned long long)prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
}

static void huge_up(void)
{
	NEED(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	measured(huge);
}

static void huge_tamper(void)
{
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
}

VICTIM(huge, "thp-disable", huge_up, compare, huge_tamper);

static long oom_score(void)
{
	long value = -2000;
	FILE *file = fopen("/proc/self/oom_score_adj", "re");
	NEED(file && fscanf(file, "%ld", &value) == 1);
	fclose(file);
	return value;
}

static void set_oom(int value)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "we");
	NEED(file && fprintf(file, "%d", value) > 0 && !fclose(file));
}

static void oom(struct numbers *numbers)
{
	note(numbers, (unsigned long long)oom_score());
}

static void oom_up(void)
{
	set_oom(321);
	measured(oom);
}

static void oom_tamper(void)
{
	set_oom(322);
}

VICTIM(oom, "oom-score", oom_up, compare, oom_tamper);

static void persona(struct numbers *numbers)
{
	note(numbers, (unsigned long long)personality(0xffffffff));
}

static void persona_up(void)
{
	NEED(personality(ADDR_NO_RANDOMIZE | SHORT_INODE) >= 0);
	measured(persona);
}

static void persona_tamper(void)
{
	personality(0);
}

VICTIM(persona, "personality", persona_up, compare, persona_tamper);

/* -- a filter of its own, beside that of the desktop */

static struct numbers filters;

static void seccomp_up(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTUNIQ),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
	NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	NEED(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	errno = 0;
	NEED(syscall(SYS_getppid) == -1 && errno == ENOTUNIQ);
	status_line(&filters, "Seccomp_filters", 10);
}

static void seccomp_check(void)
{
	struct numbers mode = {0};
	const unsigned long long wanted = filters.is[0];
	CHECK(syscall(SYS_getppid) < 0 && errno == ENOTUNIQ, "its filter is lost");
	CHECK(unshare(CLONE_NEWUSER) < 0, "the desktop's filter is lost");
	status_line(&mode, "Seccomp_filters", 10);
	CHECK(mode.is[0] == wanted, "there are %llu filters", mode.is[0]);
}

/* A filter cannot be taken off. */
static void seccomp_tamper(void)
{
	filters.is[0]++;
}

VICTIM(seccomp, "seccomp", seccomp_up, seccomp_check, seccomp_tamper);
