/* client/bench: the load generator. Internal to client/. */
#ifndef CLIENT_BENCH_H
#define CLIENT_BENCH_H

#include "client/connection.h"
#include "client/histogram.h"
#include "client/trust.h"

#define BENCH_SAMPLES_MAX 256
#define BENCH_SAMPLE_EVERY 61 /* requests */

struct bench;

/* A response kept for checking after the run: checking meanwhile would disturb it. Of more than
 * there is room for, the latest stay. */
struct sample {
    uint64_t sequence;
    uint8_t *octets; /* owned; NULL: none */
    size_t len;
};

/* What is asked, and how an answer is judged. */
struct workload {
    const char *name;
    const char *path;
    /* Before the clock starts: makes the template, and what it needs at the server. */
    struct error *(*prepare)(struct bench *b);
    /* The request of `sequence`, distinct for each; valid until the next call. */
    struct bytes (*make)(struct bench *b, uint64_t sequence);
    /* After the run. */
    struct error *(*check)(struct bench *b, const struct sample *s, bool *out_good);
};
extern const struct workload workloads[]; /* ended by a NULL name */

#define TEMPLATE_HOLES_MAX 8

struct template {
    uint8_t *wire; /* in the command's arena */
    size_t len;
    size_t holes[TEMPLATE_HOLES_MAX]; /* where the 64 digits of a digest stand */
    size_t hole_count;
};

struct bench_options {
    uint64_t rate; /* a second; 0: as fast as the streams allow */
    int64_t duration_ms;
    uint64_t connections;
    uint64_t streams;
    uint64_t subjects; /* gate: attested before, and asked for once each */
    bool dry_run;
    const char *environment;
};

struct bench {
    struct cli *cli;
    const struct workload *work;
    struct bench_options options;
    uint8_t seed[16]; /* makes this run's subjects its own */
    struct template template;
    const char **digests; /* read: what there is to list */
    size_t digest_count;
    struct trust *trust; /* owned */

    /* results */
    struct histogram latencies;
    uint64_t done, errors, verified, refused;
    uint64_t elapsed_us;
    char first_error[256];
    struct sample samples[BENCH_SAMPLES_MAX];
    size_t sample_count;
};

/* bench_digest is the subject of `sequence`: 64 digits. */
void bench_digest(const struct bench *b, uint64_t sequence, char out[65]);

/* bench_run makes the requests and fills the results. */
MUST_USE struct error *bench_run(struct bench *b);

#endif
