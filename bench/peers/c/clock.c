// The yardstick: the clock's opening, ticks and TIME in C, with one epoll and
// one write(2) for each connection and second. Usage: clock <port>
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_INPUT 8192

enum state { REQUEST, HELLO, OPEN };

struct conn {
	char *rest; // bytes of a request or frame that is not complete, or NULL
	int len;    // of rest
	int place;  // in open_fds
	enum state state;
};

static struct conn *conns; // by file descriptor
static int *open_fds;      // those in state OPEN
static int open_count;
static char input[2 * MAX_INPUT];

static uint32_t rol(uint32_t x, int n) { return x << n | x >> (32 - n); }

// sha1 is RFC 3174, for messages under 119 bytes.
static void sha1(const char *text, size_t len, unsigned char out[20]) {
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char data[128] = {0};
	size_t blocks = (len + 8) / 64 + 1;
	memcpy(data, text, len);
	data[len] = 0x80;
	data[blocks * 64 - 2] = len * 8 >> 8;
	data[blocks * 64 - 1] = len * 8;
	for (size_t b = 0; b < blocks; b++) {
		uint32_t w[80], s[5];
		for (int i = 0; i < 16; i++) {
			unsigned char *p = data + b * 64 + i * 4;
			w[i] = (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
		}
		for (int i = 16; i < 80; i++)
			w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
		memcpy(s, h, sizeof s);
		for (int i = 0; i < 80; i++) {
			uint32_t f = i < 20 ? ((s[1] & s[2]) | (~s[1] & s[3])) + 0x5a827999
				: i < 40 ? (s[1] ^ s[2] ^ s[3]) + 0x6ed9eba1
				: i < 60 ? ((s[1] & s[2]) | (s[1] & s[3]) | (s[2] & s[3])) + 0x8f1bbcdc
				: (s[1] ^ s[2] ^ s[3]) + 0xca62c1d6;
			uint32_t t = rol(s[0], 5) + f + s[4] + w[i];
			s[4] = s[3], s[3] = s[2], s[2] = rol(s[1], 30), s[1] = s[0], s[0] = t;
		}
		for (int i = 0; i < 5; i++)
			h[i] += s[i];
	}
	for (int i = 0; i < 20; i++)
		out[i] = h[i / 4] >> (24 - i % 4 * 8);
}

// accept_key is Sec-WebSocket-Accept of RFC 6455, section 4.2.2.
static void accept_key(const char *key, char out[29]) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[64];
	unsigned char sum[21] = {0};
	int len = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	sha1(text, len, sum);
	for (int i = 0; i < 28; i++) {
		int bit = i * 6, pair = sum[bit / 8] << 8 | (bit / 8 < 20 ? sum[bit / 8 + 1] : 0);
		out[i] = digits[pair >> (10 - bit % 8) & 63];
	}
	out[27] = '='; // 20 bytes end in one pad
	out[28] = 0;
}

static void drop(int fd) {
	struct conn *c = &conns[fd];
	if (c->state == OPEN) {
		open_fds[c->place] = open_fds[--open_count];
		conns[open_fds[c->place]].place = c->place;
	}
	free(c->rest);
	*c = (struct conn){0};
	close(fd);
}

// frame makes a text frame of text (under 126 bytes) and returns its length.
static int frame(char *out, const char *text) {
	int len = strlen(text);
	out[0] = (char)0x81;
	out[1] = len;
	memcpy(out + 2, text, len);
	return len + 2;
}

static const char *time_text(char *out, size_t size, struct timespec t, int micros) {
	struct tm tm;
	size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", gmtime_r(&t.tv_sec, &tm));
	if (micros)
		n += snprintf(out + n, size - n, ".%06ld", t.tv_nsec / 1000);
	snprintf(out + n, size - n, "+00:00");
	return out;
}

// tick sends the second, unless it went out already.
static void tick(void) {
	static time_t last;
	struct timespec now;
	char text[40], out[64];
	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec == last)
		return;
	last = now.tv_sec;
	int n = frame(out, time_text(text, sizeof text, now, 0));
	for (int i = open_count - 1; i >= 0; i--) {
		ssize_t sent = write(open_fds[i], out, n);
		if (sent >= 0 ? sent < n : errno != EAGAIN)
			drop(open_fds[i]);
	}
}

static int hello(int fd) {
	struct conn *c = &conns[fd];
	unsigned char random[16];
	char id[41] = "SESSION:", text[40], out[128];
	struct timespec now;
	if (getrandom(random, sizeof random, 0) != sizeof random)
		exit(1);
	for (int i = 0; i < 16; i++)
		sprintf(id + 8 + 2 * i, "%02x", random[i]);
	tick(); // the others' new second before this one's, so that it does not come twice
	clock_gettime(CLOCK_REALTIME, &now);
	int n = frame(out, id);
	n += frame(out + n, "TZN:UTC");
	n += frame(out + n, time_text(text, sizeof text, now, 0));
	c->state = OPEN;
	c->place = open_count;
	open_fds[open_count++] = fd;
	return write(fd, out, n) == n ? 0 : -1;
}

static int command(int fd, const char *text, int len) {
	char now_text[40], result[64] = "ERR:unknown command", out[80];
	if (len == 4 && !strncasecmp(text, "TIME", 4)) {
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		snprintf(result, sizeof result, "OK:%s", time_text(now_text, sizeof now_text, now, 1));
	}
	int n = frame(out, result);
	return write(fd, out, n) == n ? 0 : -1;
}

// request answers the handshake if all of it is there; returns the bytes used, -1 for a bad one.
static int request(int fd, char *in, int len) {
	char key[29], out[256];
	char *end = memmem(in, len, "\r\n\r\n", 4);
	if (!end)
		return len < MAX_INPUT ? 0 : -1;
	*end = 0;
	char *field = strcasestr(in, "\r\nsec-websocket-key:");
	if (!field)
		return -1;
	field += strlen("\r\nsec-websocket-key:");
	field += strspn(field, " ");
	if (strlen(field) < 24)
		return -1;
	accept_key(field, key);
	int n = snprintf(out, sizeof out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", key);
	conns[fd].state = HELLO;
	return write(fd, out, n) == n ? end + 4 - in : -1;
}

// message handles one frame if all of it is there; returns the bytes used, -1 to end the connection.
static int message(int fd, char *in, int len) {
	if (len < 2)
		return 0;
	int size = in[1] & 127, head = 6;
	if (!(in[1] & 128) || !(in[0] & 128) || size == 127)
		return -1;
	if (size == 126) {
		if (len < 4)
			return 0;
		size = (unsigned char)in[2] << 8 | (unsigned char)in[3];
		head = 8;
	}
	if (size > 4096)
		return -1;
	if (len < head + size)
		return 0;
	char *text = in + head;
	for (int i = 0; i < size; i++)
		text[i] ^= in[head - 4 + i % 4];
	switch (in[0] & 15) {
	case 1:
		if ((conns[fd].state == HELLO ? hello(fd) : command(fd, text, size)) < 0)
			return -1;
		break;
	case 9:
		text[-2] = (char)0x8a;
		text[-1] = size;
		if (size > 125 || write(fd, text - 2, size + 2) != size + 2)
			return -1;
		break;
	case 10:
		break;
	default:
		return -1;
	}
	return head + size;
}

static void readable(int fd) {
	struct conn *c = &conns[fd];
	int len = c->len, used = 0;
	memcpy(input, c->rest ? c->rest : input, len);
	ssize_t n = read(fd, input + len, sizeof input - 1 - len);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		drop(fd);
		return;
	}
	len += n;
	while (used < len) {
		int part = c->state == REQUEST ? request(fd, input + used, len - used)
			: message(fd, input + used, len - used);
		if (part < 0 || len - used >= MAX_INPUT + 64) {
			drop(fd);
			return;
		}
		if (!part)
			break;
		used += part;
	}
	free(c->rest);
	c->rest = NULL;
	c->len = len - used;
	if (c->len) {
		c->rest = malloc(c->len);
		memcpy(c->rest, input + used, c->len);
	}
}

int main(int argc, char **argv) {
	struct rlimit limit;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct itimerspec second = {{1, 0}, {time(NULL) + 1, 0}};
	struct epoll_event events[256], event = {.events = EPOLLIN};
	int one = 1, poll = epoll_create1(0);
	int timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	address.sin_port = htons(argc > 1 ? atoi(argv[1]) : 8080);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
		perror("listen");
		return 1;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	size_t most = limit.rlim_max < 1 << 20 ? limit.rlim_max : 1 << 20;
	conns = calloc(most, sizeof *conns);
	open_fds = calloc(most, sizeof *open_fds);
	timerfd_settime(timer, TFD_TIMER_ABSTIME, &second, NULL);
	event.data.fd = timer;
	epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event);
	event.data.fd = listener;
	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);

	for (;;) {
		int count = epoll_wait(poll, events, 256, -1);
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			if (fd == timer) {
				uint64_t expired;
				if (read(timer, &expired, sizeof expired) > 0)
					tick();
			} else if (fd == listener) {
				while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
					setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
					event.data.fd = fd;
					epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
				}
			} else {
				readable(fd);
			}
		}
	}
}
