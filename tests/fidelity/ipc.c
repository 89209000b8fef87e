/* System V and POSIX IPC, and terminals. */
#define _GNU_SOURCE
#include "victim.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <termios.h>
#include <unistd.h>

static int id, fd, other;
static key_t name;
static struct helper child;

/* -- System V shared memory: content, key, attachments */

static char *area;

static char add(char amount)
{
	return area[0] = (char)(area[0] + amount);
}

static void shm_up(void)
{
	name = getpid();
	id = shmget(name, 8192, IPC_CREAT | IPC_EXCL | 0600);
	NEED(id >= 0);
	area = shmat(id, NULL, 0);
	NEED(area != (void *)-1);
	area[0] = 5;
	area[8191] = 7;
	child = spawn(add);
}

static void shm_check(void)
{
	struct shmid_ds info;
	CHECK(shmget(name, 8192, 0) == id, "the key leads to another segment");
	CHECK(!shmctl(id, IPC_STAT, &info), "IPC_STAT");
	CHECK(info.shm_nattch == 2, "%lu are attached", (unsigned long)info.shm_nattch);
	CHECK((info.shm_perm.mode & 0777) == 0600 && info.shm_perm.uid == getuid(), "the mode");
	CHECK(area[0] == 5 && area[8191] == 7, "the content is lost");
	CHECK(request(&child, 2) == 7 && area[0] == 7, "the child does not share it");
}

static void shm_tamper(void)
{
	area[8191] = 8;
}

VICTIM(shm, "sysv-shm", shm_up, shm_check, shm_tamper);

/* -- System V semaphores, with an undo that is due at exit */

static char take(char unused)
{
	(void)unused;
	struct sembuf operation = {.sem_num = 1, .sem_op = -1, .sem_flg = SEM_UNDO};
	return semop(id, &operation, 1) ? 'e' : 'k';
}

static void sem_up(void)
{
	name = getpid();
	id = semget(name, 3, IPC_CREAT | IPC_EXCL | 0600);
	struct sembuf operations[] = {{.sem_num = 0, .sem_op = 4}, {.sem_num = 1, .sem_op = 9}};
	NEED(id >= 0 && !semop(id, operations, 2));
}

static void sem_check(void)
{
	CHECK(semget(name, 3, 0) == id, "the key leads to another set");
	CHECK(semctl(id, 0, GETVAL) == 4, "value %d", semctl(id, 0, GETVAL));
	CHECK(semctl(id, 1, GETVAL) == 9, "value %d", semctl(id, 1, GETVAL));
	CHECK(semctl(id, 2, GETVAL) == 0, "value %d", semctl(id, 2, GETVAL));
}

static void sem_tamper(void)
{
	struct sembuf operation = {.sem_num = 0, .sem_op = -1};
	semop(id, &operation, 1);
}

VICTIM(sem, "sysv-sem", sem_up, sem_check, sem_tamper);

static void undo_up(void)
{
	sem_up();
	child = spawn(take);
	NEED(request(&child, 't') == 'k' && semctl(id, 1, GETVAL) == 8);
}

static void undo_check(void)
{
	CHECK(semctl(id, 1, GETVAL) == 8, "value %d", semctl(id, 1, GETVAL));
	close(child.ask); /* the child ends */
	CHECK(readable(child.tell, PATIENCE), "the child does not end");
	for (int tries = 0; tries < 50 && semctl(id, 1, GETVAL) != 9; tries++)
		pause_ms(10);
	errno = 0;
	CHECK(semctl(id, 1, GETVAL) == 9, "its end undoes nothing: %d", semctl(id, 1, GETVAL));
}

static void undo_tamper(void)
{
	struct sembuf operation = {.sem_num = 1, .sem_op = -1};
	semop(id, &operation, 1);
}

VICTIM(undo, "sysv-sem-undo", undo_up, undo_check, undo_tamper);

/* -- System V messages */

struct message {
	long type;
	char text[8];
};

static void msg_up(void)
{
	const struct message one = {3, "three"}, two = {1, "one"};
	name = getpid();
	id = msgget(name, IPC_CREAT | IPC_EXCL | 0600);
	NEED(id >= 0 && !msgsnd(id, &one, 6, 0) && !msgsnd(id, &two, 4, 0));
}

static void msg_check(void)
{
	struct message got = {0};
	CHECK(msgget(name, 0) == id, "the key leads to another queue");
	CHECK(msgrcv(id, &got, 8, 1, IPC_NOWAIT) == 4 && !strcmp(got.text, "one"), "type 1");
	CHECK(msgrcv(id, &got, 8, 0, IPC_NOWAIT) == 6 && got.type == 3, "type 3");
	CHECK(!strcmp(got.text, "three"), "the text is %s", got.text);
	CHECK(msgrcv(id, &got, 8, 0, IPC_NOWAIT) < 0 && errno == ENOMSG, "there is more in it");
}

static void msg_tamper(void)
{
	struct message got;
	NEED(msgrcv(id, &got, 8, 0, IPC_NOWAIT) == 6);
}

VICTIM(msg, "sysv-msg", msg_up, msg_check, msg_tamper);

/* -- a POSIX message queue */

static void mq_up(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 16};
	char path[32];
	snprintf(path, sizeof(path), "/fidelity%d", getpid());
	const mqd_t queue =
		mq_open(path, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &attributes);
	NEED(queue >= 0 && !mq_send(queue, "low", 3, 1) && !mq_send(queue, "high", 4, 9));
	fd = queue;
}

static void mq_check(void)
{
	char text[17] = "";
	unsigned priority = 0;
	CHECK(mq_receive(fd, text, 16, &priority) == 4 && priority == 9, "the first message");
	CHECK(mq_receive(fd, text, 16, &priority) == 3 && priority == 1, "the second message");
	CHECK(mq_receive(fd, text, 16, &priority) < 0 && errno == EAGAIN, "there is more in it");
}

static void mq_tamper(void)
{
	mq_send(fd, "more", 4, 0);
}

VICTIM(mq, "posix-mq", mq_up, mq_check, mq_tamper);

/* -- a pair of a pseudoterminal: modes, size, number, controlling terminal, what is queued */

static char *slave;

static void pty_up(void)
{
	struct termios modes;
	const struct winsize size = {.ws_row = 33, .ws_col = 77};
	fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	NEED(fd >= 0 && !grantpt(fd) && !unlockpt(fd));
	slave = strdup(ptsname(fd));
	other = open(slave, O_RDWR | O_CLOEXEC); /* we lead a session: now it controls us */
	NEED(other >= 0 && !tcgetattr(other, &modes));
	modes.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	modes.c_oflag &= ~(tcflag_t)OPOST;
	modes.c_cc[VINTR] = 7;
	NEED(!tcsetattr(other, TCSANOW, &modes) && !ioctl(fd, TIOCSWINSZ, &size));
}

static void pty_check(void)
{
	struct termios modes;
	struct winsize size;
	char text[8] = "";
	CHECK(!tcgetattr(other, &modes), "tcgetattr");
	CHECK(!(modes.c_lflag & (ECHO | ICANON)) && !(modes.c_oflag & OPOST), "the modes");
	CHECK(modes.c_cc[VINTR] == 7, "the interrupt character is %d", modes.c_cc[VINTR]);
	CHECK(!ioctl(other, TIOCGWINSZ, &size), "TIOCGWINSZ");
	CHECK(size.ws_row == 33 && size.ws_col == 77, "%d x %d", size.ws_row, size.ws_col);
	CHECK(ptsname(fd) && !strcmp(ptsname(fd), slave), "it is %s now", ptsname(fd));
	CHECK(tcgetsid(other) == getsid(0), "it controls session %d", tcgetsid(other));
	CHECK(tcgetpgrp(other) == getpgrp(), "its foreground is %d", tcgetpgrp(other));
	CHECK(write(fd, "in", 2) == 2 && readable(other, PATIENCE), "nothing arrives");
	CHECK(read(other, text, 8) == 2 && !strcmp(text, "in"), "the program reads `%s`", text);
	CHECK(write(other, "up\n", 3) == 3 && readable(fd, PATIENCE), "nothing comes back");
	CHECK(read(fd, text, 8) == 3 && !strncmp(text, "up\n", 3), "the terminal reads `%s`", text);
}

static void pty_tamper(void)
{
	const struct winsize size = {.ws_row = 24, .ws_col = 80};
	ioctl(fd, TIOCSWINSZ, &size);
}

VICTIM(pty, "pty", pty_up, pty_check, pty_tamper);

static void queue_up(void)
{
	pty_up();
	NEED(write(fd, "typed", 5) == 5 && write(other, "shown", 5) == 5);
	NEED(readable(other, PATIENCE) && readable(fd, PATIENCE));
}

static void queue_check(void)
{
	char text[8] = "";
	CHECK(readable(other, 0) && read(other, text, 8) == 5, "what was typed is lost");
	CHECK(!strncmp(text, "typed", 5), "the program reads `%s`", text);
	CHECK(readable(fd, 0) && read(fd, text, 8) == 5, "what was shown is lost");
	CHECK(!strncmp(text, "shown", 5), "the terminal reads `%s`", text);
}

static void queue_tamper(void)
{
	NEED(!tcflush(other, TCIFLUSH));
}

VICTIM(queue, "pty-queued", queue_up, queue_check, queue_tamper);
