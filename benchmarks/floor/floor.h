/* What the sender and the reflector of the floor share: one block of messages, stamps, sockets. IPv4 only. */
#ifndef FLOOR_H
#define FLOOR_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { MOST = 256, ROOM = 1536, CONTROL = 192, BARE = 44, TABLE = 1 << 16 };

struct block {
	struct mmsghdr head[MOST];
	struct iovec part[MOST];
	struct sockaddr_in name[MOST];
	char control[MOST][CONTROL] __attribute__((aligned(8)));
	unsigned char data[MOST][ROOM];
};
struct arrival { int64_t stamp_ns; uint32_t number; int ttl, tos; struct in_pktinfo *at; };

static struct block in;
static volatile sig_atomic_t ended;

static void end(int signal) { (void)signal; ended = 1; }

static void end_on_signal(void)
{
	struct sigaction stop = {.sa_handler = end}; /* no SA_RESTART: a blocking call returns */
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
}

static void fail(const char *what) { perror(what); exit(1); }

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static double cpu_s(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void put32(unsigned char *at, uint32_t v) { v = htonl(v); memcpy(at, &v, 4); }
static uint32_t get32(const unsigned char *at) { uint32_t v; memcpy(&v, at, 4); return ntohl(v); }
static inline uint32_t get16(const unsigned char *at) { return at[0] << 8 | at[1]; }

static void put_ntp(unsigned char *at, int64_t unix_ns)
{
	put32(at, (uint32_t)(unix_ns / 1000000000 + 2208988800LL));
	put32(at + 4, (uint32_t)(((uint64_t)(unix_ns % 1000000000) << 32) / 1000000000));
}

static inline int64_t get_ntp(const unsigned char *at)
{
	return (get32(at) - 2208988800LL) * 1000000000 + (int64_t)(((uint64_t)get32(at + 4) * 1000000000) >> 32);
}

/* port 0: any, for the sender; else the reflector's, which must know at which address it was asked. */
static int open_socket(int port, int transmit_stamps)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1, ect = 2, octets = 4 << 20;
	int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
	if (transmit_stamps)
		flags |= SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags))
		fail("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof octets))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
	setsockopt(fd, IPPROTO_IP, IP_TOS, &ect, sizeof ect);
	setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &one, sizeof one);
	setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof one);
	if (port)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&own, sizeof own))
		fail("bind");
	return fd;
}

static void tie(struct block *b, int size)
{
	for (int i = 0; i < MOST; i++) {
		b->part[i] = (struct iovec){b->data[i], size};
		b->head[i].msg_hdr = (struct msghdr){.msg_name = &b->name[i], .msg_namelen = sizeof b->name[i],
						     .msg_iov = &b->part[i], .msg_iovlen = 1};
	}
}

/* Most MOST messages into `in`; the count, or below 1. */
static int take(int fd, int flags)
{
	for (int i = 0; i < MOST; i++) {
		in.part[i].iov_len = ROOM;
		in.head[i].msg_hdr.msg_namelen = sizeof in.name[i];
		in.head[i].msg_hdr.msg_control = in.control[i];
		in.head[i].msg_hdr.msg_controllen = CONTROL;
	}
	return recvmmsg(fd, in.head, MOST, flags, NULL);
}

static void give(int fd, struct block *b, int count)
{
	for (int at = 0; at < count;) {
		int done = sendmmsg(fd, b->head + at, count - at, 0);
		if (done < 0 && errno != EINTR)
			fail("sendmmsg");
		at += done > 0 ? done : 0;
	}
}

static struct arrival read_control(struct msghdr *h)
{
	struct arrival a = {.ttl = 255};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING) {
			struct timespec *t = (struct timespec *)CMSG_DATA(c);
			a.stamp_ns = t->tv_sec * 1000000000LL + t->tv_nsec;
		} else if (c->cmsg_level != IPPROTO_IP)
			continue;
		else if (c->cmsg_type == IP_TTL)
			a.ttl = *(int *)CMSG_DATA(c);
		else if (c->cmsg_type == IP_TOS)
			a.tos = *CMSG_DATA(c);
		else if (c->cmsg_type == IP_PKTINFO)
			a.at = (struct in_pktinfo *)CMSG_DATA(c);
		else if (c->cmsg_type == IP_RECVERR)
			a.number = ((struct sock_extended_err *)CMSG_DATA(c))->ee_data;
	}
	return a;
}

#endif
