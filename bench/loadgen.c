/* Calls an HTTP/1.1 server on loopback as hard as it can, or at a given rate, and measures.
 *
 *   loadgen -p PORT -P PATH -b BODY_FILE [-H "Name: value"] [-c CONNECTIONS] [-d SECONDS] [-n CALLS] [-r RATE]
 *
 * Without -r each connection asks again as soon as it has its answer. With -r calls arrive at random
 * moments (exponential gaps), and a call's time counts from the moment it should have begun, so that a
 * server which stalls cannot hide it. After SECONDS, or after CALLS were sent, no call is begun, and those
 * under way are waited for (30 s at most). Chunks that carry the mock's time tell how long they took.
 * Prints one line of JSON; times in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { IN_BYTES = 65536, EVENTS = 512, CARRY = 48 };
enum part { HEAD, LENGTH, SIZE, DATA, CRLF, LAST };

typedef struct {
    int fd, busy, writing, chunked, seen_first, carried;
    enum part part;
    int status;
    int64_t due_ns;
    size_t sent, left, used;
    char head[8192], carry[CARRY];
} Line;

typedef struct { double *us; size_t used, size; } Times;

static Line *lines;
static int connections = 64, epoll, idle_count, *idle;
static char *request;
static size_t request_bytes;
static struct sockaddr_in there = {.sin_family = AF_INET};
static Times whole, first, chunk;
static long begun, done, failed, most = -1, received_bytes;
static int64_t *late;
static size_t late_from, late_to;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void note(Times *t, int64_t ns) {
    if (t->used == t->size) t->us = realloc(t->us, (t->size = t->size * 2 + 4096) * sizeof *t->us);
    t->us[t->used++] = ns / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, Times *t) {
    qsort(t->us, t->used, sizeof *t->us, by_size);
    double at[4] = {0.5, 0.9, 0.99, 0.999}, found[4] = {0};
    for (int i = 0; i < 4 && t->used; i++) found[i] = t->us[(size_t)(at[i] * (t->used - 1))];
    printf(",\"%s\":{\"count\":%zu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f}", name, t->used, found[0], found[1], found[2], found[3]);
}

static void watch(Line *l, int operation, int writing) {
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.u32 = l - lines};
    epoll_ctl(epoll, operation, l->fd, &e);
    l->writing = writing;
}

static void dial(Line *l) {
    int one = 1;
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(l->fd, (struct sockaddr *)&there, sizeof there)) { perror("connect"); exit(1); }
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(l, EPOLL_CTL_ADD, 0);
}

static void push(Line *l) {
    while (l->sent < request_bytes) {
        ssize_t n = send(l->fd, request + l->sent, request_bytes - l->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0) break;
        l->sent += n;
    }
    int more = l->sent < request_bytes;
    if (more != l->writing) watch(l, EPOLL_CTL_MOD, more);
}

static void begin(Line *l, int64_t due_ns) {
    begun++;
    l->busy = 1;
    l->due_ns = due_ns;
    l->part = HEAD;
    l->sent = l->used = 0;
    l->seen_first = l->carried = 0;
    push(l);
}

static void end(Line *l, int good) {
    if (good) { note(&whole, now_ns() - l->due_ns); done++; } else failed++;
    l->busy = 0;
    idle[idle_count++] = l - lines;
}

static void broken(Line *l) {
    close(l->fd);
    int was_busy = l->busy;
    dial(l);
    if (was_busy) end(l, 0);
}

static void read_stamps(Line *l, const char *data, size_t size, int64_t now) {
    static const char mark[] = "\"content\":\"";
    char joined[IN_BYTES + CARRY];
    memcpy(joined, l->carry, l->carried);
    memcpy(joined + l->carried, data, size);
    size_t total = l->carried + size, from = 0;
    char *at;
    while ((at = memmem(joined + from, total - from, mark, sizeof mark - 1))) {
        size_t place = at - joined + sizeof mark - 1;
        if (total - place < 20) { from = at - joined; break; }
        if (joined[place + 19] == ' ') note(&chunk, now - strtoll(joined + place, NULL, 10));
        from = place;
    }
    size_t keep = total - from < CARRY ? total - from : CARRY - 1;
    memcpy(l->carry, joined + total - keep, keep);
    l->carried = keep;
}

static int read_head(Line *l) {
    l->status = atoi(l->head + 9);
    char *field = strcasestr(l->head, "\r\ncontent-length:");
    l->chunked = field == NULL;
    l->left = field ? strtoul(field + 17, NULL, 10) : 0;
    l->part = field ? LENGTH : SIZE;
    return field && !l->left;
}

/* Feed bytes to the answer's parser; 1 when the answer is complete. */
static int parse(Line *l, const char *data, size_t size, int64_t now) {
    while (size) {
        if (l->part == HEAD) {
            size_t room = sizeof l->head - 1 - l->used, n = size < room ? size : room, before = l->used;
            memcpy(l->head + l->used, data, n);
            l->head[l->used += n] = 0;
            char *stop = strstr(l->head, "\r\n\r\n");
            if (!stop) { if (n == room) return -1; return 0; }
            size_t eaten = stop + 4 - l->head - before;
            data += eaten; size -= eaten;
            stop[2] = 0;
            if (read_head(l)) return 1;
            continue;
        }
        if (!l->seen_first) { l->seen_first = 1; note(&first, now - l->due_ns); }
        if (l->part == LENGTH || l->part == DATA) {
            size_t n = size < l->left ? size : l->left;
            if (l->part == DATA) read_stamps(l, data, n, now);
            data += n; size -= n; l->left -= n;
            if (!l->left) { if (l->part == LENGTH) return 1; l->part = CRLF; l->left = 2; }
        } else if (l->part == SIZE) {
            char c = *data++; size--;
            if (c == '\n') {
                if (l->left) l->part = DATA; else { l->part = LAST; l->left = 2; }
            } else if (c != '\r') l->left = l->left * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        } else {
            data++; size--;
            if (!--l->left) { if (l->part == LAST) return 1; l->part = SIZE; }
        }
    }
    return 0;
}

static void take(Line *l) {
    static char in[IN_BYTES];
    ssize_t n = recv(l->fd, in, sizeof in, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0 || !l->busy) { broken(l); return; }
    received_bytes += n;
    int state = parse(l, in, n, now_ns());
    if (state < 0) broken(l); else if (state) end(l, l->status == 200);
}

static void load_request(const char *path, const char *file, const char *fields) {
    FILE *f = fopen(file, "rb");
    if (!f) { perror(file); exit(1); }
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    request = malloc(size + 4096);
    int head = snprintf(request, 4096, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%sContent-Length: %ld\r\n\r\n", path, fields, size);
    if (fread(request + head, 1, size, f) != (size_t)size) exit(1);
    request_bytes = head + size;
    fclose(f);
}

static void set_timer(int timer, int64_t at_ns) {
    struct itimerspec t = {.it_value = {at_ns / 1000000000, at_ns % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

int main(int count, char **words) {
    char fields[2048] = "";
    const char *path = "/", *body = NULL;
    double seconds = 1, rate = 0;
    for (int option; (option = getopt(count, words, "p:P:b:H:c:d:n:r:")) != -1;) {
        if (option == 'p') there.sin_port = htons(atoi(optarg));
        else if (option == 'P') path = optarg;
        else if (option == 'b') body = optarg;
        else if (option == 'H') { strncat(fields, optarg, 1000); strcat(fields, "\r\n"); }
        else if (option == 'c') connections = atoi(optarg);
        else if (option == 'd') seconds = atof(optarg);
        else if (option == 'n') most = atol(optarg);
        else if (option == 'r') rate = atof(optarg);
        else return 2;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load_request(path, body, fields);
    epoll = epoll_create1(0);
    lines = calloc(connections, sizeof *lines);
    idle = malloc(connections * sizeof *idle);
    for (int i = connections - 1; i >= 0; i--) { dial(&lines[i]); idle[idle_count++] = i; }
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = UINT32_MAX}, found[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e);
    size_t room = rate > 0 ? (size_t)(rate * seconds * 2) + 1000 : 1;
    late = malloc(room * sizeof *late);
    srand48(now_ns());

    int64_t start = now_ns(), stop = start + seconds * 1e9, due = start, finished = start;
    set_timer(timer, rate > 0 ? due + 1 : stop);
    for (;;) {
        int64_t now = now_ns();
        int begins = now < stop && (most < 0 || begun < most);
        while (begins && rate > 0 && due <= now && late_to < room) {
            late[late_to++] = due;
            due += -log(1 - drand48()) / rate * 1e9;
        }
        if (!begins) late_from = late_to;
        while (begins && idle_count && (rate <= 0 || late_from < late_to) && (most < 0 || begun < most))
            begin(&lines[idle[--idle_count]], rate > 0 ? late[late_from++] : now_ns());
        if (!begins && idle_count == connections) break;
        if (now > stop + 30000000000LL) break;
        if (rate > 0 && begins) set_timer(timer, due < stop ? due : stop);
        int n = epoll_wait(epoll, found, EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            if (found[i].data.u32 == UINT32_MAX) { uint64_t ticks; if (read(timer, &ticks, 8) < 0) continue; continue; }
            Line *l = &lines[found[i].data.u32];
            if (found[i].events & EPOLLOUT) push(l);
            if (found[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) take(l);
        }
        finished = now_ns();
    }
    printf("{\"begun\":%ld,\"done\":%ld,\"failed\":%ld,\"unfinished\":%d,\"seconds\":%.6f,\"received_bytes\":%ld", begun, done, failed,
           connections - idle_count, (finished - start) / 1e9, received_bytes);
    print_times("call", &whole);
    print_times("first", &first);
    print_times("chunk", &chunk);
    printf("}\n");
    return 0;
}
