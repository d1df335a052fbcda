/* attest bench submit|gate|read. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/entropy.h"
#include "client/bench.h"
#include "client/receipt.h"

#define DURATION_DEFAULT_MS 10000
#define CONNECTIONS_MAX 1024
#define STREAMS_MAX 10000
#define SUBJECTS_MAX 10000000
#define RATE_MAX 1000000

static struct error *bounded(struct cli *cli, const char *name, uint64_t otherwise, uint64_t max,
                             uint64_t *out) {
    TRY(args_u64(&cli->args, name, otherwise, out));
    if (*out <= max && (*out > 0 || args_value(&cli->args, name) == NULL)) return NULL;
    return cli_usage(cli, "--%s is from 1 to %llu", name, (unsigned long long)max);
}

static struct error *read_options(struct cli *cli, struct bench_options *o) {
    TRY(bounded(cli, "rate", 0, RATE_MAX, &o->rate));
    TRY(bounded(cli, "connections", 16, CONNECTIONS_MAX, &o->connections));
    TRY(bounded(cli, "streams", 32, STREAMS_MAX, &o->streams));
    TRY(bounded(cli, "subjects", 0, SUBJECTS_MAX, &o->subjects));
    TRY(args_duration(&cli->args, "duration", DURATION_DEFAULT_MS, &o->duration_ms));
    o->dry_run = args_has(&cli->args, "dry-run");
    o->environment = args_value(&cli->args, "environment");
    if (o->environment == NULL) o->environment = "production";
    return NULL;
}

static const struct workload *find_workload(const char *name) {
    for (const struct workload *w = workloads; w->name != NULL; w++) {
        if (strcmp(w->name, name) == 0) return w;
    }
    return NULL;
}

static struct error *check_samples(struct bench *b) {
    for (size_t i = 0; i < BENCH_SAMPLES_MAX; i++) {
        bool good = false;
        if (b->samples[i].octets == NULL) continue;
        b->sample_count++;
        TRY(b->work->check(b, &b->samples[i], &good));
        good ? b->verified++ : b->refused++;
    }
    return NULL;
}

static double ms_at(const struct bench *b, uint32_t parts) {
    return (double)histogram_at(&b->latencies, parts) / 1000.0;
}

static double per_second(const struct bench *b) {
    return (double)b->done * 1e6 / (double)b->elapsed_us;
}

static void put_number(struct json_writer *w, const char *key, double v) {
    json_key(w, key);
    json_put_double(w, v);
}

static struct error *print_json(const struct bench *b) {
    struct buf out;
    buf_init_arena(&out, &b->cli->arena, 4096);
    struct json_writer w = json_writer_of(&out);
    json_object_begin(&w);
    json_key(&w, "workload");
    json_put_cstr(&w, b->work->name);
    put_number(&w, "rate", (double)b->options.rate);
    put_number(&w, "achievedPerSecond", per_second(b));
    put_number(&w, "p50Ms", ms_at(b, 500000));
    put_number(&w, "p90Ms", ms_at(b, 900000));
    put_number(&w, "p99Ms", ms_at(b, 990000));
    put_number(&w, "p999Ms", ms_at(b, 999000));
    put_number(&w, "errors", (double)b->errors);
    put_number(&w, "verified", (double)b->verified);
    put_number(&w, "duration", (double)b->elapsed_us / 1e6);
    put_number(&w, "connections", (double)b->options.connections);
    put_number(&w, "streams", (double)b->options.streams);
    json_object_end(&w);
    TRY(buf_finish(&out, "result"));
    cli_json(b->cli, buf_bytes(&out));
    return NULL;
}

static void print_for_people(const struct bench *b) {
    struct cli *cli = b->cli;
    cli_say(cli, "%s, %llu connections x %llu streams", b->work->name,
            (unsigned long long)b->options.connections, (unsigned long long)b->options.streams);
    if (b->options.rate > 0) cli_say(cli, ", %llu/s asked", (unsigned long long)b->options.rate);
    cli_say(cli, "\n  %.0f/s over %.1f s; %llu errors; %llu of a sample of %zu verified\n",
            per_second(b), (double)b->elapsed_us / 1e6, (unsigned long long)b->errors,
            (unsigned long long)b->verified, b->sample_count);
    cli_say(cli, "  p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, p99.9 %.2f ms\n", ms_at(b, 500000),
            ms_at(b, 900000), ms_at(b, 990000), ms_at(b, 999000));
}

static void free_samples(struct bench **b) {
    for (size_t i = 0; i < BENCH_SAMPLES_MAX; i++) alloc_free((*b)->samples[i].octets);
}

static struct error *finish(struct bench *b, int *out_exit) {
    TRY(check_samples(b));
    if (b->first_error[0] != '\0') {
        cli_note(b->cli, "attest: first error: ");
        cli_put(b->cli->io->err, bytes_of_cstr(b->first_error));
        cli_note(b->cli, "\n");
    }
    if (b->done == 0) return error_new(ERROR_UNAVAILABLE, "no request was answered");
    b->cli->calling = false;
    if (b->cli->json)
        TRY(print_json(b));
    else
        print_for_people(b);
    *out_exit = b->refused == 0 ? CLI_EXIT_YES : CLI_EXIT_NO; /* errors are a part of the result */
    return NULL;
}

struct error *run_bench(struct cli *cli, int *out_exit) {
    struct bench *room = arena_alloc(&cli->arena, sizeof *room);
    if (room == NULL) return error_nomem();
    CLEANUP(free_samples) struct bench *b = room;
    b->cli = cli;
    b->work = find_workload(cli->args.words[0]);
    if (b->work == NULL)
        return cli_usage(cli, "the workloads are submit, gate and read, not `%.64s`",
                         cli->args.words[0]);
    TRY(read_options(cli, &b->options));
    TRY(entropy_fill(&entropy_system, b->seed, sizeof b->seed));
    CLEANUP(trust_closep) struct trust *trust = NULL;
    TRY(cli_trust(cli, &trust)); /* also makes the schema and the first connection */
    TRY(connection_ready(cli));
    b->trust = trust;
    TRY(b->work->prepare(b));
    cli->calling = true;
    TRY(bench_run(b));
    trust->now_s += b->options.duration_ms / 1000 + 1; /* receipts are younger than the trust */
    return finish(b, out_exit);
}
