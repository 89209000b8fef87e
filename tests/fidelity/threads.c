/* Threads: thread-local memory, names, robust futexes; and the name of the process. */
#define _GNU_SOURCE
#include "victim.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { THREADS = 8 };

static _Atomic int go, done, up;
static _Thread_local int local = -1;

struct worker {
	pthread_t thread;
	int number;
	pid_t tid;
};

static struct worker workers[THREADS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void look(const struct worker *worker)
{
	char name[16] = "", wanted[16];
	snprintf(wanted, sizeof(wanted), "worker %d", worker->number);
	errno = 0;
	CHECK(local == worker->number * 1000, "thread-local memory is %d", local);
	CHECK(gettid() == worker->tid, "thread %d was %d", gettid(), worker->tid);
	CHECK(!prctl(PR_GET_NAME, name) && !strcmp(name, wanted), "its name is %s", name);
	CHECK(pthread_equal(pthread_self(), worker->thread), "pthread_self");
}

static void *work(void *of)
{
	struct worker *worker = of;
	char name[16];
	local = worker->number * 1000;
	worker->tid = gettid();
	snprintf(name, sizeof(name), "worker %d", worker->number);
	prctl(PR_SET_NAME, name);
	pthread_mutex_lock(&lock);
	up++;
	while (!go)
		pthread_cond_wait(&condition, &lock);
	pthread_mutex_unlock(&lock);
	look(worker);
	done++;
	return of;
}

static void threads_up(void)
{
	local = 77;
	for (int i = 0; i < THREADS; i++) {
		workers[i].number = i;
		NEED(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	while (up < THREADS)
		pause_ms(1);
	pause_ms(20);
}

static void threads_check(void)
{
	void *result;
	CHECK(local == 77, "thread-local memory of the main thread is %d", local);
	CHECK(done == 0, "%d threads went on by themselves", done);
	pthread_mutex_lock(&lock);
	go = 1;
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(workers[i].thread, &result) && result == &workers[i], "join");
	CHECK(done == THREADS, "%d threads are done", done);
}

static void threads_tamper(void)
{
	workers[3].tid++;
}

VICTIM(threads, "threads-tls", threads_up, threads_check, threads_tamper);

/* -- a robust mutex whose owner ends after the fork */

static pthread_mutex_t robust;

static void *own(void *unused)
{
	NEED(!pthread_mutex_lock(&robust));
	up = 1;
	while (!go)
		pause_ms(5);
	return unused; /* still locked: the kernel walks its list */
}

static void robust_up(void)
{
	pthread_mutexattr_t attributes;
	NEED(!pthread_mutexattr_init(&attributes));
	NEED(!pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
	NEED(!pthread_mutex_init(&robust, &attributes));
	NEED(!pthread_create(&workers[0].thread, NULL, own, NULL));
	while (!up)
		pause_ms(1);
}

static void robust_check(void)
{
	struct timespec soon;
	int code = pthread_mutex_trylock(&robust);
	CHECK(code == EBUSY, "the mutex is not held: %s", strerrorname_np(code));
	go = 1;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_sec += 10;
	code = pthread_mutex_timedlock(&robust, &soon);
	CHECK(code == EOWNERDEAD, "the owner's end gives %s", strerrorname_np(code));
}

static void robust_tamper(void)
{
	go = 1;
	pthread_join(workers[0].thread, NULL);
}

VICTIM(robust, "robust-futex", robust_up, robust_check, robust_tamper);

/* -- the name and the command line of the process */

static char *read_whole(const char *path)
{
	static char text[4096];
	FILE *file = fopen(path, "re");
	NEED(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	return text;
}

static char *line, *program;

static void name_up(void)
{
	char path[4096] = "";
	NEED(!prctl(PR_SET_NAME, "other name"));
	line = strdup(read_whole("/proc/self/cmdline"));
	NEED(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	program = strdup(path);
}

static void name_check(void)
{
	char name[16] = "", path[4096] = "";
	CHECK(!prctl(PR_GET_NAME, name) && !strcmp(name, "other name"), "its name is %s", name);
	CHECK(!strcmp(read_whole("/proc/self/cmdline"), line), "the command line is %s", line);
	CHECK(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0, "readlink");
	CHECK(!strcmp(path, program), "the program is %s", path);
}

static void name_tamper(void)
{
	prctl(PR_SET_NAME, "no name");
}

VICTIM(name, "process-name", name_up, name_check, name_tamper);
