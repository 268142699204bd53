/* reflect PORT [LOG]: answers STAMP packets at every local address until SIGTERM, with sendmmsg and recvmmsg.
 *
 * One sequence for each SSID (stateful); Class of Service and Follow-Up Telemetry TLVs are filled, the latter
 * with the user-space T3 of the reply before. LOG: a file for one record (u64 kernel receive stamp in Unix
 * ns, u32 sequence number, u32 SSID) per packet. Prints one JSON object at the end. */
#include "floor.h"

/* Class of Service (4): tell the marks seen. Follow-Up Telemetry (7): tell when the reply before left. */
static void fill_tlvs(unsigned char *p, int length, int tos, uint32_t before, const unsigned char *t3_before)
{
	for (int at = BARE; at + 4 <= length; at += 4 + get16(p + at + 2)) {
		unsigned char *value = p + at + 4;
		int size = get16(p + at + 2);
		if (at + 4 + size > length)
			return;
		if (p[at + 1] == 4 && size == 4) {
			p[at] = 0;
			put32(value, (get32(value) & 0xfc000000) | (tos >> 2) << 20 | (tos & 3) << 18);
		} else if (p[at + 1] == 7 && size == 16) {
			p[at] = 0;
			put32(value, before);
			memcpy(value + 4, t3_before, 8);
			value[12] = 2;
		} else if (p[at + 1] == 1)
			p[at] = 0;
	}
}

static void turn_round(int i, FILE *log, uint32_t *counter, unsigned char (*t3)[8])
{
	struct msghdr *h = &in.head[i].msg_hdr;
	struct arrival a = read_control(h);
	unsigned char *p = in.data[i];
	int length = in.head[i].msg_len, ssid = get16(p + 14);
	uint32_t number = counter[ssid]++;
	if (log) {
		struct { uint64_t stamp_ns; uint32_t seq, ssid; } record = {a.stamp_ns, get32(p), ssid};
		fwrite(&record, sizeof record, 1, log);
	}
	memmove(p + 24, p, 14);
	p[38] = p[39] = 0;
	p[40] = a.ttl;
	memset(p + 41, 0, 3);
	put32(p, number);
	put_ntp(p + 16, a.stamp_ns);
	fill_tlvs(p, length, a.tos, number - 1, t3[ssid]);
	put_ntp(p + 4, now_ns(CLOCK_REALTIME));
	memcpy(t3[ssid], p + 4, 8);
	in.part[i].iov_len = length;
	if (a.at) { /* answer from the address that was asked */
		struct in_pktinfo from = {.ipi_spec_dst = a.at->ipi_addr};
		struct cmsghdr *c = (struct cmsghdr *)in.control[i];
		*c = (struct cmsghdr){CMSG_LEN(sizeof from), IPPROTO_IP, IP_PKTINFO};
		memcpy(CMSG_DATA(c), &from, sizeof from);
	}
	h->msg_controllen = a.at ? CMSG_SPACE(sizeof(struct in_pktinfo)) : 0;
}

int main(int argc, char **argv)
{
	static uint32_t counter[TABLE];
	static unsigned char t3[TABLE][8];
	if (argc < 2)
		return fprintf(stderr, "usage: reflect PORT [LOG]\n"), 2;
	FILE *log = argc > 2 ? fopen(argv[2], "wb") : NULL;
	int fd = open_socket(atoi(argv[1]), 0);
	uint64_t replies = 0;
	end_on_signal();
	tie(&in, ROOM);
	fprintf(stderr, "ready\n");
	while (!ended) {
		int count = take(fd, MSG_WAITFORONE);
		for (int i = 0; i < count; i++)
			turn_round(i, log, counter, t3);
		give(fd, &in, count);
		replies += count > 0 ? count : 0;
	}
	if (log)
		fclose(log);
	printf("{\"replies\": %lu, \"cpu_s\": %.6f}\n", replies, cpu_s());
	return 0;
}
