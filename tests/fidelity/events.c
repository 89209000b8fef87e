/* Descriptors of events: eventfd, timerfd, signalfd, epoll, inotify, pidfd. */
#define _GNU_SOURCE
#include "victim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

static int fd, other;
static double began;

/* -- eventfd */

static void eventfd_up(void)
{
	fd = eventfd(41, EFD_CLOEXEC | EFD_NONBLOCK);
	NEED(fd >= 0);
}

static void eventfd_check(void)
{
	uint64_t value = 0;
	CHECK(read(fd, &value, 8) == 8 && value == 41, "the counter is %lu", (long)value);
	CHECK(read(fd, &value, 8) < 0 && errno == EAGAIN, "it does not go to 0");
}

static void eventfd_tamper(void)
{
	eventfd_write(fd, 1);
}

VICTIM(eventfd, "eventfd", eventfd_up, eventfd_check, eventfd_tamper);

static void semaphore_up(void)
{
	fd = eventfd(2, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	NEED(fd >= 0);
}

static void semaphore_check(void)
{
	uint64_t value = 0;
	for (int i = 0; i < 2; i++)
		CHECK(read(fd, &value, 8) == 8 && value == 1, "it gives %lu", (long)value);
	CHECK(!readable(fd, 0), "it counts too much");
}

VICTIM(semaphore, "eventfd-semaphore", semaphore_up, semaphore_check, eventfd_tamper);

/* -- timerfd: ticks that are due, the next tick, the period */

static void timerfd_up(void)
{
	const struct itimerspec later = {.it_value = {1000, 0}, .it_interval = {3, 0}};
	const struct itimerspec due = {.it_value = {0, 1}};
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	other = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	began = now();
	NEED(!timerfd_settime(fd, 0, &later, NULL) && !timerfd_settime(other, 0, &due, NULL));
	watch_gaps();
	NEED(readable(other, PATIENCE));
}

static void timerfd_check(void)
{
	struct itimerspec found;
	uint64_t ticks = 0;
	CHECK(!timerfd_gettime(fd, &found), "timerfd_gettime");
	CHECK(found.it_interval.tv_sec == 3, "the period is %ld s", (long)found.it_interval.tv_sec);
	const double left = (double)found.it_value.tv_sec + (double)found.it_value.tv_nsec / 1e9;
	const double off = left - (began + 1000 - now());
	CHECK(off > -0.5 && off < longest_gap() + 0.8, "the next tick is %.3f s off", off);
	CHECK(read(other, &ticks, 8) == 8 && ticks == 1, "the tick that was due is lost");
	CHECK(!readable(fd, 0), "it ticks too early");
}

static void timerfd_tamper(void)
{
	const struct itimerspec later = {.it_value = {1010, 0}, .it_interval = {3, 0}};
	timerfd_settime(fd, 0, &later, NULL);
}

VICTIM(timerfd, "timerfd", timerfd_up, timerfd_check, timerfd_tamper);

/* -- signalfd, with one signal that waits and one that comes */

static void signalfd_up(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	NEED(!sigprocmask(SIG_BLOCK, &set, NULL));
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	NEED(fd >= 0 && !kill(getpid(), SIGUSR1));
}

static void signalfd_check(void)
{
	struct signalfd_siginfo info = {0};
	CHECK(read(fd, &info, sizeof(info)) == sizeof(info), "the signal is lost");
	CHECK(info.ssi_signo == SIGUSR1 && info.ssi_pid == (uint32_t)getpid(), "signal %u of %u",
	      info.ssi_signo, info.ssi_pid);
	CHECK(!readable(fd, 0), "there are more signals");
	CHECK(!kill(getpid(), SIGUSR2) && readable(fd, 0), "a new signal does not come");
}

static void signalfd_tamper(void)
{
	struct signalfd_siginfo info;
	NEED(read(fd, &info, sizeof(info)) == sizeof(info));
}

VICTIM(signalfd, "signalfd", signalfd_up, signalfd_check, signalfd_tamper);

/* -- epoll: what it watches, how, and what it gives back */

static int edge, once, level;

static void watch(int target, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};
	NEED(!epoll_ctl(fd, EPOLL_CTL_ADD, target, &event));
}

static void epoll_up(void)
{
	struct epoll_event event;
	fd = epoll_create1(EPOLL_CLOEXEC);
	level = eventfd(0, EFD_CLOEXEC);
	edge = eventfd(0, EFD_CLOEXEC);
	once = eventfd(0, EFD_CLOEXEC);
	watch(level, EPOLLIN, 0x1122334455667788);
	watch(edge, EPOLLIN | EPOLLET, 2);
	watch(once, EPOLLIN | EPOLLONESHOT, 3);
	/* A descriptor of the same number that is something else: the watch follows the file. */
	eventfd_write(once, 1);
	NEED(epoll_wait(fd, &event, 1, 0) == 1 && event.data.u64 == 3);
}

static void epoll_check(void)
{
	struct epoll_event event = {0};
	CHECK(epoll_wait(fd, &event, 1, 0) == 0, "there is an event of %lx", (long)event.data.u64);
	eventfd_write(edge, 1);
	CHECK(epoll_wait(fd, &event, 1, 0) == 1 && event.data.u64 == 2, "no event of the edge");
	CHECK(epoll_wait(fd, &event, 1, 0) == 0, "the edge is no edge");
	eventfd_write(level, 1);
	CHECK(epoll_wait(fd, &event, 1, 0) == 1 && event.data.u64 == 0x1122334455667788,
	      "no event of the level");
	CHECK(epoll_wait(fd, &event, 1, 0) == 1, "the level is no level");
	event.events = EPOLLIN;
	CHECK(!epoll_ctl(fd, EPOLL_CTL_MOD, once, &event), "the one-shot entry is lost");
}

static void epoll_tamper(void)
{
	epoll_ctl(fd, EPOLL_CTL_DEL, level, NULL);
}

VICTIM(epoll, "epoll", epoll_up, epoll_check, epoll_tamper);

/* -- inotify: the same watch number, and events of what happens after the fork */

static char *watched;

static void inotify_up(void)
{
	watched = path_of("watched");
	const int file = open(watched, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	NEED(file >= 0 && fd >= 0 && inotify_add_watch(fd, watched, IN_OPEN) == 1);
	NEED(!inotify_rm_watch(fd, 1));
	char events[256];
	NEED(read(fd, events, sizeof(events)) > 0); /* IN_IGNORED */
	other = inotify_add_watch(fd, watched, IN_MODIFY | IN_CLOSE_WRITE);
	NEED(other == 2);
	close(file);
	NEED(read(fd, events, sizeof(events)) > 0);
}

static void inotify_check(void)
{
	struct inotify_event event[4] = {0};
	CHECK(!readable(fd, 0), "there are events that nobody caused");
	const int file = open(watched, O_WRONLY | O_CLOEXEC);
	CHECK(file >= 0 && write(file, "x", 1) == 1, "the file cannot be written");
	CHECK(read(fd, event, sizeof(event)) == sizeof(event[0]), "no event, or too many");
	CHECK(event[0].wd == other && event[0].mask == IN_MODIFY, "watch %d tells %x", event[0].wd,
	      event[0].mask);
}

static void inotify_tamper(void)
{
	inotify_rm_watch(fd, other);
}

VICTIM(inotify, "inotify", inotify_up, inotify_check, inotify_tamper);

static void queued_up(void)
{
	inotify_up();
	const int file = open(watched, O_WRONLY | O_CLOEXEC);
	NEED(file >= 0 && write(file, "x", 1) == 1);
	NEED(readable(fd, 0));
}

static void queued_check(void)
{
	struct inotify_event event[4] = {0};
	CHECK(read(fd, event, sizeof(event)) == sizeof(event[0]), "the queued event is lost");
	CHECK(event[0].wd == other && event[0].mask == IN_MODIFY, "watch %d tells %x", event[0].wd,
	      event[0].mask);
}

static void queued_tamper(void)
{
	char events[256];
	NEED(read(fd, events, sizeof(events)) > 0);
}

VICTIM(queued, "inotify-queued", queued_up, queued_check, queued_tamper);

/* -- pidfd */

static char serve(char byte)
{
	return byte;
}

static struct helper child;

static void pidfd_up(void)
{
	child = spawn(serve);
	fd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	NEED(fd >= 0);
}

static void pidfd_check(void)
{
	siginfo_t info = {0};
	CHECK(!readable(fd, 0), "it says that the child has ended");
	CHECK(request(&child, 'k') == 'k', "the child does not answer");
	CHECK(!syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), "no signal can be sent");
	CHECK(readable(fd, PATIENCE), "it does not tell the child's end");
	CHECK(!waitid(P_PIDFD, (id_t)fd, &info, WEXITED), "waitid");
	CHECK(info.si_pid == child.pid && info.si_status == SIGTERM, "child %d ended by %d",
	      info.si_pid, info.si_status);
}

static void pidfd_tamper(void)
{
	kill(child.pid, SIGKILL);
	readable(fd, PATIENCE);
}

VICTIM(pidfd, "pidfd", pidfd_up, pidfd_check, pidfd_tamper);

static void dead_up(void)
{
	pidfd_up();
	NEED(!kill(child.pid, SIGKILL) && waitpid(child.pid, NULL, 0) == child.pid);
}

static void dead_check(void)
{
	CHECK(readable(fd, 0), "it does not say that the process has ended");
	CHECK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) < 0 && errno == ESRCH,
	      "it means a living process");
}

static void dead_tamper(void)
{
	NEED(dup2((int)syscall(SYS_pidfd_open, getpid(), 0), fd) == fd);
}

VICTIM(dead, "pidfd-dead", dead_up, dead_check, dead_tamper);
