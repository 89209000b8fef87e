/*
 * tcvs-prlimit.so: lets CRIU read resource limits without CAP_SYS_RESOURCE.
 *
 * CRIU dumps every task's limits with prlimit64(pid, resource, NULL, &old).  For a task of another
 * uid the kernel answers EPERM unless the caller has CAP_SYS_RESOURCE, which root lacks in many
 * virtual machines and containers.  The same numbers stand in /proc/PID/limits for everybody, so
 * this library answers such a refused *read* from there; every other call goes to the kernel as it
 * is.  CRIU makes the call through libc's syscall(), which is what is interposed here.
 *
 * Load it with ld.so --preload, not with LD_PRELOAD: programs that CRIU starts must not inherit it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the system call below is written for x86-64"
#endif

/* The first column of /proc/PID/limits, by resource number (fs/proc/base.c, asm-generic). */
static const char *const limit_names[] = {
	[RLIMIT_CPU] = "Max cpu time",
	[RLIMIT_FSIZE] = "Max file size",
	[RLIMIT_DATA] = "Max data size",
	[RLIMIT_STACK] = "Max stack size",
	[RLIMIT_CORE] = "Max core file size",
	[RLIMIT_RSS] = "Max resident set",
	[RLIMIT_NPROC] = "Max processes",
	[RLIMIT_NOFILE] = "Max open files",
	[RLIMIT_MEMLOCK] = "Max locked memory",
	[RLIMIT_AS] = "Max address space",
	[RLIMIT_LOCKS] = "Max file locks",
	[RLIMIT_SIGPENDING] = "Max pending signals",
	[RLIMIT_MSGQUEUE] = "Max msgqueue size",
	[RLIMIT_NICE] = "Max nice priority",
	[RLIMIT_RTPRIO] = "Max realtime priority",
	[RLIMIT_RTTIME] = "Max realtime timeout",
};

enum { LIMIT_COUNT = sizeof(limit_names) / sizeof(limit_names[0]) };

/* The bare system call: 0 or more, or -errno. */
static long kernel_call(long number, const long a[6])
{
	register long r10 __asm__("r10") = a[3];
	register long r8 __asm__("r8") = a[4];
	register long r9 __asm__("r9") = a[5];
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static bool limit_parse(const char *text, rlim_t *ret)
{
	char *end;

	if (strcmp(text, "unlimited") == 0) {
		*ret = RLIM_INFINITY;
		return true;
	}
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0';
}

/* Read one limit of a task from /proc; false where it cannot be had. */
static bool limit_read(int pid, unsigned int resource, struct rlimit *ret)
{
	const char *name = limit_names[resource];
	size_t length = strlen(name);
	char path[64], line[256], soft[32], hard[32];
	bool found = false;
	FILE *file;

	if (pid != 0)
		snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/limits");
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) != 0 || line[length] != ' ')
			continue;
		if (sscanf(line + length, "%31s %31s", soft, hard) != 2)
			break;
		found = limit_parse(soft, &ret->rlim_cur) && limit_parse(hard, &ret->rlim_max);
		break;
	}
	fclose(file);
	return found;
}

__attribute__((visibility("default"))) long syscall(long number, ...)
{
	struct rlimit limit;
	va_list list;
	long a[6], result;

	/* Callers pass up to six arguments; like libc, take six whatever was passed. */
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);

	result = kernel_call(number, a);
	if (result == -EPERM && number == SYS_prlimit64 && a[2] == 0 && a[3] != 0 &&
	    (unsigned int)a[1] < LIMIT_COUNT && limit_read((int)a[0], (unsigned int)a[1], &limit)) {
		memcpy((void *)a[3], &limit, sizeof(limit));
		return 0;
	}
	if (result < 0 && result > -4096) {
		errno = (int)-result;
		return -1;
	}
	return result;
}
