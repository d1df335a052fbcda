/* client: what needs no server: arguments, help, exit codes, verify, policy test and lint, the pin,
 * the histogram. The rest: tests/scenario/cli_*.sh. */
#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tools/log_fixture.h"
#include "client/client.h"
#include "client/histogram.h"
#include "client/internal.h"
#include "codec/codec.h"

#define OK(expr) ck_assert_ptr_null(expr)

static char folder[] = "/tmp/test-client.XXXXXX";
static struct fixture fx;

/* --- running commands */
static char *said_out, *said_err; /* of the last one */

static int run(int argc, char **argv) {
    size_t out_len = 0, err_len = 0;
    free(said_out);
    free(said_err);
    said_out = said_err = NULL;
    struct client_io io = {.in = stdin,
                           .out = open_memstream(&said_out, &out_len),
                           .err = open_memstream(&said_err, &err_len)};
    ck_assert(io.out != NULL && io.err != NULL);
    int code = client_main(argc, argv, &io);
    (void)fclose(io.out);
    (void)fclose(io.err);
    return code;
}

#define ATTEST(...)                                                                                \
    run((int)(sizeof((char *[]){"attest", __VA_ARGS__}) / sizeof(char *)),                         \
        (char *[]){"attest", __VA_ARGS__, NULL})

/* The path of file `name`, good for the whole test. */
static const char *path_of(const char *name) {
    static char paths[32][256];
    char want[256];
    (void)snprintf(want, sizeof want, "%s/%s", folder, name);
    for (size_t i = 0; i < 32; i++) {
        if (paths[i][0] == '\0') memcpy(paths[i], want, sizeof want);
        if (strcmp(paths[i], want) == 0) return paths[i];
    }
    ck_abort_msg("too many files");
}

static const char *write_text(const char *name, struct bytes text) {
    const char *path = path_of(name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text.data, 1, text.len, f), text.len);
    (void)fclose(f);
    (void)chmod(path, 0644);
    return path;
}

#define WRITE(name, text) write_text((name), bytes_of_cstr(text))

static void setup(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(setenv("XDG_STATE_HOME", folder, 1), 0);
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", folder, 1), 0);
    (void)unsetenv("ATTEST_SERVER");
    (void)unsetenv("ATTEST_CONFIG");
}

static void teardown(void) {
    char command[300];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* --- arguments */
static const struct {
    const char *words[6];
    const char *says;
} misused[] = {
    {{"gate"}, "needs SUBJECT --environment NAME"},
    {{"gate", "a", "b"}, "does not take `b`"},
    {{"gate", "a", "--colour"}, "has no option --colour"},
    {{"gate", "a", "-x"}, "has no option -x"},
    {{"gate", "a", "--explain=1"}, "--explain takes no value"},
    {{"gate", "a", "--environment"}, "--environment needs a value"},
    {{"gate", "a", "--environment=e", "--environment", "f"}, "--environment is given twice"},
    {{"verify", "a"}, "which receipt?"},
    {{"verify", "a", "--receipt", "r", "--max-age", "soon"}, "--max-age must be a time"},
    {{"verify", "a", "--receipt", "r", "--max-age", "0d"}, "--max-age must be a time"},
    {{"list", "a"}, "no server is named"},
    {{"list", "a", "--server", "http://h:1"}, "must be https://HOST:PORT"},
    {{"list", "a", "--server", "https://"}, "must be https://HOST:PORT"},
    {{"list", "a", "--server", "https://h:0"}, "must be https://HOST:PORT"},
    {{"list", "a", "--server", "https://h:65536"}, "must be https://HOST:PORT"},
    {{"list", "a", "--server", "https://h:1x"}, "must be https://HOST:PORT"},
    {{"list", "a", "--server", "https://h:1/p"}, "must be https://HOST:PORT"},
    {{"list", "a", "--server", "https://[::1"}, "must be https://HOST:PORT"},
    {{"list", "a", "--server", "https://[::1]x:1"}, "must be https://HOST:PORT"},
    {{"list", "a", "--server", "https://[::1]x"}, "must be https://HOST:PORT"},
    {{"frobnicate"}, "there is no command `frobnicate`"},
    {{"gatee"}, "did you mean `gate`?"},
    {{"log"}, "log checkpoint"},
    {{"log", "proofs"}, "there is no command"},
};

START_TEST(test_misuse_is_exit_2_and_says_what_to_write) {
    for (size_t i = 0; i < sizeof misused / sizeof *misused; i++) {
        char *argv[8] = {(char *)"attest"};
        int argc = 1;
        for (; argc < 7 && misused[i].words[argc - 1] != NULL; argc++)
            argv[argc] = (char *)misused[i].words[argc - 1];
        ck_assert_msg(run(argc, argv) == 2, "%s %s", argv[1], argv[2]);
        ck_assert_msg(strstr(said_err, misused[i].says) != NULL, "%s does not say: %s", said_err,
                      misused[i].says);
        ck_assert_str_eq(said_out, "");
    }
}
END_TEST

START_TEST(test_every_command_has_help_that_ends_with_its_example) {
    ck_assert_int_eq(ATTEST("--help"), 0);
    char *all = strdup(said_out), *state = NULL;
    int count = 0;
    for (char *line = strtok_r(all, "\n", &state); line != NULL;
         line = strtok_r(NULL, "\n", &state)) {
        char one[20], two[20] = "";
        if (strncmp(line, "SUBJECT", 7) == 0) break;
        if (strncmp(line, "  ", 2) != 0 || strlen(line) < 20) continue;
        line[18] = '\0';
        char *space = strchr(line + 2, ' ');
        (void)snprintf(one, sizeof one, "%.*s", (int)(space - line - 2), line + 2);
        (void)snprintf(two, sizeof two, "%s", space + 1);
        two[strcspn(two, " ")] = '\0';
        int code = two[0] == '\0' ? ATTEST(one, "--help") : ATTEST(one, two, "--help");
        ck_assert_msg(code == 0, "%s %s", one, two);
        char want[64];
        (void)snprintf(want, sizeof want, "\nExample:\n  attest %s%s%s", one,
                       two[0] == '\0' ? "" : " ", two);
        char *example = strstr(said_out, want);
        ck_assert_msg(example != NULL, "%s is not in:\n%s", want, said_out);
        ck_assert_ptr_eq(strchr(example + 12, '\n'), example + strlen(example) - 1);
        count++;
    }
    ck_assert_int_eq(count, 21);
    free(all);
}
END_TEST

START_TEST(test_version_and_words_of_help) {
    ck_assert_int_eq(ATTEST("--version"), 0);
    ck_assert_ptr_nonnull(strstr(said_out, "attest "));
    ck_assert_int_eq(ATTEST("help", "gate"), 0);
    ck_assert_ptr_nonnull(strstr(said_out, "Usage: attest gate"));
    ck_assert_int_eq(ATTEST("log", "--help"), 0);
    ck_assert_ptr_nonnull(strstr(said_out, "log monitor"));
    ck_assert_int_eq(run(1, (char *[]){(char *)"attest", NULL}), 2);
}
END_TEST

START_TEST(test_the_configuration_file_is_strict) {
    static const char *const bad[] = {"{\"servers\":\"https://h:1\"}",
                                      "{\"server\":1}",
                                      "[]",
                                      "{",
                                      "{\"server\":\"x\",\"server\":\"y\"}",
                                      "{\"server\":\"https://h:1\\u0000\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(setenv("ATTEST_CONFIG", WRITE("c.json", bad[i]), 1), 0);
        ck_assert_int_eq(ATTEST("list", "a"), 2);
        ck_assert_msg(strstr(said_err, "c.json") != NULL, "%s: %s", bad[i], said_err);
    }
    ck_assert_int_eq(setenv("ATTEST_CONFIG", "/nowhere/c.json", 1), 0);
    ck_assert_int_eq(ATTEST("list", "a"), 2);
    (void)unsetenv("ATTEST_CONFIG");
}
END_TEST

/* --- verify */
#define STATEMENT(digest)                                                                          \
    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"x\":1},\"predicateType\":"    \
    "\"https://p.example/v1\",\"subject\":[{\"annotations\":{\"attestd_submitter\":{\"method\":"   \
    "\"token\",\"principal\":\"token:ci\"}},\"digest\":{\"sha256\":\"" digest                      \
    "\"},\"name\":\"a\\u001b[31m\"}]}"
#define SHA_HI "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4" /* of "hi" */

/* One receipt about the file "hi", and its trust files. */
static const char *receipt_path, *trust_path, *subject_path;

static void mint(void) {
    struct bundle_receipt r;
    struct buf text, root, keys;
    OK(fixture_init(&fx));
    OK(fixture_add(&fx, FIXTURE_ATTESTATION, BYTES_LIT(STATEMENT(SHA_HI)), FIXTURE_START_S + 60));
    OK(fixture_receipt(&fx, 0, 1, &r));
    buf_init_arena(&text, &fx.arena, 1 << 20);
    bundle_put_receipt(&text, &r);
    struct trust_source source = fixture_trust(&fx);
    buf_init_arena(&root, &fx.arena, 1 << 20);
    buf_init_arena(&keys, &fx.arena, 1 << 20);
    trust_put_root(&root, &source);
    trust_put_signing_keys(&keys, &source);
    receipt_path = write_text("r.json", buf_bytes(&text));
    trust_path = write_text("t.json", buf_bytes(&root));
    (void)write_text("t.json.keys.json", buf_bytes(&keys));
    subject_path = WRITE("hi.txt", "hi");
}

#define VERIFY(subject, ...)                                                                       \
    ATTEST("verify", (char *)(subject), "--receipt", (char *)receipt_path, "--trust",              \
           (char *)trust_path, __VA_ARGS__)

START_TEST(test_verify_answers_yes_no_and_could_not_tell) {
    mint();
    ck_assert_int_eq(VERIFY(subject_path, "--json"), 0);
    ck_assert_ptr_nonnull(strstr(said_out, "\"verified\":true"));
    ck_assert_ptr_nonnull(strstr(said_out, "\"index\":\"0\",\"treeSize\":\"1\""));
    ck_assert_int_eq(VERIFY("name@sha256:" SHA_HI, "--predicate-type", "https://p.example/v1"), 0);
    ck_assert_ptr_nonnull(strstr(said_out, "logged      2026-01-01T00:01:00Z"));
    ck_assert_int_eq(VERIFY("sha256:" SHA_HI, "--predicate-type", "https://p.example/v2"), 1);
    ck_assert_int_eq(VERIFY(receipt_path, "--json"), 1); /* another file */
    ck_assert_ptr_nonnull(strstr(said_out, "\"verified\":false"));
    ck_assert_int_eq(VERIFY(subject_path, "--max-age", "1s"), 1); /* it is of 2026-01-01 */
    ck_assert_ptr_nonnull(strstr(said_out, "--max-age"));
    ck_assert_int_eq(VERIFY("nothing", "--json"), 2);
    ck_assert_int_eq(VERIFY("sha256:ABCD", "--json"), 2);
    ck_assert_int_eq(VERIFY("sha512:" SHA_HI SHA_HI, "--json"), 2);
    ck_assert_int_eq(ATTEST("verify", (char *)subject_path, "--receipt", (char *)receipt_path), 2);
    ck_assert_ptr_nonnull(strstr(said_err, "no trust is saved"));
    (void)unlink(WRITE("t.json.keys.json", ""));
    ck_assert_int_eq(VERIFY(subject_path, "--json"), 2);
    fixture_done(&fx);
}
END_TEST

START_TEST(test_verify_refuses_every_cut_receipt) {
    mint();
    FILE *f = fopen(receipt_path, "rb");
    uint8_t octets[16384];
    size_t len = fread(octets, 1, sizeof octets, f);
    (void)fclose(f);
    for (size_t n = 0; n < len; n += n < 64 ? 1 : 37) {
        receipt_path = write_text("cut.json", (struct bytes){octets, n});
        ck_assert_msg(VERIFY(subject_path, "--json") == 1, "the first %zu octets verify", n);
    }
    fixture_done(&fx);
}
END_TEST

/* Without memory the answer is "could not tell", never yes or no. */
START_TEST(test_verify_without_memory_is_exit_2) {
    mint();
    int code = 2;
    for (long n = 0; code == 2; n++) {
        ck_assert_int_lt(n, 100000);
        (void)alloc_fail_after(n);
        code = VERIFY(subject_path, "--json");
        (void)alloc_fail_after(-1);
    }
    ck_assert_int_eq(code, 0);
    fixture_done(&fx);
}
END_TEST

/* --- policies */
#define POLICY                                                                                     \
    "apiVersion: attestd/v1\nkind: Policy\nname: p\nrequire:\n- name: r\n  predicateType: "        \
    "https://p.example/v1\n  signers: [\"token:ci\"]\n"
#define CASE(name, evidence, expect)                                                               \
    "- name: " name                                                                                \
    "\n  now: 2026-01-02T00:00:00Z\n  environment: e\n  subject: {digest: "                        \
    "{sha256: \"" SHA_HI "\"}}\n  evidence: [" evidence "]\n  expect: " expect "\n"
#define EVIDENCE "{statement: s.json, signer: \"token:ci\", loggedAt: 2026-01-01T00:00:00Z}"

START_TEST(test_nothing_that_a_terminal_obeys_is_printed) {
    (void)WRITE("p.yaml", POLICY);
    (void)WRITE("p.test.yaml", "cases:\n" CASE("\"a\\e[31m\\x9bb\\nc\"", "", "DENY"));
    ck_assert_int_eq(ATTEST("policy", "test", folder), 0);
    ck_assert_ptr_null(strchr(said_out, '\033'));
    ck_assert_ptr_nonnull(strstr(said_out, "a?[31m?b?c\n"));
    ck_assert_int_eq(ATTEST("list", "a", "--server", "https://\033[31m"), 2);
    ck_assert_ptr_null(strchr(said_err, '\033'));
}
END_TEST

START_TEST(test_policy_test_counts_and_fails_closed) {
    (void)WRITE("p.yaml", POLICY);
    (void)WRITE("s.json", STATEMENT(SHA_HI));
    ck_assert_int_eq(ATTEST("policy", "test", folder), 2); /* no case: nothing was tested */
    ck_assert_ptr_nonnull(strstr(said_err, "has no cases"));
    (void)WRITE("p.test.yaml", "cases:\n" CASE("yes", EVIDENCE, "ALLOW") CASE("no", "", "DENY"));
    ck_assert_int_eq(ATTEST("policy", "test", folder), 0);
    ck_assert_ptr_nonnull(strstr(said_out, "2 passed, 0 failed"));
    (void)WRITE("p.test.yaml", "cases:\n" CASE("wrong", "", "ALLOW"));
    ck_assert_int_eq(ATTEST("policy", "test", folder), 1);
    ck_assert_ptr_nonnull(strstr(said_out, "expected ALLOW, got DENY"));
    ck_assert_ptr_nonnull(strstr(said_out, "no attestation of this type"));
    ck_assert_int_eq(ATTEST("policy", "test", folder, "--json"), 1);
    ck_assert_ptr_nonnull(strstr(said_out, "\"passed\":0,\"failed\":1}"));
    (void)WRITE("p.test.yaml", "cases:\n" CASE("lost",
                                               "{statement: none.json, signer: a, loggedAt: "
                                               "2026-01-01T00:00:00Z}",
                                               "DENY"));
    ck_assert_int_eq(ATTEST("policy", "test", folder), 2);
    (void)WRITE("q.yaml", POLICY); /* the name again: the set does not load, whatever is tested */
    ck_assert_int_eq(ATTEST("policy", "test", folder), 2);
    ck_assert_ptr_nonnull(strstr(said_err, "already"));
}
END_TEST

/* A file of cases is about the policy of its name; without one, about all. */
START_TEST(test_cases_are_about_their_policy) {
    static const char other[] =
        "apiVersion: attestd/v1\nkind: Policy\nname: q\nrequire:\n- name: r\n  predicateType: "
        "https://other.example/v1\n  signers: [\"*\"]\n";
    (void)WRITE("p.yaml", POLICY);
    (void)WRITE("q.yaml", other);
    (void)WRITE("s.json", STATEMENT(SHA_HI));
    (void)WRITE("p.test.yaml", "cases:\n" CASE("alone", EVIDENCE, "ALLOW"));
    (void)WRITE("all.test.yaml", "cases:\n" CASE("together", EVIDENCE, "DENY"));
    ck_assert_int_eq(ATTEST("policy", "test", folder), 0);
    ck_assert_ptr_nonnull(strstr(said_out, "against all policies"));
    ck_assert_ptr_nonnull(strstr(said_err, "q.yaml has no cases"));
}
END_TEST

START_TEST(test_policy_lint_advises_and_refuses) {
    (void)WRITE("p.yaml", POLICY);
    ck_assert_int_eq(ATTEST("policy", "lint", folder), 0);
    ck_assert_ptr_nonnull(strstr(said_out, "no maxAge"));
    (void)WRITE("p.yaml", POLICY "color: red\n");
    ck_assert_int_eq(ATTEST("policy", "lint", folder), 1);
    ck_assert_ptr_nonnull(strstr(said_out, "p.yaml:8: `policy` has no key `color`"));
    ck_assert_int_eq(ATTEST("policy", "lint", folder, "--json"), 1);
    ck_assert_ptr_nonnull(strstr(said_out, "\"loads\":false"));
    ck_assert_int_eq(ATTEST("policy", "lint", "/nowhere"), 2);
}
END_TEST

/* --- the pin */
static char told[1024];
static void tell(void *ctx, const char *line) {
    (void)ctx;
    (void)snprintf(told + strlen(told), sizeof told - strlen(told), "%s\n", line);
}

static void load(const struct trust_source *source, struct trust *out) {
    struct buf root, keys;
    buf_init_arena(&root, &fx.arena, 1 << 20);
    buf_init_arena(&keys, &fx.arena, 1 << 20);
    trust_put_root(&root, source);
    trust_put_signing_keys(&keys, source);
    OK(trust_load(buf_bytes(&root), buf_bytes(&keys), out));
}

static enum trust_change change(const struct trust *saved, const struct trust *fetched) {
    told[0] = '\0';
    return client_compare_trust(saved, fetched, tell, NULL);
}

START_TEST(test_the_pin_takes_additions_and_nothing_else) {
    static struct trust saved, now;
    OK(fixture_init(&fx));
    struct trust_source source = fixture_trust(&fx);
    load(&source, &saved);
    load(&source, &now);
    ck_assert_int_eq(change(&saved, &now), TRUST_CHANGE_NONE);
    ck_assert_str_eq(told, "");

    now.origin = BYTES_LIT("other.test");
    ck_assert_int_eq(change(&saved, &now), TRUST_CHANGE_REFUSED);
    ck_assert_ptr_nonnull(strstr(told, "the origin was attestd.test and is other.test"));
    now.origin = saved.origin;

    /* dropped here is added the other way round */
    now.key_count--;
    ck_assert_int_eq(change(&saved, &now), TRUST_CHANGE_REFUSED);
    ck_assert_ptr_nonnull(strstr(told, "was dropped"));
    ck_assert_int_eq(change(&now, &saved), TRUST_CHANGE_ADDED);
    ck_assert_ptr_nonnull(strstr(told, "was added"));
    now.key_count++;
    now.log_count--;
    ck_assert_int_eq(change(&saved, &now), TRUST_CHANGE_REFUSED);
    ck_assert_int_eq(change(&now, &saved), TRUST_CHANGE_ADDED);
    now.log_count++;

    /* every field of a key and of a log counts; an addition beside it does not make up for it */
    const struct trust good = now;
    for (int i = 0; i < 7; i++) {
        now = good;
        if (i == 0) now.keys[0].purpose = TRUST_PURPOSE_DECISION;
        if (i == 1) now.keys[0].valid_from_s++;
        if (i == 2) now.keys[0].valid_until_s--;
        if (i == 3) now.keys[0].key = now.keys[1].key; /* the same hint, another key */
        if (i == 4) now.logs[0].valid_until_s--;
        if (i == 5) now.logs[0].key = now.logs[1].key;
        if (i == 6) now.logs[0].base_url = BYTES_LIT("https://elsewhere");
        ck_assert_msg(change(&saved, &now) == TRUST_CHANGE_REFUSED, "change %d is taken", i);
        ck_assert_ptr_nonnull(strstr(told, "was changed"));
        struct trust less = saved;
        less.key_count = 1;
        less.log_count = 1;
        ck_assert_msg(change(&less, &now) == TRUST_CHANGE_REFUSED, "change %d is taken", i);
    }
    now = good;
    trust_done(&saved);
    trust_done(&now);
    fixture_done(&fx);
}
END_TEST

/* --- latencies */
static int by_value(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

START_TEST(test_percentiles_are_within_one_in_sixty_four) {
    enum { COUNT = 20000 };
    static struct histogram h;
    static uint64_t values[COUNT];
    static const uint32_t parts[] = {1, 500000, 900000, 990000, 999000, 1000000};
    uint64_t rng = 7;
    for (size_t i = 0; i < COUNT; i++) {
        rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
        values[i] = (rng >> 33) >> (i % 28);
        histogram_add(&h, values[i]);
    }
    qsort(values, COUNT, sizeof *values, by_value);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t rank = (size_t)(((uint64_t)COUNT * parts[i] + 999999) / 1000000);
        uint64_t want = values[rank == 0 ? 0 : rank - 1], got = histogram_at(&h, parts[i]);
        ck_assert_msg(got >= want && got <= want + want / 64, "%u: %llu, not %llu", parts[i],
                      (unsigned long long)got, (unsigned long long)want);
    }
}
END_TEST

START_TEST(test_histogram_at_its_ends) {
    static struct histogram h;
    ck_assert_uint_eq(histogram_at(&h, 500000), 0);
    for (uint64_t v = 0; v < 128; v++) {
        static struct histogram one;
        one = (struct histogram){0};
        histogram_add(&one, v);
        ck_assert_uint_eq(histogram_at(&one, 500000), v); /* small values are exact */
    }
    histogram_add(&h, UINT64_MAX);
    ck_assert_uint_ge(histogram_at(&h, 1), ((uint64_t)1 << 40) - 1);
}
END_TEST

/* --- a stop while a file is written */

#define LONG_OCTETS ((size_t)64 << 20) /* takes long enough to be stopped in */

static size_t files_of(const char *dir, const char *part) {
    size_t n = 0;
    DIR *d = opendir(dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (strstr(e->d_name, part) != NULL) n++;
    (void)closedir(d);
    return n;
}

static void *stop_writing(void *dir) {
    while (files_of(dir, ".tmp-") == 0) {
    }
    (void)kill(getpid(), SIGINT);
    return NULL;
}

/* write_and_stop writes a long file in a child, which is stopped in the middle, and returns how the
 * child ended. */
static int write_and_stop(void (*on_stop)(int)) {
    char dir[] = "/tmp/test-stop.XXXXXX", path[64];
    int status = 0;
    struct stat st;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/token", dir);
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        uint8_t *octets = calloc(1, LONG_OCTETS);
        (void)signal(SIGINT, on_stop); /* Check has a handler */
        if (octets == NULL || pthread_create(&thread, NULL, stop_writing, dir) != 0) _exit(3);
        struct error *err = cli_create_file(path, (struct bytes){octets, LONG_OCTETS}, 0600);
        (void)pthread_join(thread, NULL);
        _exit(err == NULL ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq((size_t)st.st_size, LONG_OCTETS);
    ck_assert_uint_eq(files_of(dir, ".tmp-"), 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(dir), 0);
    return status;
}

START_TEST(test_a_stop_waits_until_a_file_is_whole) {
    int status = write_and_stop(SIG_DFL);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "status %d", status);
    status = write_and_stop(SIG_IGN); /* as nohup has it */
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}
END_TEST

static Suite *client_suite(void) {
    Suite *s = suite_create("client");
    TCase *tc = tcase_create("offline");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_misuse_is_exit_2_and_says_what_to_write);
    tcase_add_test(tc, test_every_command_has_help_that_ends_with_its_example);
    tcase_add_test(tc, test_version_and_words_of_help);
    tcase_add_test(tc, test_the_configuration_file_is_strict);
    tcase_add_test(tc, test_verify_answers_yes_no_and_could_not_tell);
    tcase_add_test(tc, test_verify_refuses_every_cut_receipt);
    tcase_add_test(tc, test_verify_without_memory_is_exit_2);
    tcase_add_test(tc, test_nothing_that_a_terminal_obeys_is_printed);
    tcase_add_test(tc, test_policy_test_counts_and_fails_closed);
    tcase_add_test(tc, test_cases_are_about_their_policy);
    tcase_add_test(tc, test_policy_lint_advises_and_refuses);
    tcase_add_test(tc, test_the_pin_takes_additions_and_nothing_else);
    tcase_add_test(tc, test_percentiles_are_within_one_in_sixty_four);
    tcase_add_test(tc, test_histogram_at_its_ends);
#ifndef __SANITIZE_THREAD__ /* whose runtime does not survive threads of a forked child */
    tcase_add_test(tc, test_a_stop_waits_until_a_file_is_whole);
#endif
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(client_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
