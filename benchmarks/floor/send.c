/* send FIRST_TARGET PORT TARGETS RATE BATCH WARM SECONDS TRANSMIT_STAMPS TAIL: what STAMP round trips cost in
 * bare C, with sendmmsg, recvmmsg and kernel receive stamps.
 *
 * RATE: packets per second over all targets; 0 = as fast as replies come, at most WINDOW on the way. Targets
 * are consecutive addresses, asked in turn. TAIL: octets after the 44 of RFC 8762 in hex, or -. The round
 * trip is (T4 - T1) - (T3 - T2); T4 and T2 are kernel stamps, and T1 too where TRANSMIT_STAMPS is 1. A batch
 * leaves in one call; just before it, what came is taken. Prints one JSON object: packets and processor
 * seconds of this process (getrusage) in SECONDS, after WARM seconds. */
#include "floor.h"
#include <poll.h>

enum { WINDOW = 1024 };

static struct block out;
static unsigned char tail[ROOM];
static int tail_length, transmit_stamps;
static int64_t left_ns[TABLE]; /* kernel transmit stamps by running number */
static uint64_t sent, answered, stamped, calls;
static int64_t sum_ns, least_ns = INT64_MAX;
static uint32_t targets;

static void send_batch(int fd, int count, struct sockaddr_in first)
{
	int64_t t1 = now_ns(CLOCK_REALTIME);
	for (int i = 0; i < count; i++, sent++) {
		uint32_t target = sent % targets;
		unsigned char *p = out.data[i];
		put32(p, (uint32_t)(sent / targets));
		put_ntp(p + 4, t1);
		p[14] = (target + 1) >> 8;
		p[15] = target + 1;
		out.name[i] = first;
		out.name[i].sin_addr.s_addr = htonl(ntohl(first.sin_addr.s_addr) + target);
	}
	give(fd, &out, count);
}

static void take_stamps(int fd)
{
	for (int count; (count = take(fd, MSG_ERRQUEUE | MSG_DONTWAIT)) > 0;)
		for (int i = 0; i < count; i++) {
			struct arrival a = read_control(&in.head[i].msg_hdr);
			left_ns[a.number % TABLE] = a.stamp_ns;
		}
}

static int take_replies(int fd)
{
	if (transmit_stamps)
		take_stamps(fd);
	int count = take(fd, MSG_DONTWAIT);
	for (int i = 0; i < count; i++) {
		struct arrival a = read_control(&in.head[i].msg_hdr);
		unsigned char *p = in.data[i];
		uint32_t number = get32(p + 24) * targets + get16(p + 14) - 1;
		int64_t t1 = transmit_stamps ? left_ns[number % TABLE] : get_ntp(p + 28);
		int64_t round = a.stamp_ns - t1 - (get_ntp(p + 4) - get_ntp(p + 16));
		if (!a.stamp_ns || !t1)
			continue;
		stamped++;
		sum_ns += round;
		least_ns = round < least_ns ? round : least_ns;
	}
	answered += count > 0 ? count : 0;
	calls += count > 0;
	return count > 0 ? count : 0;
}

static void as_fast_as_it_goes(int fd, int batch, struct sockaddr_in first, int64_t until_ns)
{
	uint64_t given_up = 0;
	struct pollfd readable = {fd, POLLIN, 0};
	while (now_ns(CLOCK_MONOTONIC) < until_ns && !ended) {
		while (sent - answered - given_up + batch <= WINDOW)
			send_batch(fd, batch, first);
		if (!take_replies(fd) && !poll(&readable, 1, 200))
			given_up = sent - answered; /* lost: begin anew */
	}
}

static void paced(int fd, int batch, struct sockaddr_in first, int64_t until_ns, double rate)
{
	int64_t began = now_ns(CLOCK_MONOTONIC), due = began;
	for (uint64_t turn = 0; due < until_ns && !ended; turn++) {
		due = began + (int64_t)(turn * batch * 1e9 / rate);
		struct timespec at = {due / 1000000000, due % 1000000000};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		while (take_replies(fd) == MOST)
			;
		send_batch(fd, batch, first);
	}
}

static void run(int fd, double seconds, double rate, int batch, struct sockaddr_in first)
{
	int64_t until = now_ns(CLOCK_MONOTONIC) + (int64_t)(seconds * 1e9);
	if (rate > 0)
		paced(fd, batch, first, until, rate);
	else
		as_fast_as_it_goes(fd, batch, first, until);
}

static int usage(void)
{
	fprintf(stderr, "usage: send FIRST_TARGET PORT TARGETS RATE BATCH WARM SECONDS TRANSMIT_STAMPS TAIL; 1 to %d "
			"a batch, 1 to %d targets\n", MOST, TABLE - 1);
	return 2;
}

static void fill_packets(const char *hex)
{
	for (; sscanf(hex, "%2hhx", &tail[tail_length]) == 1; hex += 2)
		tail_length++;
	tie(&in, ROOM);
	tie(&out, BARE + tail_length);
	for (int i = 0; i < MOST; i++) {
		memcpy(out.data[i] + BARE, tail, tail_length);
		out.data[i][13] = 1; /* Error Estimate: never 0 */
	}
}

static void report(uint64_t packets, uint64_t replies, uint64_t receives, double wall, double cpu)
{
	printf("{\"sent\": %lu, \"answered\": %lu, \"seconds\": %.4f, \"cpu_s\": %.6f, \"per_cpu_s\": %.0f, "
	       "\"per_receive\": %.1f, \"rtt_mean_us\": %.3f, \"rtt_min_us\": %.3f}\n",
	       packets, replies, wall, cpu, replies / cpu, (double)replies / (receives + !receives),
	       stamped ? sum_ns / 1e3 / stamped : 0, stamped ? least_ns / 1e3 : 0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in first = {.sin_family = AF_INET};
	if (argc != 10 || !inet_aton(argv[1], &first.sin_addr))
		return usage();
	int batch = atoi(argv[5]);
	double rate = atof(argv[4]);
	first.sin_port = htons(atoi(argv[2]));
	targets = atoi(argv[3]);
	transmit_stamps = atoi(argv[8]);
	if (batch < 1 || batch > MOST || targets < 1 || targets >= TABLE)
		return usage();
	int fd = open_socket(0, transmit_stamps);
	end_on_signal();
	fill_packets(argv[9]);
	run(fd, atof(argv[6]), rate, batch, first);
	uint64_t sent_before = sent, answered_before = answered, calls_before = calls;
	double cpu_before = cpu_s();
	int64_t began = now_ns(CLOCK_MONOTONIC);
	run(fd, atof(argv[7]), rate, batch, first);
	report(sent - sent_before, answered - answered_before, calls - calls_before,
	       (now_ns(CLOCK_MONOTONIC) - began) / 1e9, cpu_s() - cpu_before);
	return 0;
}
