/* Threads that wait in a system call: none may notice that it was interrupted. */
#define _GNU_SOURCE
#include "victim.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG = 1000 }; /* seconds: longer than any test */

static long (*wait_in)(void);
static void (*let_go)(void);
static _Atomic int finished, code;
static _Atomic pid_t waiting_tid;
static _Atomic long result;
static pthread_t thread;
static int ends[2];
static double began;

static void *waiter(void *unused)
{
	errno = 0;
	began = now();
	waiting_tid = gettid();
	result = wait_in();
	code = errno;
	finished = 1;
	return unused;
}

/* Whether the thread has gone to sleep, which it does in its system call only. */
static bool sleeps(void)
{
	char path[64], state = '?';
	if (!waiting_tid)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", waiting_tid);
	FILE *file = fopen(path, "re");
	NEED(file && fscanf(file, "%*d %*s %c", &state) == 1);
	fclose(file);
	return state == 'S';
}

static void begin(long (*function)(void), void (*end)(void))
{
	wait_in = function;
	let_go = end;
	NEED(!pthread_create(&thread, NULL, waiter, NULL));
	while (!sleeps())
		pause_ms(5);
	NEED(!finished);
}

static void still_waits(void)
{
	errno = code;
	CHECK(!finished, "it returned %ld by itself", (long)result);
	errno = 0;
	let_go();
	for (int tries = 0; !finished && tries < 2000; tries++)
		pause_ms(5);
	errno = code;
	CHECK(finished, "it does not return when it should");
	CHECK(result == 1, "it returns %ld", (long)result);
}

static void release(void)
{
	let_go();
	while (!finished)
		pause_ms(5);
}

static void fill(void)
{
	eventfd_write(ends[0], 1);
}

static void empty_eventfd(void)
{
	ends[0] = eventfd(0, EFD_CLOEXEC);
	NEED(ends[0] >= 0);
}

/* -- without a time limit */

#define WAIT(id, row, prepare, call, end)                                                          \
	static long wait_##id(void)                                                                \
	{                                                                                          \
		return call;                                                                       \
	}                                                                                          \
	static void id##_up(void)                                                                  \
	{                                                                                          \
		prepare;                                                                           \
		begin(wait_##id, end);                                                             \
	}                                                                                          \
	VICTIM(id, row, id##_up, still_waits, release)

static long read_eventfd(void)
{
	uint64_t value;
	return read(ends[0], &value, 8) == 8 ? 1 : -1;
}

static long poll_it(int ms)
{
	struct pollfd entry = {.fd = ends[0], .events = POLLIN};
	return poll(&entry, 1, ms);
}

static long select_it(struct timeval *limit)
{
	fd_set set;
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	return select(ends[0] + 1, &set, NULL, NULL, limit);
}

static long epoll_it(int ms)
{
	struct epoll_event event;
	return epoll_wait(ends[1], &event, 1, ms);
}

static void epoll_ready(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	empty_eventfd();
	ends[1] = epoll_create1(EPOLL_CLOEXEC);
	NEED(!epoll_ctl(ends[1], EPOLL_CTL_ADD, ends[0], &event));
}

static uint32_t word;

static long futex_it(const struct timespec *limit)
{
	return syscall(SYS_futex, &word, FUTEX_WAIT, 0, limit, NULL, 0) ? -1 : 1;
}

static void wake(void)
{
	syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static pid_t child;

static void fork_child(void)
{
	child = fork();
	if (child == 0)
		for (;;)
			pause();
}

static void kill_child(void)
{
	kill(child, SIGKILL);
}

static void two_sockets(void)
{
	NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
}

static void send_one(void)
{
	NEED(write(ends[1], "x", 1) == 1);
}

static long receive(void)
{
	char byte;
	return recv(ends[0], &byte, 1, 0);
}

static sigset_t set;

static void block_usr1(void)
{
	sigaddset(&set, SIGUSR1);
	NEED(!pthread_sigmask(SIG_BLOCK, &set, NULL));
}

static void send_usr1(void)
{
	kill(getpid(), SIGUSR1);
}

static long take_usr1(const struct timespec *limit)
{
	return sigtimedwait(&set, NULL, limit) == SIGUSR1 ? 1 : -1;
}

static void locked_file(void)
{
	ends[0] = open(path_of("lock"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ends[1] = open(path_of("lock"), O_RDWR | O_CLOEXEC);
	NEED(!flock(ends[0], LOCK_EX));
}

static void unlock_file(void)
{
	flock(ends[0], LOCK_UN);
}

static int semaphores;

static void one_semaphore(void)
{
	semaphores = semget(getpid(), 1, IPC_CREAT | IPC_EXCL | 0600);
	NEED(semaphores >= 0);
}

static long take_semaphore(void)
{
	struct sembuf operation = {.sem_op = -1};
	return semop(semaphores, &operation, 1) ? -1 : 1;
}

static void give_semaphore(void)
{
	struct sembuf operation = {.sem_op = 1};
	NEED(!semop(semaphores, &operation, 1));
}

WAIT(reading, "wait-read", empty_eventfd(), read_eventfd(), fill);
WAIT(polling, "wait-poll", empty_eventfd(), poll_it(-1), fill);
WAIT(selecting, "wait-select", empty_eventfd(), select_it(NULL), fill);
WAIT(epolling, "wait-epoll", epoll_ready(), epoll_it(-1), fill);
WAIT(futex, "wait-futex", , futex_it(NULL), wake);
WAIT(waiting, "wait-child", fork_child(), waitpid(child, NULL, 0) == child, kill_child);
WAIT(receiving, "wait-recv", two_sockets(), receive(), send_one);
WAIT(signals, "wait-signal", block_usr1(), take_usr1(NULL), send_usr1);
WAIT(locking, "wait-flock", locked_file(), flock(ends[1], LOCK_EX) ? -1 : 1, unlock_file);
WAIT(semop, "wait-semop", one_semaphore(), take_semaphore(), give_semaphore);

/* -- with a limit in the far future: it neither ends nor is given up */

static const struct timespec far_off = {LONG, 0};

WAIT(poll_until, "wait-poll-limit", empty_eventfd(), poll_it(LONG * 1000), fill);
WAIT(select_until, "wait-select-limit", empty_eventfd(),
     select_it(&(struct timeval){.tv_sec = LONG}), fill);
WAIT(epoll_until, "wait-epoll-limit", epoll_ready(), epoll_it(LONG * 1000), fill);
WAIT(futex_until, "wait-futex-limit", , futex_it(&far_off), wake);
WAIT(signals_until, "wait-signal-limit", block_usr1(), take_usr1(&far_off), send_usr1);

/* -- sleeps: what is left of them, told by a signal's interrupting them */

static struct timespec left;

static void nothing(int number)
{
	(void)number;
}

static void interrupt(void)
{
	pthread_kill(thread, SIGUSR2);
}

static long sleep_long(void)
{
	return nanosleep(&far_off, &left) == -1 && errno == EINTR ? 1 : -1;
}

static void sleep_up_with(long (*function)(void))
{
	const struct sigaction action = {.sa_handler = nothing};
	NEED(!sigaction(SIGUSR2, &action, NULL));
	watch_gaps();
	begin(function, interrupt);
}

static void sleep_up(void)
{
	sleep_up_with(sleep_long);
}

static void sleep_check(void)
{
	still_waits();
	const double rest = (double)left.tv_sec + (double)left.tv_nsec / 1e9;
	const double off = rest - (began + LONG - now());
	errno = 0;
	CHECK(off > -0.5 && off < longest_gap() + 0.8, "what is left is %.3f s off", off);
}

VICTIM(sleeping, "wait-nanosleep", sleep_up, sleep_check, release);

static long sleep_until(void)
{
	struct timespec end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += LONG;
	errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
	return errno == EINTR ? 1 : -1;
}

static void until_up(void)
{
	sleep_up_with(sleep_until);
}

VICTIM(until, "wait-clock-absolute", until_up, still_waits, release);
