/* instance_fixture: what the suites of the data directory share. rename, link, mkdir and unlink are
 * replaced by ones that can end the process in front of the n-th call, as a kill would: the linker
 * prefers a program's own definition to the C library's. */
#ifndef TESTS_INSTANCE_FIXTURE_H
#define TESTS_INSTANCE_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "instance/instance.h"
#include "obs/obs.h"
#include "service/token.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define BORN_MS ((int64_t)1780000000000)
#define KILLED 77

static long kill_after = -1; /* names changed before the process ends; negative: never */

static void step(void) {
    if (kill_after >= 0 && kill_after-- == 0) _exit(KILLED);
}

int fsync(int fd);
int rename(const char *from, const char *to);
int link(const char *from, const char *to);
int unlink(const char *path);
int mkdir(const char *path, mode_t mode);

/* Whether something was synced between the last two renames: that is all a test can see of an order
 * that only a power failure would show. */
static unsigned syncs;
static bool synced_before_facts_moved;

static void note_rename(const char *to) {
    static const char facts[] = "/data/instance.json";
    size_t len = strlen(to);
    if (len >= sizeof facts - 1 && strcmp(to + len - (sizeof facts - 1), facts) == 0)
        synced_before_facts_moved = syncs > 0;
    syncs = 0;
}

int fsync(int fd) {
    syncs++;
    return (int)syscall(SYS_fsync, fd);
}
int rename(const char *from, const char *to) {
    step();
    note_rename(to);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int link(const char *from, const char *to) {
    step();
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int unlink(const char *path) {
    step();
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
int mkdir(const char *path, mode_t mode) {
    step();
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

static int64_t now_ms = BORN_MS;
static int64_t fake_unix_ms(void *ctx) {
    (void)ctx;
    return now_ms;
}
static uint64_t fake_mono_us(void *ctx) {
    (void)ctx;
    return (uint64_t)now_ms * 1000;
}
static const struct clock fake_clock = {fake_unix_ms, fake_mono_us, NULL};

static void ok(struct error *err) {
    if (err == NULL) return;
    char text[1024];
    error_text(err, text, sizeof text);
    error_free(err);
    ck_abort_msg("unexpected error: %s", text);
}

/* `says` must stand in the error's text. */
static void refused(struct error *err, enum error_code code, const char *says) {
    ck_assert_msg(err != NULL, "accepted, where \"%s\" was expected", says);
    char text[1024];
    error_text(err, text, sizeof text);
    ck_assert_msg(error_code(err) == code && strstr(text, says) != NULL, "%s: %s, not \"%s\"",
                  error_code_name(error_code(err)), text, says);
    error_free(err);
}

static char root[64]; /* of the test: DATA is below, and so is the user's home */
static char said[8192];

static void hear(void *ctx, const char *line) {
    (void)ctx;
    size_t len = strlen(said);
    (void)snprintf(said + len, sizeof said - len, "%s\n", line);
}

static const char *at(const char *name) {
    static struct file_path paths[16];
    static size_t next;
    struct file_path *p = &paths[next++ % COUNT(paths)];
    ok(file_path_join(root, name, p));
    return p->text;
}

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *fmt, ...) {
    char command[1024], line[1200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    (void)snprintf(line, sizeof line, "cd '%s' && { %s; }", root, command);
    return system(line);
}

static struct instance_options options;
static const struct instance_init plain = {.origin = "log.example"};

static void set_options(void) {
    log_set_level(LOG_ERROR);
    static struct file_path data, anchor;
    ok(file_path_join(root, "data", &data));
    ok(file_path_join(root, "outer/anchor", &anchor));
    options = (struct instance_options){.data = data.text,
                                        .anchor = anchor.text,
                                        .db = KV_ROCKSDB_DEFAULTS,
                                        .clock = &fake_clock,
                                        .entropy = &entropy_system,
                                        .say = hear};
}

static void setup(void) {
    /* Hundreds of databases are made and synced: in memory where there is a place for it. */
    const char *base = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(root, sizeof root, "%s/test_instance.XXXXXX", base);
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(shell("mkdir home"), 0);
    ck_assert_int_eq(setenv("HOME", at("home"), 1), 0);
    ck_assert_int_eq(unsetenv("XDG_CONFIG_HOME"), 0);
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    said[0] = '\0';
    set_options();
}

static void teardown(void) { ck_assert_int_eq(shell("rm -rf '%s'", root), 0); }

static bool holds(const char *name, const char *want) {
    struct arena arena;
    arena_init(&arena, 1 << 18);
    struct bytes got = {0};
    struct error *err = file_read(&arena, at(name), 1 << 16, &got);
    bool same = err == NULL && bytes_equal(got, bytes_of_cstr(want));
    error_free(err);
    arena_done(&arena);
    return same;
}

static enum instance_state look(void) {
    enum instance_state state = INSTANCE_FOREIGN;
    ok(instance_look(options.data, &state));
    return state;
}

/* Whether the token in DATA/client/admin.token opens this instance's door. */
static void assert_token_works(const struct instance *i) {
    struct arena arena;
    arena_init(&arena, 4096);
    struct bytes line;
    CLEANUP(tokens_freep) struct tokens *tokens = NULL;
    const struct principal *p = NULL;
    ok(file_read(&arena, at("data/client/admin.token"), 256, &line));
    ck_assert_uint_eq(line.data[line.len - 1], '\n');
    ok(tokens_open(instance_store(i), &fake_clock, &entropy_system, &tokens));
    ok(tokens_authenticate(tokens, (struct bytes){line.data, line.len - 1}, &p));
    ck_assert(text_equal(p->name, TEXT_LIT("token:admin")));
    ck_assert_uint_eq(p->scopes, SCOPES_ALL);
    ck_assert_int_eq(p->expires_ms, now_ms + 90 * (int64_t)86400000);
    arena_done(&arena);
}

/* --- killing: in a program of its own, since the storage library's threads do not survive a fork
 */

struct job {
    const char *name;
    void (*run)(void);
};

/* Runs job `name` in a process that is killed in front of its n-th change of a name; false: the job
 * came to its end. */
static bool killed(const char *name, long n) {
    char count[24];
    (void)snprintf(count, sizeof count, "%ld", n);
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/proc/self/exe", "child", name, count, root, (char *)NULL);
        _exit(1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == KILLED);
    return WEXITSTATUS(status) == KILLED;
}

/* `jobs` ends with an empty one. */
static int be_killed(char **argv, const struct job *jobs) {
    uint64_t n = 0;
    if (!bytes_to_u64(bytes_of_cstr(argv[2]), &n) || crypto_init() != NULL) return 1;
    (void)snprintf(root, sizeof root, "%s", argv[3]);
    set_options();
    kill_after = (long)n;
    for (const struct job *j = jobs; j->name != NULL; j++) {
        if (strcmp(j->name, argv[1]) != 0) continue;
        j->run();
        return 0;
    }
    return 1;
}

static int run_suite(Suite *s) {
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void init_libraries(void) { ok(crypto_init()); }

#endif
