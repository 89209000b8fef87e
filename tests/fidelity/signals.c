/* Signals and the timers that send them. */
#define _GNU_SOURCE
#include "victim.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { REALTIME = 40 };

static double began;
static sigset_t set;

static void block(int number)
{
	sigaddset(&set, number);
	NEED(!pthread_sigmask(SIG_BLOCK, &set, NULL));
}

static int take(siginfo_t *info)
{
	const struct timespec none = {0, 0};
	return sigtimedwait(&set, info, &none);
}

/* -- pending signals: of the process with values in order, of one thread, and what is blocked */

static void pending_up(void)
{
	block(SIGTERM);
	block(REALTIME);
	for (int i = 1; i <= 3; i++)
		NEED(!sigqueue(getpid(), REALTIME, (union sigval){.sival_int = i * 11}));
	NEED(!kill(getpid(), SIGTERM));
}

static void pending_check(void)
{
	siginfo_t info = {0};
	CHECK(take(&info) == SIGTERM, "SIGTERM is lost");
	CHECK(info.si_code == SI_USER && info.si_pid == getpid(), "it came from %d", info.si_pid);
	for (int i = 1; i <= 3; i++) {
		CHECK(take(&info) == REALTIME, "queued signal %d is lost", i);
		CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == i * 11, "value %d",
		      info.si_value.sival_int);
		CHECK(info.si_pid == getpid() && info.si_uid == getuid(), "of %d", info.si_pid);
	}
	CHECK(take(&info) < 0, "there are more");
}

static void pending_tamper(void)
{
	siginfo_t info;
	NEED(take(&info) == SIGTERM);
}

VICTIM(pending, "signals-pending", pending_up, pending_check, pending_tamper);

static pthread_t thread;
static _Atomic int ready, go, got;

static void *wait_go(void *unused)
{
	siginfo_t info;
	ready = 1;
	while (!go)
		pause_ms(5);
	got = take(&info);
	ready = 2;
	return unused;
}

static void directed_up(void)
{
	block(SIGUSR1);
	NEED(!pthread_create(&thread, NULL, wait_go, NULL));
	NEED(!pthread_kill(thread, SIGUSR1));
}

static void directed_check(void)
{
	siginfo_t info = {0};
	CHECK(take(&info) < 0, "the main thread has it");
	errno = 0;
	go = 1;
	for (int tries = 0; ready != 2 && tries < 2000; tries++)
		pause_ms(5);
	CHECK(got == SIGUSR1, "its thread gets %d", got);
}

static void directed_tamper(void)
{
	directed_check();
	got = 0;
}

VICTIM(directed, "signals-pending-thread", directed_up, directed_check, directed_tamper);

/* -- actions and alternate stack */

static _Atomic int seen;
static char stack[1 << 16];
static _Atomic bool on_stack;

static void on_signal(int number, siginfo_t *info, void *unused)
{
	char here;
	(void)unused;
	seen = number == info->si_signo ? number : -1;
	on_stack = (uintptr_t)&here - (uintptr_t)stack < sizeof(stack);
}

static void action_up(void)
{
	struct sigaction action = {.sa_sigaction = on_signal,
				   .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	sigaddset(&action.sa_mask, SIGUSR2);
	NEED(!sigaction(SIGUSR1, &action, NULL) && !sigaltstack(&alternate, NULL));
	NEED(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static void action_check(void)
{
	struct sigaction found;
	stack_t alternate;
	CHECK(!sigaction(SIGUSR1, NULL, &found), "sigaction");
	CHECK(found.sa_sigaction == on_signal, "another handler");
	CHECK((found.sa_flags & ~0x04000000) == (SA_SIGINFO | SA_RESTART | SA_ONSTACK), "flags %x",
	      found.sa_flags);
	CHECK(sigismember(&found.sa_mask, SIGUSR2) && !sigismember(&found.sa_mask, SIGHUP), "mask");
	CHECK(!sigaction(SIGPIPE, NULL, &found) && found.sa_handler == SIG_IGN, "SIGPIPE");
	CHECK(!sigaction(SIGHUP, NULL, &found) && found.sa_handler == SIG_DFL, "SIGHUP");
	CHECK(!sigaltstack(NULL, &alternate), "sigaltstack");
	CHECK(alternate.ss_sp == stack && alternate.ss_size == sizeof(stack) && !alternate.ss_flags,
	      "the alternate stack is at %p", alternate.ss_sp);
	CHECK(seen == 0, "signal %d came", seen);
	CHECK(!raise(SIGUSR1) && seen == SIGUSR1 && on_stack, "the handler does not run on it");
}

static void action_tamper(void)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	sigaltstack(&none, NULL);
}

VICTIM(action, "sigaction-sigaltstack", action_up, action_check, action_tamper);

/* -- timers */

static void still_due(double left)
{
	const double off = left - (began + 1000 - now());
	CHECK(off > -0.5 && off < longest_gap() + 0.8, "the timer is %.3f s off", off);
	CHECK(seen == 0, "signal %d came", seen);
}

static void itimer_up(void)
{
	const struct itimerval later = {.it_value = {1000, 0}, .it_interval = {4, 0}};
	action_up();
	began = now();
	NEED(!setitimer(ITIMER_REAL, &later, NULL));
	watch_gaps();
}

static void itimer_check(void)
{
	struct itimerval found;
	CHECK(!getitimer(ITIMER_REAL, &found), "getitimer");
	CHECK(found.it_interval.tv_sec == 4, "the period is %ld s", (long)found.it_interval.tv_sec);
	still_due((double)found.it_value.tv_sec + (double)found.it_value.tv_usec / 1e6);
}

static void itimer_tamper(void)
{
	const struct itimerval never = {0};
	setitimer(ITIMER_REAL, &never, NULL);
}

VICTIM(itimer, "itimer", itimer_up, itimer_check, itimer_tamper);

static timer_t timers[3];

static void posix_up(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	const struct itimerspec later = {.it_value = {1000, 0}, .it_interval = {5, 0}};
	action_up();
	for (int i = 0; i < 3; i++)
		NEED(!timer_create(CLOCK_MONOTONIC, &event, &timers[i]));
	NEED(!timer_delete(timers[1])); /* so that the ids have a hole */
	began = now();
	NEED(!timer_settime(timers[2], 0, &later, NULL));
	watch_gaps();
}

static void posix_check(void)
{
	struct itimerspec found;
	CHECK(!timer_gettime(timers[0], &found) && !found.it_value.tv_sec, "the first timer");
	CHECK(!timer_gettime(timers[2], &found), "the second timer");
	CHECK(found.it_interval.tv_sec == 5, "the period is %ld s", (long)found.it_interval.tv_sec);
	still_due((double)found.it_value.tv_sec + (double)found.it_value.tv_nsec / 1e9);
	const struct itimerspec soon = {.it_value = {0, 1}};
	CHECK(!timer_settime(timers[0], 0, &soon, NULL), "timer_settime");
	for (int tries = 0; !seen && tries < 2000; tries++)
		pause_ms(5);
	CHECK(seen == SIGUSR1, "no signal comes of it");
}

static void posix_tamper(void)
{
	NEED(!timer_delete(timers[2]));
}

VICTIM(posix, "posix-timers", posix_up, posix_check, posix_tamper);

/* -- clocks: no jump that a program could take for one, and the vDSO agrees with the kernel */

static double real_minus_monotonic;
static _Atomic bool jumped;

static double difference(void)
{
	struct timespec real;
	clock_gettime(CLOCK_REALTIME, &real);
	return (double)real.tv_sec + (double)real.tv_nsec / 1e9 - now();
}

static void *look(void *unused)
{
	for (double last = now(), time; !jumped; last = time) {
		pause_ms(2);
		time = now();
		jumped = time < last;
	}
	return unused;
}

static void clock_up(void)
{
	real_minus_monotonic = difference();
	began = now();
	watch_gaps();
	NEED(!pthread_create(&thread, NULL, look, NULL));
}

static void clock_check(void)
{
	struct timespec kernel;
	const double drift = difference() - real_minus_monotonic;
	CHECK(!jumped && now() >= began, "CLOCK_MONOTONIC went back");
	CHECK(drift > -1 && drift < 1, "CLOCK_MONOTONIC jumped by %.3f s", -drift);
	const double before = now();
	CHECK(!syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &kernel), "clock_gettime");
	const double exact = (double)kernel.tv_sec + (double)kernel.tv_nsec / 1e9;
	CHECK(before <= exact + 1e-6 && exact <= now() + 1e-6, "the vDSO differs");
	CHECK(longest_gap() < 60, "it stood still for %.1f s", longest_gap());
}

static void clock_tamper(void)
{
	real_minus_monotonic += 5;
}

VICTIM(clock, "clock-monotonic", clock_up, clock_check, clock_tamper);
