/* Sockets of the network, over the loopback. */
#define _GNU_SOURCE
#include "victim.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener, near, far;
static struct sockaddr_storage address;
static socklen_t address_size;

static bool says(int fd, const char *text)
{
	char buffer[64] = "";
	const ssize_t size = readable(fd, PATIENCE) ? read(fd, buffer, sizeof(buffer)) : -1;
	return size == (ssize_t)strlen(text) && !memcmp(buffer, text, (size_t)size);
}

static bool tell(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static int bound(int family, int type)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const int made = socket(family, type | SOCK_CLOEXEC, 0);
	const bool old = family == AF_INET;
	address_size = old ? sizeof(v4) : sizeof(v6);
	NEED(made >= 0 && !bind(made, old ? (void *)&v4 : (void *)&v6, address_size));
	NEED(!getsockname(made, (struct sockaddr *)&address, &address_size));
	return made;
}

static int dial(int type)
{
	const int made = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
	NEED(made >= 0);
	if (!connect(made, (struct sockaddr *)&address, address_size))
		return made;
	close(made);
	return -1;
}

static void listen_up(int family)
{
	listener = bound(family, SOCK_STREAM);
	NEED(!listen(listener, 4));
}

static void v4_listen_up(void)
{
	listen_up(AF_INET);
}

static void listen_check(void)
{
	struct sockaddr_storage found;
	socklen_t size = sizeof(found);
	CHECK(!getsockname(listener, (struct sockaddr *)&found, &size), "getsockname");
	CHECK(size == address_size && !memcmp(&found, &address, size), "it has another address");
	CHECK(!readable(listener, 0), "there is a connection that nobody made");
	const int fresh = dial(SOCK_STREAM);
	CHECK(fresh >= 0 && readable(listener, PATIENCE), "nobody can connect");
	const int accepted = accept(listener, NULL, NULL);
	CHECK(accepted >= 0 && tell(fresh, "new") && says(accepted, "new"), "no new connection");
	close(fresh);
	close(accepted);
}

static void listen_tamper(void)
{
	shutdown(listener, SHUT_RDWR);
}

VICTIM(listening, "tcp-listen", v4_listen_up, listen_check, listen_tamper);

/* -- a connection with data on its way in both directions */

static void connect_up(int family)
{
	const int one = 1;
	listen_up(family);
	near = dial(SOCK_STREAM);
	far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	NEED(far >= 0 && tell(near, "to and") && tell(far, " fro"));
	NEED(!setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	NEED(readable(near, PATIENCE) && readable(far, PATIENCE));
}

static void tcp_up(void)
{
	connect_up(AF_INET);
}

static void tcp6_up(void)
{
	connect_up(AF_INET6);
}

static void tcp_check(void)
{
	int nodelay = 0;
	socklen_t size = sizeof(nodelay);
	CHECK(readable(far, 0) && readable(near, 0), "what was queued is lost");
	CHECK(says(far, "to and") && says(near, " fro"), "what was queued is lost");
	CHECK(!readable(near, 0) && !readable(far, 0), "there is more");
	CHECK(tell(near, "on") && says(far, "on"), "it carries nothing");
	CHECK(tell(far, "back") && says(near, "back"), "it carries nothing back");
	CHECK(!getsockopt(near, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size), "TCP_NODELAY");
	CHECK(nodelay, "TCP_NODELAY is lost");
	listen_check();
}

static void eat(void)
{
	NEED(says(far, "to and"));
}

VICTIM(tcp, "tcp-loopback", tcp_up, tcp_check, eat);
VICTIM(tcp6, "tcp6-loopback", tcp6_up, tcp_check, eat);

static void half_up(void)
{
	tcp_up();
	NEED(!shutdown(near, SHUT_WR));
}

static void half_check(void)
{
	char byte;
	CHECK(readable(far, 0) && readable(near, 0), "what was queued is lost");
	CHECK(says(far, "to and") && says(near, " fro"), "what was queued is lost");
	CHECK(readable(far, PATIENCE) && read(far, &byte, 1) == 0, "there is no end of file");
	const double begin = now();
	CHECK(tell(far, "back") && says(near, "back"), "the other direction is closed");
	CHECK(now() - begin < 2, "the other direction stalled for %.1f s", now() - begin);
}

VICTIM(half, "tcp-half-closed", half_up, half_check, eat);

static void waiting_up(void)
{
	listen_up(AF_INET);
	near = dial(SOCK_STREAM);
	NEED(near >= 0 && tell(near, "hello") && readable(listener, PATIENCE));
}

static void waiting_check(void)
{
	CHECK(readable(listener, 0), "the connection is lost");
	far = accept(listener, NULL, NULL);
	CHECK(far >= 0 && says(far, "hello"), "what was sent before it was accepted is lost");
	CHECK(tell(far, "yes") && says(near, "yes"), "it is another connection");
}

static void waiting_tamper(void)
{
	close(accept(listener, NULL, NULL));
}

VICTIM(waiting, "tcp-not-accepted", waiting_up, waiting_check, waiting_tamper);

/* -- UDP: bound and connected, empty or with a datagram */

static void udp_up(void)
{
	near = bound(AF_INET, SOCK_DGRAM);
	far = dial(SOCK_DGRAM);
	NEED(far >= 0);
}

static void udp_check(void)
{
	struct sockaddr_storage found;
	socklen_t size = sizeof(found);
	CHECK(!getpeername(far, (struct sockaddr *)&found, &size), "it is not connected");
	CHECK(size == address_size && !memcmp(&found, &address, size), "to another address");
	CHECK(tell(far, "new") && says(near, "new"), "it carries nothing");
}

static void udp_tamper(void)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	connect(far, &none, sizeof(none));
}

VICTIM(udp, "udp", udp_up, udp_check, udp_tamper);

static void datagram_up(void)
{
	udp_up();
	NEED(tell(far, "queued") && readable(near, PATIENCE));
}

static void datagram_check(void)
{
	CHECK(readable(near, 0) && says(near, "queued"), "the datagram is lost");
	udp_check();
}

static void datagram_tamper(void)
{
	NEED(says(near, "queued"));
}

VICTIM(datagram, "udp-queued", datagram_up, datagram_check, datagram_tamper);

/* -- netlink: protocol, groups, and an answer of the kernel */

static void netlink_up(void)
{
	struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	near = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	NEED(near >= 0 && !bind(near, (struct sockaddr *)&name, sizeof(name)));
}

static void netlink_check(void)
{
	struct sockaddr_nl name = {0};
	socklen_t size = sizeof(name);
	struct {
		struct nlmsghdr header;
		struct ifinfomsg body;
	} ask = {.header = {.nlmsg_len = sizeof(ask),
			    .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_REQUEST,
			    .nlmsg_seq = 7},
		 .body = {.ifi_index = 1}};
	union {
		struct nlmsghdr header;
		char space[8192];
	} answer = {0};
	CHECK(!getsockname(near, (struct sockaddr *)&name, &size), "getsockname");
	CHECK(name.nl_groups == RTMGRP_LINK, "groups %x", name.nl_groups);
	CHECK(name.nl_pid == (unsigned)getpid(), "port %u", name.nl_pid);
	while (readable(near, 0)) /* links that others made meanwhile */
		CHECK(read(near, &answer, sizeof(answer)) > 0, "read");
	CHECK(write(near, &ask, sizeof(ask)) == sizeof(ask) && readable(near, PATIENCE),
	      "no answer");
	CHECK(read(near, &answer, sizeof(answer)) > 0 && answer.header.nlmsg_seq == 7, "answer %u",
	      answer.header.nlmsg_seq);
}

static void netlink_tamper(void)
{
	const int group = RTNLGRP_LINK;
	setsockopt(near, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group, sizeof(group));
}

VICTIM(netlink, "netlink", netlink_up, netlink_check, netlink_tamper);
