/* Pipes, Unix sockets and what is queued in them. */
#define _GNU_SOURCE
#include "victim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int pair[2], extra = -1, fourth = -1;
static struct helper child;

static bool says(int fd, const char *text)
{
	char buffer[256] = "";
	const ssize_t size = readable(fd, 0) ? read(fd, buffer, sizeof(buffer)) : -1;
	return size == (ssize_t)strlen(text) && !memcmp(buffer, text, (size_t)size);
}

static bool tell(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static void eat(void)
{
	char byte;
	NEED(read(pair[0], &byte, 1) == 1);
}

/* -- pipes */

static char say(char byte)
{
	return write(pair[1], &byte, 1) == 1 ? byte : '!';
}

static void pipe_up(void)
{
	NEED(!pipe2(pair, O_CLOEXEC | O_NONBLOCK));
	NEED(fcntl(pair[1], F_SETPIPE_SZ, 1 << 18) == 1 << 18 && tell(pair[1], "in the pipe"));
	child = spawn(say);
}

static void pipe_check(void)
{
	char byte;
	int queued = 0;
	CHECK(!ioctl(pair[0], FIONREAD, &queued) && queued == 11, "%d bytes are queued", queued);
	CHECK(fcntl(pair[0], F_GETPIPE_SZ) == 1 << 18, "size %d", fcntl(pair[0], F_GETPIPE_SZ));
	CHECK(says(pair[0], "in the pipe"), "the content is lost");
	CHECK(read(pair[0], &byte, 1) < 0 && errno == EAGAIN, "there is more in it");
	errno = 0;
	CHECK(request(&child, 'k') == 'k' && says(pair[0], "k"), "the child is not connected");
}

VICTIM(pipe, "pipe", pipe_up, pipe_check, eat);

static void packet_up(void)
{
	NEED(!pipe2(pair, O_CLOEXEC | O_DIRECT) && tell(pair[1], "one") && tell(pair[1], "two"));
}

static void packet_check(void)
{
	CHECK(says(pair[0], "one") && says(pair[0], "two"), "the packets are glued or lost");
	CHECK(tell(pair[1], "a") && tell(pair[1], "b"), "it cannot be written");
	CHECK(says(pair[0], "a") && says(pair[0], "b"), "it makes no packets any more");
}

VICTIM(packet, "pipe-packets", packet_up, packet_check, eat);

static void end_up(void)
{
	int broken[2];
	NEED(!pipe2(pair, O_CLOEXEC) && tell(pair[1], "last") && !close(pair[1]));
	NEED(!pipe2(broken, O_CLOEXEC) && !close(broken[0]));
	extra = broken[1];
}

static void end_check(void)
{
	char byte;
	CHECK(says(pair[0], "last"), "the content is lost");
	CHECK(readable(pair[0], 0) && read(pair[0], &byte, 1) == 0, "there is no end of file");
	CHECK(write(extra, "x", 1) < 0 && errno == EPIPE, "the other pipe has a reader");
}

static void end_set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	end_up();
}

VICTIM(end, "pipe-closed", end_set_up, end_check, eat);

static void fifo_up(void)
{
	char *path = path_of("fifo");
	NEED(!mkfifo(path, 0600));
	pair[0] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	pair[1] = open(path, O_WRONLY | O_CLOEXEC);
	NEED(pair[0] >= 0 && pair[1] >= 0 && tell(pair[1], "in the fifo"));
}

static void fifo_check(void)
{
	CHECK(says(pair[0], "in the fifo"), "the content is lost");
	extra = open(path_of("fifo"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(extra >= 0 && tell(extra, "by name"), "it cannot be opened");
	CHECK(says(pair[0], "by name"), "its name is another fifo's");
}

VICTIM(fifo, "fifo", fifo_up, fifo_check, eat);

/* -- socketpairs: queued both ways, message boundaries, options, a shared end */

static void pair_up(int type)
{
	NEED(!socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair));
	NEED(tell(pair[1], "one") && tell(pair[1], "two") && tell(pair[0], "back"));
	child = spawn(say);
}

static void pair_check(const char *first, const char *second)
{
	CHECK(says(pair[0], first), "the first message is lost");
	CHECK(!second || says(pair[0], second), "the second message is lost");
	CHECK(says(pair[1], "back"), "what was queued the other way is lost");
	CHECK(!readable(pair[0], 0) && !readable(pair[1], 0), "there is more in it");
	CHECK(request(&child, 'k') == 'k' && says(pair[0], "k"), "the child is not connected");
}

static void stream_up(void)
{
	pair_up(SOCK_STREAM);
}

static void stream_check(void)
{
	pair_check("onetwo", NULL);
}

VICTIM(stream, "socketpair-stream", stream_up, stream_check, eat);

static void seqpacket_up(void)
{
	pair_up(SOCK_SEQPACKET);
}

static void messages_check(void)
{
	pair_check("one", "two");
}

VICTIM(seqpacket, "socketpair-seqpacket", seqpacket_up, messages_check, eat);

static void dgram_up(void)
{
	pair_up(SOCK_DGRAM);
}

VICTIM(dgram, "socketpair-dgram", dgram_up, messages_check, eat);

static void half_up(void)
{
	pair_up(SOCK_STREAM);
	NEED(!shutdown(pair[1], SHUT_WR));
}

static void half_check(void)
{
	char byte;
	CHECK(says(pair[0], "onetwo") && says(pair[1], "back"), "what was queued is lost");
	CHECK(readable(pair[0], 0) && read(pair[0], &byte, 1) == 0, "there is no end of file");
	CHECK(tell(pair[0], "on") && says(pair[1], "on"), "the other direction is closed");
}

VICTIM(half, "socketpair-half-closed", half_up, half_check, eat);

static void options_up(void)
{
	const int one = 1, size = 1 << 16;
	const struct timeval timeout = {7, 0};
	NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	NEED(!setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)));
	NEED(!setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	NEED(!setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
}

static void options_check(void)
{
	int value = 0;
	struct timeval timeout = {0, 0};
	socklen_t size = sizeof(value);
	CHECK(!getsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &value, &size), "SO_PASSCRED");
	CHECK(value == 1, "SO_PASSCRED is %d", value);
	CHECK(!getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &value, &size), "SO_SNDBUF");
	CHECK(value == 2 << 16, "SO_SNDBUF is %d", value);
	size = sizeof(timeout);
	CHECK(!getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, &size), "SO_RCVTIMEO");
	CHECK(timeout.tv_sec == 7, "SO_RCVTIMEO is %ld s", (long)timeout.tv_sec);
}

static void options_tamper(void)
{
	const int zero = 0;
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &zero, sizeof(zero));
}

VICTIM(options, "socket-options", options_up, options_check, options_tamper);

static void passcred_up(void)
{
	options_up();
	NEED(tell(pair[1], "queued"));
}

static void passcred_check(void)
{
	options_check();
	CHECK(says(pair[0], "queued"), "what was queued is lost");
}

VICTIM(passcred, "socket-passcred-queued", passcred_up, passcred_check, eat);

static void peer_up(void)
{
	NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
}

static void peer_check(void)
{
	struct ucred who;
	socklen_t size = sizeof(who);
	CHECK(!getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &who, &size), "SO_PEERCRED");
	CHECK(who.pid == getpid() && who.uid == getuid(), "the peer is %d of user %u", who.pid,
	      who.uid);
}

static void peer_tamper(void)
{
	if (fork()) /* the parent's name is on the socket, the child answers */
		_exit(0);
}

VICTIM(peer, "unix-peercred", peer_up, peer_check, peer_tamper);

/* -- sockets with names: a listener, one connection with data, and a new one afterwards */

static struct sockaddr_un address;
static socklen_t address_size;

static int dial(void)
{
	const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	NEED(made >= 0);
	if (connect(made, (struct sockaddr *)&address, address_size) == 0)
		return made;
	close(made);
	return -1;
}

static void listen_up(bool abstract)
{
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path_of("sock"));
	address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				   strlen(address.sun_path) + !abstract);
	if (abstract)
		address.sun_path[0] = 0;
	extra = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	NEED(!bind(extra, (struct sockaddr *)&address, address_size) && !listen(extra, 3));
	pair[1] = dial();
	pair[0] = accept4(extra, NULL, NULL, SOCK_CLOEXEC);
	NEED(pair[0] >= 0 && pair[1] >= 0 && tell(pair[1], "queued"));
}

static void named_up(void)
{
	listen_up(false);
}

static void abstract_up(void)
{
	listen_up(true);
}

static void listen_check(void)
{
	CHECK(says(pair[0], "queued"), "what was queued is lost");
	const int fresh = dial();
	CHECK(fresh >= 0, "nobody can connect any more");
	const int accepted = readable(extra, PATIENCE) ? accept(extra, NULL, NULL) : -1;
	CHECK(accepted >= 0 && tell(fresh, "new") && says(accepted, "new"), "no new connection");
	CHECK(!readable(extra, 0), "there is another connection");
}

VICTIM(named, "unix-named", named_up, listen_check, eat);
VICTIM(abstract, "unix-abstract", abstract_up, listen_check, eat);

static void peer_name_check(void)
{
	struct sockaddr_un name = {0};
	socklen_t size = sizeof(name);
	CHECK(!getpeername(pair[1], (struct sockaddr *)&name, &size), "getpeername");
	CHECK(size == address_size && !memcmp(&name, &address, size), "the peer is `%s`, %u bytes",
	      name.sun_path, size);
}

static void peer_name_tamper(void)
{
	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

VICTIM(peer_name, "unix-peer-name", named_up, peer_name_check, peer_name_tamper);

static void pending_up(void)
{
	listen_up(false);
	fourth = dial();
	NEED(fourth >= 0);
}

static void pending_check(void)
{
	const int accepted = readable(extra, 0) ? accept(extra, NULL, NULL) : -1;
	CHECK(accepted >= 0, "the connection is lost");
	CHECK(tell(fourth, "hello") && says(accepted, "hello"), "it carries nothing");
	CHECK(tell(accepted, "yes") && says(fourth, "yes"), "it is another connection");
}

static void pending_tamper(void)
{
	close(accept(extra, NULL, NULL));
}

VICTIM(pending, "unix-not-accepted", pending_up, pending_check, pending_tamper);

static void early_up(void)
{
	pending_up();
	NEED(tell(fourth, "early"));
}

static void early_check(void)
{
	const int accepted = readable(extra, 0) ? accept(extra, NULL, NULL) : -1;
	CHECK(accepted >= 0 && says(accepted, "early"), "what was sent before is lost");
}

VICTIM(early, "unix-not-accepted-queued", early_up, early_check, pending_tamper);

/* -- a descriptor on its way through a socket */

static void rights_up(void)
{
	char byte = 'r', space[CMSG_SPACE(sizeof(int))] = "";
	int inner[2];
	NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	NEED(!pipe2(inner, O_CLOEXEC) && tell(inner[1], "deep"));
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &inner[0], sizeof(int));
	NEED(sendmsg(pair[1], &message, 0) == 1 && !close(inner[0]));
	extra = inner[1];
}

static void rights_check(void)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = "";
	int fd = -1;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	CHECK(recvmsg(pair[0], &message, MSG_DONTWAIT) == 1 && byte == 'r', "no message");
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	CHECK(header && header->cmsg_type == SCM_RIGHTS, "the message brings no descriptor");
	memcpy(&fd, CMSG_DATA(header), sizeof(int));
	CHECK(says(fd, "deep"), "the pipe that came is empty");
	CHECK(tell(extra, "on") && says(fd, "on"), "it is another pipe");
}

VICTIM(rights, "scm-rights", rights_up, rights_check, eat);
