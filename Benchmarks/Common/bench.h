/* What the benchmark programs share: options, clocks, statistics, addresses.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A program prints one JSON object on standard output and its complaints on standard error. */
#ifndef RH_BENCHMARKS_BENCH_H
#define RH_BENCHMARKS_BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BENCH_REPETITIONS_MAX = 1000 };

/* ---- Failures and options -------------------------------------------------------------------- */

static inline void bench_require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, errno != 0 ? strerror(errno) : "failed");
    exit(1);
}

/* The word after an option "--name"; fallback when it is not given. */
static inline const char *bench_word(char **arguments, const char *name, const char *fallback)
{
    for (; *arguments != NULL; arguments++)
        if (strcmp(*arguments, name) == 0 && arguments[1] != NULL)
            return arguments[1];
    return fallback;
}

static inline double bench_number(char **arguments, const char *name, double fallback)
{
    const char *word = bench_word(arguments, name, NULL);
    if (word == NULL)
        return fallback;
    char *end;
    double number = strtod(word, &end);
    if (*word == 0 || *end != 0 || !(number >= 0) || number > 1e9) {
        fprintf(stderr, "%s %s: not a number from 0 to 10^9\n", name, word);
        exit(2);
    }
    return number;
}

/* "on" or "off". */
static inline bool bench_switch(char **arguments, const char *name, bool fallback)
{
    const char *word = bench_word(arguments, name, fallback ? "on" : "off");
    if (strcmp(word, "on") != 0 && strcmp(word, "off") != 0) {
        fprintf(stderr, "%s %s: neither on nor off\n", name, word);
        exit(2);
    }
    return strcmp(word, "on") == 0;
}

/* Ends the program when there is an option whose name is not in the list (which NULL ends). */
static inline void bench_check_options(char **arguments, const char *const *known)
{
    for (; *arguments != NULL; arguments += 2) {
        bool is_known = false;
        for (size_t i = 0; known[i] != NULL; i++)
            is_known |= strcmp(*arguments, known[i]) == 0;
        if (is_known && arguments[1] != NULL)
            continue;
        fprintf(stderr, "%s: unknown, or without a value; there are:", *arguments);
        for (size_t i = 0; known[i] != NULL; i++)
            fprintf(stderr, " %s", known[i]);
        fprintf(stderr, "\n");
        exit(2);
    }
}

/* ---- Clocks --------------------------------------------------------------------------------- */

static inline uint64_t bench_clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct bench_usage {
    uint64_t user_ns, system_ns;
};

/* CPU time so far of RUSAGE_SELF or RUSAGE_THREAD. */
static inline struct bench_usage bench_usage(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (struct bench_usage){
        (uint64_t)usage.ru_utime.tv_sec * 1000000000u + (uint64_t)usage.ru_utime.tv_usec * 1000u,
        (uint64_t)usage.ru_stime.tv_sec * 1000000000u + (uint64_t)usage.ru_stime.tv_usec * 1000u};
}

static inline void bench_sleep_until(uint64_t monotonic_ns)
{
    struct timespec until = {
        (time_t)(monotonic_ns / 1000000000u), (long)(monotonic_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

/* ---- Statistics ----------------------------------------------------------------------------- */

struct bench_samples {
    double values[BENCH_REPETITIONS_MAX];
    size_t count;
};

static inline int bench_compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static inline void bench_add(struct bench_samples *samples, double value)
{
    if (samples->count < BENCH_REPETITIONS_MAX)
        samples->values[samples->count++] = value;
}

/* Sorts; then values[0] is the least and values[count / 2] the median. */
static inline void bench_sort(struct bench_samples *samples)
{
    qsort(samples->values, samples->count, sizeof samples->values[0], bench_compare);
}

/* A deterministic generator (splitmix64). */
struct bench_dice {
    uint64_t state;
};

static inline uint32_t bench_roll(struct bench_dice *dice, uint32_t limit)
{
    uint64_t mixed = dice->state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return (uint32_t)(((mixed ^ mixed >> 31) >> 32) * limit >> 32);
}

/* ---- Addresses ------------------------------------------------------------------------------ */

/* Where subscriber number is when its packets are to be dropped by a device: 10.100.0.0/16. */
static inline struct sockaddr_in bench_sink_address(uint32_t number)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)(20000 + number % 40000)),
        .sin_addr.s_addr = htonl(10u << 24 | 100u << 16 | (number / 200 + 1) << 8
                                 | (number % 200 + 1))};
}

/* A bound UDP socket on loopback; buffer bytes wanted, 0: the system's. */
static inline int bench_loopback_socket(struct sockaddr_in *address, int receive_bytes)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bench_require(fd >= 0, "socket");
    if (receive_bytes != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    *address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof *address;
    bench_require(bind(fd, (struct sockaddr *)address, size) == 0, "bind");
    bench_require(getsockname(fd, (struct sockaddr *)address, &size) == 0, "getsockname");
    return fd;
}

/* Where subscriber number is: in the sink, or a socket of its own on loopback that nobody reads and
 * that holds one datagram. */
static inline struct sockaddr_in bench_target(bool is_loopback, uint32_t number)
{
    struct sockaddr_in address = bench_sink_address(number);
    if (is_loopback)
        bench_loopback_socket(&address, 1);
    return address;
}

/* True when --network says loopback; ends the program for a word other than sink. */
static inline bool bench_is_loopback(char **arguments)
{
    const char *network = bench_word(arguments, "--network", "sink");
    bool is_loopback = strcmp(network, "loopback") == 0;
    if (!is_loopback && strcmp(network, "sink") != 0) {
        fprintf(stderr, "--network %s: neither sink nor loopback\n", network);
        exit(2);
    }
    return is_loopback;
}

/* As many descriptors as the system grants. */
static inline void bench_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

#endif
