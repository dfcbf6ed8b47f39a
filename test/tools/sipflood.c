/* SPDX-License-Identifier: MIT */
/*
 * sipflood.c - a stranger who sends without a pause: SIP requests, garbage, packets of media, at a
 * rate, from one address or many. Counts what is answered. Ends after --seconds or at SIGTERM, and
 * then tells in one line of JSON what it did.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "sipflood --to IP:PORT[-PORT][,PORT...] --kind KIND[,KIND...] [OPTION...]\n"
    "  --to IP:PORTS        whom to flood; of several each port in turn\n"
    "  --kind KINDS         in turn: invite (each a new call, T.38), again (one INVITE, "
    "repeated),\n"
    "                       options, register, bye (of no call), garbage, slow (8 kB that are "
    "slow\n"
    "                       to read), rtp, udptl; by TCP: connect (and say nothing), dribble (and\n"
    "                       say half a request); 2000 connections are held, the oldest then "
    "closed\n"
    "  --from IP[/COUNT]    own address, or so many from that one on (127.0.0.2)\n"
    "  --caller NUMBER      in From (5559999)\n"
    "  --rate N             packets a second (2000)\n"
    "  --seconds S          how long; 0: until SIGTERM (10)\n";

enum {
    SOURCES_MOST = 16384,
    STATUS_MOST = 700,
    TEXT_MAX = 8192,
    CATCH_UP_S = 1,
    HELD = 2000, /* connections */
    PORTS_MOST = 65536,
};

enum kind {
    INVITE,
    AGAIN,
    OPTIONS,
    REGISTER,
    BYE,
    GARBAGE,
    SLOW,
    RTP,
    UDPTL,
    CONNECT,
    DRIBBLE,
    KIND_COUNT
};

static const char *const names[KIND_COUNT] = {"invite", "again",   "options", "register",
                                              "bye",    "garbage", "slow",    "rtp",
                                              "udptl",  "connect", "dribble"};

static struct {
    struct sockaddr_in to;
    uint16_t ports[PORTS_MOST];
    unsigned port_count;
    enum kind kinds[16];
    int kind_count;
    uint32_t from;
    int sources;
    const char *caller;
    double rate, seconds;
} options = {.from = 0x7f000002, .sources = 1, .caller = "5559999", .rate = 2000, .seconds = 10};

static int fds[SOURCES_MOST], held[HELD];
static uint64_t sent, unsent, answers[STATUS_MOST], answers_other;
static volatile sig_atomic_t is_over;

static void fail(const char *what)
{
    fprintf(stderr, "sipflood: %s\n", what);
    exit(2);
}

static void end(int number)
{
    (void)number;
    is_over = 1;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- the command line ---------------------------------------------------------------------- */

static void read_ports(char *text)
{
    for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ",")) {
        char *dash = strchr(word, '-');
        unsigned port = (unsigned)strtoul(word, NULL, 10);
        unsigned last = dash == NULL ? port : (unsigned)strtoul(dash + 1, NULL, 10);

        if (port < 1 || last > 65535)
            fail("--to wants IP:PORT");
        for (; port <= last && options.port_count < PORTS_MOST; port++)
            options.ports[options.port_count++] = (uint16_t)port;
    }
}

static void read_to(char *text)
{
    char *colon = strrchr(text, ':');

    if (colon == NULL)
        fail("--to wants IP:PORT");
    *colon = '\0';
    read_ports(colon + 1);
    options.to.sin_family = AF_INET;
    if (inet_pton(AF_INET, text, &options.to.sin_addr) != 1 || options.port_count == 0)
        fail("--to wants IP:PORT");
    options.to.sin_port = htons(options.ports[0]);
}

static void read_from(char *text)
{
    char *slash = strchr(text, '/');
    struct in_addr address;

    if (slash != NULL) {
        *slash = '\0';
        options.sources = atoi(slash + 1);
    }
    if (inet_pton(AF_INET, text, &address) != 1 || options.sources < 1 ||
        options.sources > SOURCES_MOST)
        fail("--from wants an IPv4 address, or IP/COUNT");
    options.from = ntohl(address.s_addr);
}

static void read_kinds(char *text)
{
    for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ",")) {
        int kind = 0;

        while (kind < KIND_COUNT && strcmp(names[kind], word) != 0)
            kind++;
        if (kind == KIND_COUNT || options.kind_count == 16)
            fail("unknown --kind");
        options.kinds[options.kind_count++] = (enum kind)kind;
    }
}

static void read_options(int argc, char *argv[])
{
    static const struct option known[] = {{"to", 1, NULL, 't'},      {"kind", 1, NULL, 'k'},
                                          {"from", 1, NULL, 'f'},    {"rate", 1, NULL, 'r'},
                                          {"seconds", 1, NULL, 's'}, {"caller", 1, NULL, 'c'},
                                          {"help", 0, NULL, 'h'},    {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 't': read_to(optarg); break;
        case 'k': read_kinds(optarg); break;
        case 'f': read_from(optarg); break;
        case 'r': options.rate = atof(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'c': options.caller = optarg; break;
        case 'h': fputs(help, stdout); exit(0);
        default: fputs(help, stderr); exit(2);
        }
    }
    if (options.kind_count == 0 || options.to.sin_port == 0 || options.rate <= 0)
        fail("--to and --kind are wanted; see --help");
}

/* ---- packets ------------------------------------------------------------------------------- */

static size_t make_request(char *out, const char *method, uint64_t number, uint32_t from,
                           unsigned port, bool is_inside)
{
    static const char sdp[] = "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
                              "m=image 9 udptl t38\r\na=T38FaxVersion:0\r\n"
                              "a=T38FaxRateManagement:transferredTCF\r\n"
                              "a=T38FaxUdpEC:t38UDPRedundancy\r\n";
    struct in_addr address = {htonl(from)};
    char own[INET_ADDRSTRLEN];
    char body[512] = "";
    int length = 0;

    inet_ntop(AF_INET, &address, own, sizeof own);
    if (strcmp(method, "INVITE") == 0)
        length = snprintf(body, sizeof body, sdp, own, own);
    return (size_t)snprintf(
        out, TEXT_MAX,
        "%s sip:5552100@gateway SIP/2.0\r\n"
        "Via: SIP/2.0/UDP %s:%u;branch=z9hG4bK%jx%x;rport\r\nMax-Forwards: 70\r\n"
        "From: <sip:%s@%s>;tag=%jx\r\nTo: <sip:5552100@gateway>%s\r\nCall-ID: %jx@%s\r\n"
        "CSeq: 1 %s\r\nContact: <sip:flood@%s:%u>\r\n%sContent-Length: %d\r\n\r\n%s",
        method, own, port, (uintmax_t)number, (unsigned)getpid(), options.caller, own,
        (uintmax_t)number, is_inside ? ";tag=1" : "", (uintmax_t)number, own, method, own, port,
        length > 0 ? "Content-Type: application/sdp\r\n" : "", length, body);
}

static size_t make_packet(char *out, enum kind kind, uint64_t number, uint32_t from, unsigned port)
{
    size_t length = 172;

    switch (kind) {
    case INVITE: return make_request(out, "INVITE", number, from, port, false);
    case AGAIN: return make_request(out, "INVITE", 1, from, port, false);
    case OPTIONS: return make_request(out, "OPTIONS", number, from, port, false);
    case REGISTER: return make_request(out, "REGISTER", number, from, port, false);
    case BYE: return make_request(out, "BYE", number, from, port, true);
    case SLOW:
        for (length = 0; length < 8000; length += 2)
            memcpy(out + length, "a ", 2);
        return length;
    case UDPTL:
        memcpy(out, "\0\0\1\x06\0\0", 6);
        out[0] = (char)(number >> 8);
        out[1] = (char)number;
        return 6;
    case DRIBBLE: return make_request(out, "OPTIONS", number, from, port, false) - 40;
    case CONNECT: return 0;
    case RTP:
    case GARBAGE:
    case KIND_COUNT: break;
    }
    for (size_t i = 0; i < length; i++)
        out[i] = (char)rand();
    if (kind == RTP)
        memcpy(out, "\x80\x08", 2);
    return length;
}

/* ---- sockets ------------------------------------------------------------------------------- */

static int open_sockets(void)
{
    struct rlimit files;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (int i = 0; i < options.sources; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(options.from + (uint32_t)i)};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = i};

        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&own, sizeof own) != 0 ||
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i], &event) != 0)
            fail("no socket for one of the addresses; fewer of them, or more open files");
    }
    return epoll_fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_in own;
    socklen_t length = sizeof own;

    return getsockname(fd, (struct sockaddr *)&own, &length) == 0 ? ntohs(own.sin_port) : 0;
}

static bool say_by_tcp(uint64_t number, uint32_t from, const char *text, size_t length)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
    int *place = &held[number % HELD];

    if (*place > 0)
        close(*place);
    *place = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return *place >= 0 && bind(*place, (struct sockaddr *)&own, sizeof own) == 0 &&
           (connect(*place, (struct sockaddr *)&options.to, sizeof options.to) == 0 ||
            errno == EINPROGRESS) &&
           (length == 0 || send(*place, text, length, MSG_NOSIGNAL) >= 0);
}

static void send_one(uint64_t number)
{
    enum kind kind = options.kinds[number % (uint64_t)options.kind_count];
    int source = (int)(number % (uint64_t)options.sources);
    struct sockaddr_in to = options.to;
    char packet[TEXT_MAX];
    uint32_t from = options.from + (uint32_t)source;
    size_t length = make_packet(packet, kind, number, from, port_of(fds[source]));
    bool is_sent;

    to.sin_port = htons(options.ports[number % options.port_count]);
    if (kind == CONNECT || kind == DRIBBLE)
        is_sent = say_by_tcp(number, from, packet, length);
    else
        is_sent = sendto(fds[source], packet, length, 0, (struct sockaddr *)&to, sizeof to) >= 0;
    if (is_sent)
        sent++;
    else
        unsent++; /* a full queue, or word that nobody listens there */
}

static void count_answer(const char *answer)
{
    int status = 0;

    if (sscanf(answer, "SIP/2.0 %d", &status) == 1 && status > 0 && status < STATUS_MOST)
        answers[status]++;
    else
        answers_other++;
}

static void take_answers(int epoll_fd)
{
    struct epoll_event events[64];
    int count = epoll_wait(epoll_fd, events, 64, 0);

    for (int i = 0; i < count; i++) {
        char answer[2048];
        ssize_t n;

        while ((n = recv(fds[events[i].data.fd], answer, sizeof answer - 1, 0)) >= 0) {
            answer[n] = '\0';
            count_answer(answer);
        }
    }
}

static void tell(double seconds)
{
    const char *comma = "";

    printf("{\"sent\": %ju, \"unsent\": %ju, \"seconds\": %.2f, \"rate\": %.0f, \"answers\": {",
           (uintmax_t)sent, (uintmax_t)unsent, seconds, (double)sent / seconds);
    for (int i = 0; i < STATUS_MOST; i++)
        if (answers[i] > 0) {
            printf("%s\"%d\": %ju", comma, i, (uintmax_t)answers[i]);
            comma = ", ";
        }
    printf("}, \"other\": %ju}\n", (uintmax_t)answers_other);
}

int main(int argc, char *argv[])
{
    struct timespec pause = {0, 500000};
    uint64_t number = 0;
    double begun;
    int epoll_fd;

    read_options(argc, argv);
    signal(SIGTERM, end);
    signal(SIGINT, end);
    srand((unsigned)getpid());
    epoll_fd = open_sockets();
    begun = now();
    while (!is_over && (options.seconds <= 0 || now() - begun < options.seconds)) {
        double due = (now() - begun) * options.rate;

        if (due - (double)number > options.rate * CATCH_UP_S) /* we stood still: that is lost */
            number = (uint64_t)(due - options.rate * CATCH_UP_S);
        while ((double)number < due && !is_over)
            send_one(number++);
        take_answers(epoll_fd);
        nanosleep(&pause, NULL);
    }
    nanosleep(&(struct timespec){0, 200000000}, NULL);
    take_answers(epoll_fd);
    tell(now() - begun - 0.2);
    return 0;
}
