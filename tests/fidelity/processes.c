/* The tree of processes: the dead, the stopped, sessions and groups. */
#define _GNU_SOURCE
#include "victim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t child;
static struct helper helper;
static _Atomic int children; /* SIGCHLDs that came */

static void count(int number)
{
	(void)number;
	children++;
}

static void count_children(void)
{
	const struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
	NEED(!sigaction(SIGCHLD, &action, NULL));
}

static void await_state(int options)
{
	siginfo_t info;
	while (waitid(P_PID, (id_t)child, &info, options | WNOWAIT))
		NEED(errno == EINTR);
}

/* -- zombies keep how they ended, until they are waited for */

static pid_t killed;

static void zombie_up(void)
{
	count_children();
	killed = fork();
	if (killed == 0)
		for (;;)
			pause();
	NEED(!kill(killed, SIGKILL));
	child = killed;
	await_state(WEXITED);
	child = fork();
	if (child == 0)
		_exit(42);
	await_state(WEXITED);
	for (int tries = 0; children < 2 && tries < 2000; tries++)
		pause_ms(5);
	children = 0;
}

static void zombie_check(void)
{
	siginfo_t info = {0};
	int status = 0;
	CHECK(children == 0, "SIGCHLD came %d times", children);
	CHECK(!waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT), "the child is lost");
	CHECK(info.si_pid == child, "the child has not ended");
	CHECK(info.si_code == CLD_EXITED && info.si_status == 42, "it exited with %d",
	      info.si_status);
	CHECK(waitpid(child, &status, WNOHANG) == child && WEXITSTATUS(status) == 42, "wait");
	CHECK(waitpid(killed, &status, WNOHANG) == killed, "the second child is lost");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended with %x", status);
	CHECK(waitpid(-1, &status, WNOHANG | __WALL) < 0 && errno == ECHILD, "a foreign child");
}

static void zombie_tamper(void)
{
	waitpid(child, NULL, 0);
}

VICTIM(zombie, "zombie", zombie_up, zombie_check, zombie_tamper);

/* -- a stopped process is still stopped, and goes on when it is told to */

static char answer(char byte)
{
	return byte;
}

static char state_of(pid_t pid)
{
	char path[64], state = '?';
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%*d %*s %c", &state) != 1)
			state = '?';
		fclose(file);
	}
	return state;
}

static void stopped_up(void)
{
	count_children();
	helper = spawn(answer);
	child = helper.pid;
	NEED(!kill(child, SIGSTOP));
	await_state(WSTOPPED);
	NEED(waitpid(child, NULL, WUNTRACED) == child);
	for (int tries = 0; children < 1 && tries < 2000; tries++)
		pause_ms(5);
	children = 0;
}

static void stopped_check(void)
{
	int status;
	CHECK(children == 0, "SIGCHLD came %d times", children);
	CHECK(state_of(child) == 'T', "it is in state %c", state_of(child));
	CHECK(waitpid(child, &status, WNOHANG | WUNTRACED | WCONTINUED) == 0, "it tells %x",
	      status);
	signal(SIGCHLD, SIG_DFL);
	CHECK(!kill(child, SIGCONT) && request(&helper, 'k') == 'k', "it does not go on");
}

static void stopped_tamper(void)
{
	kill(child, SIGCONT);
}

VICTIM(stopped, "stopped", stopped_up, stopped_check, stopped_tamper);

/* -- a session whose leader is dead */

static pid_t leader;

static void leaderless_up(void)
{
	int tell[2], life[2];
	char byte;
	NEED(!pipe(tell) && !pipe(life));
	leader = fork();
	if (leader == 0) {
		setsid();
		close(life[1]);
		const pid_t follower = fork();
		if (follower == 0)
			_exit((int)read(life[0], &byte, 1)); /* until its grandparent ends */
		if (write(tell[1], &follower, sizeof(follower)) != sizeof(follower))
			_exit(1);
		_exit(0);
	}
	NEED(read(tell[0], &child, sizeof(child)) == sizeof(child));
	NEED(waitpid(leader, NULL, 0) == leader);
}

static void leaderless_check(void)
{
	CHECK(getsid(child) == leader, "the session is %d, not %d", getsid(child), leader);
	CHECK(getpgid(child) == leader, "the group is %d, not %d", getpgid(child), leader);
	CHECK(kill(leader, 0) < 0 && errno == ESRCH, "the leader lives again");
	errno = 0;
	CHECK(!kill(-leader, SIGTERM), "no signal to it");
	for (int tries = 0; tries < 20000 && !kill(child, 0); tries++) {
		waitpid(child, NULL, WNOHANG);
		pause_ms(5);
	}
	errno = 0;
	CHECK(kill(child, 0), "the signal does not end it");
}

static void leaderless_tamper(void)
{
	kill(child, SIGKILL);
	for (int tries = 0; tries < 20000 && !kill(child, 0); tries++) {
		waitpid(child, NULL, WNOHANG);
		pause_ms(5);
	}
}

VICTIM(leaderless, "session-dead-leader", leaderless_up, leaderless_check, leaderless_tamper);

static void reaper_up(void)
{
	NEED(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	leaderless_up();
}

VICTIM(reaper, "session-dead-leader-subreaper", reaper_up, leaderless_check, leaderless_tamper);

/* -- groups: one of its own, one whose leader is dead, one with two members */

static struct helper first, second, third;

static void groups_up(void)
{
	first = spawn(answer);
	second = spawn(answer);
	third = spawn(answer);
	NEED(!setpgid(first.pid, first.pid) && !setpgid(second.pid, first.pid));
	child = fork();
	if (child == 0)
		for (;;)
			pause();
	NEED(!setpgid(child, child) && !setpgid(third.pid, child));
	NEED(!kill(child, SIGKILL) && waitpid(child, NULL, 0) == child);
}

static void groups_check(void)
{
	CHECK(getpgid(first.pid) == first.pid && getpgid(second.pid) == first.pid, "two in one");
	CHECK(getpgid(third.pid) == child, "the group of a dead leader is %d", getpgid(third.pid));
	CHECK(getsid(third.pid) == getsid(0), "the session is %d", getsid(third.pid));
	CHECK(request(&first, 'a') == 'a' && request(&second, 'b') == 'b', "no answer");
	CHECK(request(&third, 'c') == 'c', "no answer of the third");
	CHECK(waitpid(-first.pid, NULL, WNOHANG) == 0, "waiting for the group");
	CHECK(!kill(-first.pid, SIGTERM), "a signal to the group");
	CHECK(waitpid(-first.pid, NULL, 0) > 0 && waitpid(-first.pid, NULL, 0) > 0, "their end");
	CHECK(request(&third, 'c') == 'c', "the signal reached the other group");
}

static void groups_tamper(void)
{
	setpgid(second.pid, 0);
}

VICTIM(groups, "process-groups", groups_up, groups_check, groups_tamper);

/* -- what a child does when its parent ends, and who inherits orphans */

static char told(char byte)
{
	int signal = 0;
	prctl(PR_GET_PDEATHSIG, &signal);
	return signal == SIGUSR2 ? byte : '!';
}

static char set_pdeathsig(char byte)
{
	static bool done;
	if (!done)
		prctl(PR_SET_PDEATHSIG, SIGUSR2);
	done = true;
	return told(byte);
}

static void inherit_up(void)
{
	NEED(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	helper = spawn(set_pdeathsig);
	NEED(request(&helper, 'k') == 'k');
}

static void inherit_check(void)
{
	int reaper = 0;
	CHECK(!prctl(PR_GET_CHILD_SUBREAPER, &reaper) && reaper == 1, "no subreaper any more");
	CHECK(request(&helper, 'k') == 'k', "the child's PDEATHSIG is lost");
}

static void inherit_tamper(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

VICTIM(inherit, "subreaper-pdeathsig", inherit_up, inherit_check, inherit_tamper);
