/* What all victims share: see victim.h. */
#define _GNU_SOURCE
#include "victim.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FDS = 64 };

struct descriptor {
	int fd_flags, status;
	mode_t type;
};

struct identity {
	pid_t pid, tid, parent, group, session;
	sigset_t mask;
	mode_t umask;
	struct descriptor fds[FDS];
};

static struct victim *all;
static const char *directory, *row;
static char verdict[512];
static pthread_mutex_t verdict_lock = PTHREAD_MUTEX_INITIALIZER;
static struct identity before;

void enrol(struct victim *victim)
{
	victim->next = all;
	all = victim;
}

void fail(const char *format, ...)
{
	const int code = errno;
	pthread_mutex_lock(&verdict_lock);
	if (!verdict[0]) {
		char sentence[400];
		va_list arguments;
		va_start(arguments, format);
		vsnprintf(sentence, sizeof(sentence), format, arguments);
		va_end(arguments);
		snprintf(verdict, sizeof(verdict), "FAIL: %s%s%s", sentence,
			 code ? "; errno: " : "", code ? strerrorname_np(code) : "");
	}
	pthread_mutex_unlock(&verdict_lock);
}

char *path_of(const char *suffix)
{
	char *path = NULL;
	if (asprintf(&path, "%s/%s.%s", directory, row, suffix) < 0)
		abort();
	return path;
}

/* Files appear whole. */
static void publish(const char *suffix, const char *text)
{
	char *path = path_of(suffix), *fresh = path_of("new");
	const int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	const size_t size = strlen(text);
	if (fd < 0 || write(fd, text, size) != (ssize_t)size || close(fd) || rename(fresh, path))
		abort();
	free(path);
	free(fresh);
}

_Noreturn void give_up(const char *file, int line, const char *what)
{
	fail("set-up: %s:%d: %s", file, line, what);
	publish("said", verdict);
	publish("ready", "");
	_exit(1);
}

double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void pause_ms(int ms)
{
	struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static _Atomic double gap;

static void *watch(void *unused)
{
	double last = now();
	for (;;) {
		pause_ms(5);
		const double time = now();
		if (time - last > gap)
			gap = time - last;
		last = time;
	}
	return unused;
}

void watch_gaps(void)
{
	pthread_t thread;
	NEED(!pthread_create(&thread, NULL, watch, NULL));
}

double longest_gap(void)
{
	pause_ms(20); /* so that the thread has seen the last one */
	return gap;
}

bool readable(int fd, int ms)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};
	return poll(&entry, 1, ms) == 1;
}

struct helper spawn(char (*serve)(char))
{
	int ask[2], tell[2];
	NEED(!pipe2(ask, O_CLOEXEC) && !pipe2(tell, O_CLOEXEC));
	struct helper helper = {.pid = fork(), .ask = ask[1], .tell = tell[0]};
	NEED(helper.pid >= 0);
	if (helper.pid == 0) {
		char byte;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ask[1]);
		close(tell[0]);
		while (read(ask[0], &byte, 1) == 1) {
			byte = serve(byte);
			if (write(tell[1], &byte, 1) != 1)
				break;
		}
		_exit(0);
	}
	close(ask[0]);
	close(tell[1]);
	return helper;
}

char request(struct helper *helper, char byte)
{
	if (write(helper->ask, &byte, 1) != 1 || !readable(helper->tell, PATIENCE) ||
	    read(helper->tell, &byte, 1) != 1)
		return -1;
	return byte;
}

static void identify(struct identity *found)
{
	memset(found, 0, sizeof(*found));
	found->pid = getpid();
	found->tid = gettid();
	found->parent = getppid();
	found->group = getpgrp();
	found->session = getsid(0);
	pthread_sigmask(SIG_SETMASK, NULL, &found->mask);
	found->umask = umask(0);
	umask(found->umask);
	for (int fd = 0; fd < FDS; fd++) {
		struct stat status;
		found->fds[fd].fd_flags = fcntl(fd, F_GETFD);
		if (found->fds[fd].fd_flags >= 0 && !fstat(fd, &status)) {
			found->fds[fd].status = fcntl(fd, F_GETFL);
			found->fds[fd].type = status.st_mode & (S_IFMT | 07777);
		}
	}
}

static void check_identity(void)
{
	static struct identity after;
	identify(&after);
	errno = 0;
	CHECK(after.pid == before.pid && after.tid == before.tid, "pid %d was %d", after.pid,
	      before.pid);
	CHECK(after.parent == before.parent, "parent %d was %d", after.parent, before.parent);
	CHECK(after.group == before.group, "group %d was %d", after.group, before.group);
	CHECK(after.session == before.session, "session %d was %d", after.session, before.session);
	CHECK(!memcmp(&after.mask, &before.mask, sizeof(after.mask)), "the signal mask changed");
	CHECK(after.umask == before.umask, "umask %o was %o", after.umask, before.umask);
	for (int fd = 0; fd < FDS; fd++) {
		const struct descriptor *is = &after.fds[fd], *was = &before.fds[fd];
		CHECK(is->fd_flags == was->fd_flags, "flags of descriptor %d: %d, were %d", fd,
		      is->fd_flags, was->fd_flags);
		CHECK(is->status == was->status, "status of descriptor %d: %o, was %o", fd,
		      is->status, was->status);
		CHECK(is->type == was->type, "type of descriptor %d: %o, was %o", fd, is->type,
		      was->type);
	}
}

static _Noreturn void live(const struct victim *victim)
{
	char *path = path_of("ask");
	char byte;
	NEED(!mkfifo(path, 0600));
	const int ask = open(path, O_RDWR | O_CLOEXEC);
	NEED(ask >= 0);
	free(path);
	/* Whoever started us ends at once, and pid 1 takes over. */
	for (int tries = 0; getppid() != 1 && tries < 2000; tries++)
		pause_ms(5);
	victim->set_up();
	identify(&before);
	char pid[16];
	snprintf(pid, sizeof(pid), "%d", getpid());
	publish("ready", pid);
	for (;;) {
		verdict[0] = 0;
		errno = 0;
		if (read(ask, &byte, 1) != 1) {
			fail("the wait for a request was disturbed");
			NEED(read(ask, &byte, 1) == 1);
		}
		errno = 0;
		if (byte == 't') {
			victim->tamper();
		} else {
			check_identity();
			errno = 0;
			victim->check();
		}
		publish("said", verdict[0] ? verdict : "ok");
	}
}

/* `fidelity DIR ROW...` starts a process for each row, in a session of its own. */
int main(int count, char **arguments)
{
	if (count < 3)
		return 2;
	directory = arguments[1];
	umask(022);
	for (int i = 2; i < count; i++) {
		if (fork() == 0) {
			row = arguments[i];
			setsid();
			for (struct victim *victim = all; victim; victim = victim->next)
				if (!strcmp(victim->name, row))
					live(victim);
			fail("there is no row %s", row);
			publish("said", verdict);
			publish("ready", "");
			return 1;
		}
	}
	return 0;
}
