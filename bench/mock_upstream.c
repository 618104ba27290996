/* A provider for measurements: answers chat completions from fixed text, on one core, loopback only.
 *
 *   mock_upstream PORT
 *
 * A body with "stream":true is answered with a stream, any other with one completion of about 1 KB.
 * A mark anywhere in the body changes a stream: [[chunks=20 pause=0 first=0 burst=5]], times in
 * microseconds; burst chunks go out in one write. Each chunk carries the time it was made at
 * (CLOCK_MONOTONIC, nanoseconds), so that a client on the same machine can tell how long it took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FILES = 8192, EVENTS = 512, PROMPT_BYTES = 700, MOST_BURST = 50 };

typedef struct {
    int fd, chunks_left, burst, wants_usage, waits_to_write, place;
    int64_t pause_ns, due_ns;
    char *in, *out;
    size_t in_used, in_size, out_used, out_size;
} Peer;

static Peer peers[MOST_FILES];
static int streaming[MOST_FILES], streams;
static int epoll;
static char answer[4096];
static size_t answer_bytes;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void make_answer(void) {
    char words[PROMPT_BYTES + 1], body[2048];
    for (int i = 0; i < PROMPT_BYTES; i++) words[i] = i % 6 == 5 ? ' ' : 'a' + i % 23;
    words[PROMPT_BYTES] = 0;
    int size = snprintf(body, sizeof body,
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":140,\"total_tokens\":340}}", words);
    answer_bytes = snprintf(answer, sizeof answer,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", size, body);
}

static void watch(Peer *p, int writing) {
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.fd = p->fd};
    epoll_ctl(epoll, EPOLL_CTL_MOD, p->fd, &e);
    p->waits_to_write = writing;
}

static void stop_streaming(Peer *p) {
    if (p->place < 0) return;
    streaming[p->place] = streaming[--streams];
    peers[streaming[p->place]].place = p->place;
    p->place = -1;
}

static void drop(Peer *p) {
    stop_streaming(p);
    close(p->fd);
    free(p->in);
    free(p->out);
    memset(p, 0, sizeof *p);
    p->place = -1;
}

static void put(Peer *p, const char *data, size_t size) {
    if (!p->out_used) {
        ssize_t sent = send(p->fd, data, size, MSG_NOSIGNAL);
        if (sent == (ssize_t)size) return;
        if (sent > 0) { data += sent; size -= sent; }
    }
    if (p->out_used + size > p->out_size) {
        p->out_size = (p->out_used + size) * 2;
        p->out = realloc(p->out, p->out_size);
    }
    memcpy(p->out + p->out_used, data, size);
    p->out_used += size;
    if (!p->waits_to_write) watch(p, 1);
}

static void put_rest(Peer *p) {
    ssize_t sent = send(p->fd, p->out, p->out_used, MSG_NOSIGNAL);
    if (sent <= 0) return;
    memmove(p->out, p->out + sent, p->out_used - sent);
    p->out_used -= sent;
    if (!p->out_used) watch(p, 0);
}

static size_t add_event(char *to, const char *event) {
    return sprintf(to, "%zx\r\n%s\r\n", strlen(event), event);
}

#define HEAD "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","

static void put_burst(Peer *p) {
    char framed[MOST_BURST * 320 + 1024], event[320];
    size_t used = 0;
    for (int i = 0; i < p->burst && p->chunks_left; i++, p->chunks_left--) {
        snprintf(event, sizeof event, HEAD
            "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%019lld \"},\"finish_reason\":null}]}\n\n", (long long)now_ns());
        used += add_event(framed + used, event);
    }
    if (!p->chunks_left) {
        stop_streaming(p);
        used += add_event(framed + used, HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
        if (p->wants_usage)
            used += add_event(framed + used, HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":20,\"total_tokens\":220}}\n\n");
        used += add_event(framed + used, "data: [DONE]\n\n");
        used += sprintf(framed + used, "0\r\n\r\n");
    }
    put(p, framed, used);
}

static void reply(Peer *p, const char *body, size_t size) {
    if (!memmem(body, size, "\"stream\":true", 13) && !memmem(body, size, "\"stream\": true", 14)) {
        put(p, answer, answer_bytes);
        return;
    }
    long chunks = 20, pause_us = 0, first_us = 0, burst = 5;
    const char *mark = memmem(body, size, "[[chunks=", 9);
    if (mark) sscanf(mark, "[[chunks=%ld pause=%ld first=%ld burst=%ld]]", &chunks, &pause_us, &first_us, &burst);
    p->wants_usage = memmem(body, size, "\"include_usage\":true", 20) != NULL;
    p->chunks_left = chunks > 0 ? chunks : 1;
    p->burst = burst < 1 ? 1 : burst > MOST_BURST ? MOST_BURST : burst;
    p->pause_ns = pause_us * 1000;
    p->due_ns = now_ns() + first_us * 1000;
    p->place = streams;
    streaming[streams++] = p->fd;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    put(p, head, sizeof head - 1);
    while (p->place >= 0 && !p->pause_ns && p->due_ns <= now_ns()) put_burst(p);
}

static void take(Peer *p) {
    for (;;) {
        if (p->in_size - p->in_used < 65536) {
            p->in_size = p->in_size * 2 + 65536;
            p->in = realloc(p->in, p->in_size);
        }
        ssize_t got = recv(p->fd, p->in + p->in_used, p->in_size - p->in_used - 1, 0);
        if (got < 0 && errno == EAGAIN) break;
        if (got <= 0) { drop(p); return; }
        p->in_used += got;
        p->in[p->in_used] = 0;
        if (p->in_used < p->in_size - 1) break;
    }
    for (;;) {
        char *end = memmem(p->in, p->in_used, "\r\n\r\n", 4);
        if (!end) return;
        size_t head = end + 4 - p->in, size = 0;
        *end = 0;
        char *field = strcasestr(p->in, "\r\ncontent-length:");
        if (field) size = strtoul(field + 17, NULL, 10);
        *end = '\r';
        if (p->in_used < head + size) return;
        reply(p, p->in + head, size);
        memmove(p->in, p->in + head + size, p->in_used - head - size);
        p->in_used -= head + size;
    }
}

static int play_streams(void) { /* milliseconds until the next chunk is due, -1: none is */
    int64_t now = now_ns(), next = INT64_MAX;
    for (int i = streams - 1; i >= 0; i--) {
        Peer *p = &peers[streaming[i]];
        while (p->place >= 0 && p->due_ns <= now) {
            p->due_ns += p->pause_ns;
            put_burst(p);
        }
        if (p->place >= 0 && p->due_ns < next) next = p->due_ns;
    }
    if (next == INT64_MAX) return -1;
    return next <= now ? 0 : (next - now) / 1000000 + 1;
}

static void welcome(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (fd >= MOST_FILES) { close(fd); continue; }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        peers[fd].fd = fd;
        peers[fd].place = -1;
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(int count, char **words) {
    if (count < 2) return 2;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 4096)) { perror("listen"); return 1; }
    make_answer();
    epoll = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, found[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(epoll, found, EVENTS, play_streams());
        for (int i = 0; i < n; i++) {
            int fd = found[i].data.fd;
            if (fd == listener) { welcome(listener); continue; }
            if (found[i].events & EPOLLOUT) put_rest(&peers[fd]);
            if (found[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) take(&peers[fd]);
        }
    }
}
