/* The RocksDB form of kv: what is on disk, after a kill, and when files are damaged. */
#include <dirent.h>
#include <fcntl.h>
#include <rocksdb/c.h> /* to play a later version */
#include <signal.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "kv_support.h"

/* --- RocksDB's own: what is on disk */

static struct error *open_at(const char *path, bool read_only, struct kv **out) {
    struct kv_rocksdb_options options = KV_ROCKSDB_DEFAULTS;
    options.read_only = read_only;
    return kv_rocksdb_open(path, &options, out);
}

static int open_code(const char *path, bool read_only) {
    struct kv *kv = NULL;
    struct error *err = open_at(path, read_only, &kv);
    int code = err == NULL ? 0 : (int)error_code(err);
    error_free(err);
    kv_close(kv);
    return code;
}

enum { DAMAGE_KEYS = 64 };

/* read_all reads everything: 0 all is there and right, an error code, or 100 + how much is gone. */
static int read_all(const char *path) {
    struct kv *kv = NULL;
    struct error *err = open_at(path, false, &kv);
    int missing = 0;
    for (int i = 0; i < DAMAGE_KEYS && err == NULL; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%04d", i);
        struct arena arena;
        arena_init(&arena, 1 << 16);
        bool found = false;
        struct bytes got = {0};
        err = kv_get(kv, NULL, KV_ENTRY, bytes_of_cstr(key), &arena, &found, &got);
        if (err == NULL && found) {
            for (size_t k = 0; k < got.len; k++) {
                if (got.data[k] != (uint8_t)(k * 31 + k / 7)) _exit(99); /* a wrong answer */
            }
        }
        if (err == NULL && found && missing > 0) _exit(97); /* a hole: no prefix of the writes */
        if (err == NULL && !found) missing++;
        if (err == NULL) err = kv_get(kv, NULL, KV_META, bytes_of_cstr(key), &arena, &found, &got);
        if (err == NULL && found && !bytes_equal(got, BYTES_LIT("value"))) _exit(99);
        arena_done(&arena);
    }
    int code = err != NULL ? (int)error_code(err) : missing == 0 ? 0 : 100 + missing;
    error_free(err);
    kv_close(kv);
    return code;
}

/* What another process does, and says in its exit code: this program runs itself as that. */
static int act(const char *role, const char *path) {
    if (strcmp(role, "open") == 0) return open_code(path, false);
    if (strcmp(role, "open-read-only") == 0) return open_code(path, true);
    return read_all(path);
}

static int in_another_process(const char *role, const char *name) {
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/proc/self/exe", "test_kv_files", role, in_folder(name), (char *)NULL);
        _exit(98);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "crashed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

START_TEST(test_what_was_written_is_there_after_reopening) {
    struct kv *kv = new_kv(ROCKS);
    put(kv, KV_META, "a", "1");
    ok(kv_flush(kv));
    put(kv, KV_ENTRY, "b", "2"); /* only in the write-ahead log */
    kv_close(kv);
    kv = new_kv(ROCKS);
    ck_assert(holds(kv, NULL, KV_META, "a", "1"));
    ck_assert(holds(kv, NULL, KV_ENTRY, "b", "2"));
    kv_close(kv);
}
END_TEST

START_TEST(test_what_was_written_is_there_after_a_kill) {
    int pipe_fds[2];
    ck_assert_int_eq(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct kv *kv = new_kv(ROCKS);
        put(kv, KV_META, "a", "1");
        put(kv, KV_ENTRY, "b", "2");
        (void)!write(pipe_fds[1], "w", 1);
        (void)pause();
        _exit(0);
    }
    char octet;
    ck_assert_int_eq(read(pipe_fds[0], &octet, 1), 1);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    CLEANUP(kv_closep) struct kv *kv = new_kv(ROCKS);
    ck_assert(holds(kv, NULL, KV_META, "a", "1"));
    ck_assert(holds(kv, NULL, KV_ENTRY, "b", "2"));
}
END_TEST

START_TEST(test_a_second_opening_is_refused) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(ROCKS);
    ck_assert_int_eq(open_code(in_folder("db"), false), ERROR_FAILED_PRECONDITION);
    ck_assert_int_eq(in_another_process("open", "db"), ERROR_FAILED_PRECONDITION);
    ck_assert_int_eq(in_another_process("open-read-only", "db"), ERROR_FAILED_PRECONDITION);
    put(kv, KV_META, "still", "here");
}
END_TEST

/* tree_print lists names and sizes, to see that nothing was made or changed. */
static void folder_print(const char *path, char *out, size_t size) {
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    size_t at = 0;
    out[0] = '\0';
    for (int i = 0; i < n; i++) {
        char file[512];
        struct stat st;
        (void)snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        ck_assert_int_eq(lstat(file, &st), 0);
        if (S_ISREG(st.st_mode))
            at += (size_t)snprintf(out + at, size - at, "%s %ld\n", names[i]->d_name,
                                   (long)st.st_size);
        ck_assert_uint_lt(at, size);
        free(names[i]);
    }
    free(names);
}

START_TEST(test_read_only_sees_all_changes_nothing_and_keeps_writers_out) {
    struct kv *kv = new_kv(ROCKS);
    put(kv, KV_META, "a", "1");
    ok(kv_flush(kv));
    put(kv, KV_META, "b", "2");
    kv_close(kv);
    char was[8192], is[8192];
    folder_print(in_folder("db"), was, sizeof was);
    ok(open_rocks("db", true, &kv));
    ck_assert_str_eq(listing(kv, NULL, KV_META, "", ""), "a=1 b=2");
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(kv, b, KV_META, BYTES_LIT("c"), BYTES_LIT("3"));
    fails(kv_write(kv, b), ERROR_FAILED_PRECONDITION);
    fails(kv_flush(kv), ERROR_FAILED_PRECONDITION);
    kv_batch_free(kv, b);
    folder_print(in_folder("db"), is, sizeof is);
    ck_assert_str_eq(is, was);
    /* a writer that is kept out still rolls its LOG */
    ck_assert_int_eq(in_another_process("open", "db"), ERROR_FAILED_PRECONDITION);
    kv_close(kv);
}
END_TEST

START_TEST(test_read_only_makes_no_database) {
    struct kv *kv = NULL;
    fails(open_rocks("none", true, &kv), ERROR_NOT_FOUND);
    ck_assert_int_eq(access(in_folder("none"), F_OK), -1);
    ck_assert_int_eq(mkdir(in_folder("empty"), 0700), 0);
    fails(open_rocks("empty", true, &kv), ERROR_NOT_FOUND);
    fails(open_rocks("no/parent", false, &kv), ERROR_NOT_FOUND);
}
END_TEST

START_TEST(test_a_checkpoint_is_a_whole_database) {
    struct kv *kv = new_kv(ROCKS);
    put(kv, KV_META, "a", "1");
    ok(kv_flush(kv));
    put(kv, KV_ENTRY, "b", "2");
    ok(kv_checkpoint(kv, in_folder("copy")));
    put(kv, KV_ENTRY, "c", "3");
    fails(kv_checkpoint(kv, in_folder("copy")), ERROR_UNAVAILABLE); /* never over another */
    struct kv *copy = NULL;
    ok(open_rocks("copy", true, &copy));
    ck_assert_str_eq(listing(copy, NULL, KV_ENTRY, "", ""), "b=2");
    kv_close(copy);
    ok(open_rocks("copy", false, &copy)); /* and goes its own way from there */
    put(copy, KV_ENTRY, "d", "4");
    kv_close(copy);
    ck_assert_str_eq(listing(kv, NULL, KV_ENTRY, "", ""), "b=2 c=3");
    kv_close(kv);
}
END_TEST

START_TEST(test_logs_of_the_library_are_bounded) {
    for (int i = 0; i < 12; i++) kv_close(new_kv(ROCKS));
    int logs = 0;
    DIR *d = opendir(in_folder("db"));
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        logs += strncmp(e->d_name, "LOG", 3) == 0;
    (void)closedir(d);
    ck_assert_int_le(logs, 5);
}
END_TEST

/* --- damage: whatever is flipped or cut, reading ends in an error or in what was written */

static void copy_file(const char *from, const char *to) {
    int in = open(from, O_RDONLY);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert(in >= 0 && out >= 0);
    char block[65536];
    for (ssize_t n = read(in, block, sizeof block); n > 0; n = read(in, block, sizeof block))
        ck_assert_int_eq(write(out, block, (size_t)n), n);
    (void)close(in);
    (void)close(out);
}

static void copy_db(const char *from, const char *to) {
    remove_tree(to);
    ck_assert_int_eq(mkdir(to, 0700), 0);
    DIR *d = opendir(from);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char a[512], b[512];
        if (e->d_name[0] == '.') continue;
        (void)snprintf(a, sizeof a, "%s/%s", from, e->d_name);
        (void)snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        copy_file(a, b);
    }
    (void)closedir(d);
}

static void fill_for_damage(struct kv *kv) {
    struct buf value;
    buf_init(&value, 4096);
    for (int i = 0; i < 600; i++) buf_put_u8(&value, (uint8_t)(i * 31 + i / 7));
    for (int i = 0; i < DAMAGE_KEYS; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%04d", i);
        struct kv_batch *b = kv_batch_new(kv);
        kv_batch_put(kv, b, KV_ENTRY, bytes_of_cstr(key), buf_bytes(&value));
        kv_batch_put(kv, b, KV_META, bytes_of_cstr(key), BYTES_LIT("value"));
        ok(kv_write(kv, b));
        kv_batch_free(kv, b);
    }
    buf_done(&value);
}

static void flip(const char *path, off_t at, uint8_t bit) {
    int fd = open(path, O_RDWR);
    uint8_t octet;
    ck_assert(fd >= 0 && pread(fd, &octet, 1, at) == 1);
    octet ^= bit;
    ck_assert_int_eq(pwrite(fd, &octet, 1, at), 1);
    (void)close(fd);
}

struct damage_case {
    const char *suffix; /* of the file name, or its start for MANIFEST */
    bool may_lose; /* the write-ahead log: losing its end is not noticed here, but by anchors */
    bool flushed;
};

static const struct damage_case damages[] = {
    {".sst", false, true},
    {".blob", false, true},
    {"MANIFEST", false, true},
    {".log", true, false},
};

static bool damage_names(const struct damage_case *c, const char *name) {
    size_t len = strlen(name), n = strlen(c->suffix);
    if (strncmp(name, c->suffix, n) == 0) return true;
    return c->suffix[0] == '.' && len > n && strcmp(name + len - n, c->suffix) == 0;
}

/* Flips one bit in each of a few places of each file of the kind. */
static int damage_everywhere(const struct damage_case *c, int places) {
    int damaged = 0;
    DIR *d = opendir(in_folder("db"));
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        struct stat st;
        char path[512];
        if (!damage_names(c, e->d_name)) continue;
        (void)snprintf(path, sizeof path, "%s/%s", in_folder("db"), e->d_name);
        ck_assert_int_eq(stat(path, &st), 0);
        for (int i = 0; i < places && st.st_size > 0; i++) {
            copy_db(in_folder("db"), in_folder("hurt"));
            (void)snprintf(path, sizeof path, "%s/%s", in_folder("hurt"), e->d_name);
            off_t at = st.st_size * (2 * i + 1) / (2 * places);
            flip(path, at, (uint8_t)(1 << (i % 8)));
            int code = in_another_process("read", "hurt");
            bool fine = code == 0 || code == ERROR_DATA_LOSS || (c->may_lose && code > 100);
            ck_assert_msg(fine, "%s octet %ld: %d", e->d_name, (long)at, code);
            damaged += code != 0;
        }
    }
    (void)closedir(d);
    return damaged;
}

START_TEST(test_flipped_bits_end_in_data_loss_and_never_in_a_wrong_answer) {
    const struct damage_case *c = &damages[_i];
    struct kv *kv = new_kv(ROCKS);
    fill_for_damage(kv);
    if (c->flushed) ok(kv_flush(kv));
    kv_close(kv);
    copy_db(in_folder("db"), in_folder("sound")); /* opening "db" itself would empty its log */
    ck_assert_int_eq(in_another_process("read", "sound"), 0);
    ck_assert_int_gt(damage_everywhere(c, 8), 0);
}
END_TEST

START_TEST(test_missing_files_end_in_data_loss) {
    struct kv *kv = new_kv(ROCKS);
    fill_for_damage(kv);
    ok(kv_flush(kv));
    kv_close(kv);
    int tried = 0;
    DIR *d = opendir(in_folder("db"));
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        bool needed = damage_names(&damages[0], e->d_name) ||
                      damage_names(&damages[1], e->d_name) ||
                      damage_names(&damages[2], e->d_name) || strcmp(e->d_name, "CURRENT") == 0;
        if (!needed) continue;
        copy_db(in_folder("db"), in_folder("hurt"));
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", in_folder("hurt"), e->d_name);
        ck_assert_int_eq(unlink(path), 0);
        int code = in_another_process("read", "hurt");
        ck_assert_msg(code == ERROR_DATA_LOSS, "without %s: %d", e->d_name, code);
        tried++;
    }
    (void)closedir(d);
    ck_assert_int_ge(tried, 4);
}
END_TEST

START_TEST(test_a_torn_write_ahead_log_gives_a_prefix) {
    struct kv *kv = new_kv(ROCKS);
    fill_for_damage(kv);
    kv_close(kv);
    int torn = 0;
    DIR *d = opendir(in_folder("db"));
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        struct stat st;
        char path[512];
        if (!damage_names(&damages[3], e->d_name)) continue;
        copy_db(in_folder("db"), in_folder("hurt"));
        (void)snprintf(path, sizeof path, "%s/%s", in_folder("hurt"), e->d_name);
        ck_assert_int_eq(stat(path, &st), 0);
        if (st.st_size < 1000) continue;
        ck_assert_int_eq(truncate(path, st.st_size - 10), 0);
        ck_assert_int_eq(in_another_process("read", "hurt"), 101); /* the last write alone */
        torn++;
    }
    (void)closedir(d);
    ck_assert_int_eq(torn, 1);
}
END_TEST

/* A database of a later version has a family more: it must not be opened without it. */
START_TEST(test_an_unknown_family_is_refused) {
    static const char *const names[] = {"default", "from the future"};
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_create_missing_column_families(options, 1);
    const rocksdb_options_t *both[] = {options, options};
    rocksdb_column_family_handle_t *handles[2];
    char *message = NULL;
    rocksdb_t *db =
        rocksdb_open_column_families(options, in_folder("db"), 2, names, both, handles, &message);
    ck_assert_ptr_null(message);
    for (int i = 0; i < 2; i++) rocksdb_column_family_handle_destroy(handles[i]);
    rocksdb_close(db);
    rocksdb_options_destroy(options);
    ck_assert_int_eq(open_code(in_folder("db"), false), ERROR_DATA_LOSS);
    ck_assert_int_eq(open_code(in_folder("db"), true), ERROR_DATA_LOSS);
}
END_TEST

static Suite *kv_files_suite(void) {
    Suite *s = suite_create("kv files");
    TCase *own = tcase_create("files");
    tcase_add_checked_fixture(own, make_folder, remove_folder);
    tcase_set_timeout(own, 240);
    tcase_add_test(own, test_what_was_written_is_there_after_reopening);
    tcase_add_test(own, test_what_was_written_is_there_after_a_kill);
    tcase_add_test(own, test_a_second_opening_is_refused);
    tcase_add_test(own, test_read_only_sees_all_changes_nothing_and_keeps_writers_out);
    tcase_add_test(own, test_read_only_makes_no_database);
    tcase_add_test(own, test_a_checkpoint_is_a_whole_database);
    tcase_add_test(own, test_logs_of_the_library_are_bounded);
    tcase_add_loop_test(own, test_flipped_bits_end_in_data_loss_and_never_in_a_wrong_answer, 0,
                        (int)(sizeof damages / sizeof *damages));
    tcase_add_test(own, test_missing_files_end_in_data_loss);
    tcase_add_test(own, test_a_torn_write_ahead_log_gives_a_prefix);
    tcase_add_test(own, test_an_unknown_family_is_refused);
    suite_add_tcase(s, own);
    return s;
}

int main(int argc, char **argv) {
    if (argc == 3) return act(argv[1], argv[2]);
    SRunner *sr = srunner_create(kv_files_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
