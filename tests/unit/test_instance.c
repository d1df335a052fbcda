#include "instance_fixture.h"

static void assert_opens(void) {
    CLEANUP(instance_freep) struct instance *i = NULL;
    ok(instance_open(&options, &i));
    assert_token_works(i);
    CLEANUP(ca_freep) struct ca *ca = NULL;
    ok(instance_open_ca(i, &ca));
}

/* --- init */

START_TEST(test_init_makes_a_directory_that_opens) {
    static const struct text names[] = {{"build.example", 13}, {"10.1.2.3", 8}};
    const struct instance_init init = {"log.example", names, COUNT(names), NULL};
    ck_assert_int_eq(look(), INSTANCE_EMPTY);
    ok(instance_init(&options, &init));
    ck_assert(synced_before_facts_moved); /* what it vouches for was durable before it */
    ck_assert_int_eq(look(), INSTANCE_PRESENT);
    CLEANUP(instance_freep) struct instance *i = NULL;
    ok(instance_open(&options, &i));
    assert_token_works(i);
    const struct instance_facts *f = instance_facts(i);
    ck_assert(text_equal(f->origin, TEXT_LIT("log.example")));
    ck_assert(f->tree_id > 0 && f->tree_id <= INT64_MAX);
    ck_assert_int_eq(f->created_ms, BORN_MS);
    ck_assert(sha256_equal(&f->log_id, signer_log_id(instance_signer(i))));
    ck_assert(!f->has_passphrase);
    ck_assert(text_equal(f->tls_names[f->tls_name_count - 1], names[1]));
    ck_assert_str_eq(instance_anchor_inner(i), at("data/anchor"));
    ck_assert_str_eq(instance_anchor_outer(i), at("outer/anchor"));
    ck_assert_str_eq(instance_policies(i), at("data/policies"));
    ck_assert_ptr_nonnull(strstr(said, "log.example"));
    ck_assert_ptr_nonnull(strstr(said, "2026-08-2")); /* when the token ends: 90 days on */
    ck_assert_ptr_nonnull(strstr(said, "protects copies of the database"));
    ck_assert_ptr_null(strstr(said, "attestd_")); /* the token itself is not said */
}
END_TEST

START_TEST(test_only_the_owner_can_read_what_init_made) {
    ok(instance_init(&options, &plain));
    ck_assert_int_eq(shell("test -z \"$(find data -type f -perm /077 ! -path 'data/db/*' "
                           "! -name ca.pem ! -name server.pem)\""),
                     0);
    ck_assert_int_eq(shell("test -z \"$(find data -type d -perm /077)\""), 0);
    ck_assert_int_eq(shell("test $(stat -c %%s data/secret) = 32"), 0);
    ck_assert_int_eq(shell("test ! -e data/staging.tmp && cmp data/tls/ca.pem data/client/ca.pem"),
                     0);
}
END_TEST

static void want_config(char *out, size_t size, const char *server) {
    (void)snprintf(out, size,
                   "{\"server\":\"%s\",\"ca\":\"%s/data/client/ca.pem\",\"token_file\":"
                   "\"%s/data/client/admin.token\"}\n",
                   server, root, root);
}

START_TEST(test_the_cli_is_configured_unless_it_is_already) {
    char want[512];
    want_config(want, sizeof want, "https://127.0.0.1:8443");
    ok(instance_init(&options, &plain));
    ck_assert(holds("data/client/config.json", want));
    ck_assert(holds("home/.config/attest/config.json", want));
    ck_assert_ptr_nonnull(strstr(said, "warning: from now on the CLI acts with the admin token"));
    ck_assert_int_eq(shell("rm -rf data && echo mine > home/.config/attest/config.json"), 0);
    ok(instance_init(&options, &plain));
    ck_assert(holds("home/.config/attest/config.json", "mine\n"));
    ck_assert(holds("data/client/config.json", want));

    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", at("xdg"), 1), 0);
    ck_assert_int_eq(shell("rm -rf data"), 0);
    ok(instance_init(&options, &plain));
    ck_assert(holds("xdg/attest/config.json", want));
    ck_assert_int_eq(shell("rm -rf data xdg && echo x > xdg"), 0); /* no folder can be made */
    ok(instance_init(&options, &plain));
    ck_assert_ptr_nonnull(strstr(said, "no configuration for the user's CLI"));
    ck_assert_int_eq(look(), INSTANCE_PRESENT);
}
END_TEST

START_TEST(test_init_wants_an_empty_directory_and_touches_no_other) {
    ck_assert_int_eq(shell("mkdir data && echo x > data/file"), 0);
    ck_assert_int_eq(look(), INSTANCE_FOREIGN);
    refused(instance_init(&options, &plain), ERROR_FAILED_PRECONDITION, "not attestd's");
    refused(instance_init(&options, &plain), ERROR_FAILED_PRECONDITION, "not attestd's");
    ck_assert_int_eq(shell("test \"$(ls -A data)\" = file"), 0);
    ck_assert_int_eq(shell("rm data/file && mkdir data/lost+found data/policies data/backups && "
                           "echo x > data/policies/mine.yaml"),
                     0);
    ok(instance_init(&options, &plain));
    ck_assert(holds("data/policies/mine.yaml", "x\n"));
    refused(instance_init(&options, &plain), ERROR_FAILED_PRECONDITION, "holds an instance");
    assert_opens();
}
END_TEST

START_TEST(test_bad_names_make_nothing) {
    static const struct text bad[] = {{"*.example", 9}};
    static struct text many[INSTANCE_NAMES_MAX + 1];
    for (size_t n = 0; n < COUNT(many); n++) many[n] = (struct text){"a", 1};
    const struct instance_init inits[] = {{"Log.example", NULL, 0, NULL},
                                          {"log example", NULL, 0, NULL},
                                          {"log.example", bad, 1, NULL},
                                          {"log.example", many, COUNT(many), NULL}};
    for (size_t n = 0; n < COUNT(inits); n++) {
        struct error *err = instance_init(&options, &inits[n]);
        ck_assert_ptr_nonnull(err);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
        ck_assert_int_eq(look(), INSTANCE_EMPTY);
    }
    ok(instance_init(&options, &(struct instance_init){0})); /* the machine's own name */
    assert_opens();
}
END_TEST

static void run_init(void) {
    error_ignore(instance_init(&options, &plain), "the parent looks at what it left");
}

START_TEST(test_an_init_killed_anywhere_leaves_nothing_or_a_whole_instance) {
    long empty = 0, whole = 0;
    for (long n = 0; killed("init", n); n++) {
        bool nothing = look() == INSTANCE_EMPTY;
        empty += nothing;
        whole += !nothing;
        /* What is left of an unfinished one is wiped as a whole: a third of them shows it. */
        if (nothing && n % 3 == 0) ok(instance_init(&options, &plain));
        if (!nothing || n % 3 == 0) {
            assert_opens();
            ck_assert_int_eq(shell("test ! -e data/staging.tmp"), 0);
        }
        ck_assert_int_eq(shell("rm -rf data home/.config"), 0);
    }
    ck_assert_int_gt(empty, 20);
    ck_assert_int_gt(whole, 8); /* the moves out, and what follows them */
}
END_TEST

/* --- holding */

START_TEST(test_a_directory_is_held_by_one_process) {
    ok(instance_init(&options, &plain));
    int64_t pid = -1;
    ok(instance_holder(options.data, &pid));
    ck_assert_int_eq(pid, 0);
    CLEANUP(instance_freep) struct instance *i = NULL;
    struct instance *none = NULL;
    ok(instance_open(&options, &i));
    char says[64];
    (void)snprintf(says, sizeof says, "is held by process %d: stop it", (int)getpid());
    refused(instance_open(&options, &none), ERROR_FAILED_PRECONDITION, says);
    struct instance_options reading = options;
    reading.db.read_only = true;
    refused(instance_open(&reading, &none), ERROR_FAILED_PRECONDITION, says);
    ok(instance_holder(options.data, &pid));
    ck_assert_int_eq(pid, getpid());
    instance_free(i);
    i = NULL;
    ok(instance_open(&options, &i)); /* it was let go */
}
END_TEST

START_TEST(test_reading_changes_nothing) {
    ok(instance_init(&options, &plain));
    ck_assert_int_eq(shell("cp -a data before"), 0);
    struct instance_options reading = options;
    reading.db.read_only = true;
    struct instance *i = NULL;
    ok(instance_open(&reading, &i));
    struct error *err =
        store_put_record(instance_store(i), KV_META, BYTES_LIT("x"), BYTES_LIT("y"));
    refused(err, ERROR_FAILED_PRECONDITION, "read-only");
    instance_free(i);
    ck_assert_int_eq(shell("diff -r --exclude=lock before data"), 0);
    ck_assert_int_eq(shell("rm -rf data before && mkdir -p data/staging.tmp && "
                           "echo '{}' > data/staging.tmp/instance.json"),
                     0);
    refused(instance_open(&reading, &i), ERROR_FAILED_PRECONDITION, "half-made");
    ck_assert_int_eq(shell("rm -rf data"), 0);
    refused(instance_open(&reading, &i), ERROR_FAILED_PRECONDITION, "attestd init");
    ck_assert_int_eq(shell("test ! -e data"), 0);
}
END_TEST

/* --- secrets */

START_TEST(test_a_passphrase_seals_the_keys_and_leaves_no_secret) {
    ck_assert_int_eq(shell("printf 'correct horse\\n' > phrase && printf 'correct horse' > bare && "
                           "echo wrong > wrong && : > empty && printf '\\n' > blank"),
                     0);
    struct instance *i = NULL;
    options.passphrase_file = at("empty");
    refused(instance_init(&options, &plain), ERROR_INVALID_ARGUMENT, "empty");
    options.passphrase_file = at("blank");
    refused(instance_init(&options, &plain), ERROR_INVALID_ARGUMENT, "passphrase");
    options.passphrase_file = at("none");
    refused(instance_init(&options, &plain), ERROR_INVALID_ARGUMENT, "no such file");
    options.passphrase_file = at("phrase");
    ok(instance_init(&options, &plain));
    ck_assert_ptr_null(strstr(said, "protects copies"));
    ck_assert_int_eq(shell("test ! -e data/secret"), 0);
    assert_opens();
    options.passphrase_file = at("bare"); /* an editor's newline is not part of it */
    assert_opens();
    options.passphrase_file = at("wrong");
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "the keys do not open");
    options.passphrase_file = NULL;
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "--key-passphrase-file");
    ck_assert_int_eq(shell("mkdir creds && cp phrase creds/attestd.key"), 0);
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", at("creds"), 1), 0);
    assert_opens();
    ck_assert_int_eq(shell("rm creds/attestd.key"), 0);
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "--key-passphrase-file");
}
END_TEST

START_TEST(test_a_secret_that_is_not_the_right_one_is_refused) {
    ok(instance_init(&options, &plain));
    ck_assert_int_eq(shell("cp data/secret kept && echo phrase > phrase"), 0);
    struct instance *i = NULL;
    options.passphrase_file = at("phrase");
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "leave out");
    options.passphrase_file = NULL;
    ck_assert_int_eq(shell("head -c 32 /dev/zero > data/secret"), 0);
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "the keys do not open");
    ck_assert_int_eq(shell("head -c 31 kept > data/secret"), 0);
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "not a secret of 32 octets");
    ck_assert_int_eq(shell("cat kept kept > data/secret"), 0);
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "not a secret of 32 octets");
    ck_assert_int_eq(shell(": > data/secret"), 0);
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "not a secret of 32 octets");
    ck_assert_int_eq(shell("rm data/secret"), 0);
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "put back the secret");
    ck_assert_int_eq(shell("cp kept data/secret"), 0);
    assert_opens();
}
END_TEST

START_TEST(test_derived_secrets_last_and_differ_by_label) {
    ok(instance_init(&options, &plain));
    CLEANUP(secret_freep) struct secret *a = NULL;
    CLEANUP(secret_freep) struct secret *b = NULL;
    CLEANUP(secret_freep) struct secret *other = NULL;
    for (int round = 0; round < 2; round++) {
        CLEANUP(instance_freep) struct instance *i = NULL;
        ok(instance_open(&options, &i));
        ok(instance_derive(i, "page tokens", round == 0 ? &a : &b));
        if (round == 0) ok(instance_derive(i, "something else", &other));
    }
    ck_assert(bytes_equal(secret_view(a), secret_view(b)));
    ck_assert(!bytes_equal(secret_view(a), secret_view(other)));
}
END_TEST

/* --- what does not belong together */

static const struct {
    const char *damage;
    const char *says;
} mismatches[] = {
    {"rm data/instance.json", "and no instance.json"},
    {"echo '{}' > data/instance.json", "instance.json"},
    {"sed -i 's/\"version\":1/\"version\":2/' data/instance.json", "another program version"},
    {"sed -i 's/log.example/lag.example/' data/instance.json", "do not belong together"},
    {"sed -i 's/\"treeId\":\"/&1/' data/instance.json", "instance.json"},
    {"cp other/instance.json data/", "another instance's keys"},
    {"rm -r data/keys && cp -r other/keys data/", "the keys do not open"},
    {"rm -r data/keys && cp -r other/keys data/ && cp other/secret data/",
     "another instance's keys"},
    {"cp other/keys/decision.key data/keys/", "the keys do not open"},
    {"cp data/keys/attestation.key data/keys/decision.key", "the keys do not open"},
    {"rm data/keys/log-v1.key", "the keys do not open"},
    {"echo x >> data/keys/log-v1.key", "the keys do not open"},
    {"rm -r data/db && cp -r other/db data/", "do not belong together"},
    {"rm -r data/db", "restore a backup"},
    {"rm -r data/db && mkdir data/db", "restore a backup"},
    {"rm data/db/CURRENT", "restore a backup"},
};

START_TEST(test_parts_of_different_instances_do_not_open) {
    ok(instance_init(&options, &plain));
    ck_assert_int_eq(shell("mv data other"), 0);
    ok(instance_init(&options, &plain));
    ck_assert_int_eq(shell("mv data kept"), 0);
    for (size_t n = 0; n < COUNT(mismatches); n++) {
        ck_assert_int_eq(shell("rm -rf data && cp -a kept data"), 0);
        ck_assert_int_eq(shell("%s", mismatches[n].damage), 0);
        struct instance *i = NULL;
        refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, mismatches[n].says);
        ck_assert_ptr_null(i);
    }
    ck_assert_int_eq(shell("test ! -e data/db/CURRENT"), 0); /* a lost database is not made anew */
}
END_TEST

START_TEST(test_an_unknown_schema_does_not_open) {
    ok(instance_init(&options, &plain));
    struct kv *kv = NULL;
    ok(kv_rocksdb_open(at("data/db"), &options.db, &kv));
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(kv, b, KV_META, BYTES_LIT("S"), BYTES_LIT("\0\0\0\x63"));
    ok(kv_write(kv, b));
    kv_batch_free(kv, b);
    kv_close(kv);
    struct instance *i = NULL;
    refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "schema");
}
END_TEST

START_TEST(test_facts_cut_short_or_changed_do_not_open) {
    ok(instance_init(&options, &plain));
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct bytes facts;
    ok(file_read(&arena, at("data/instance.json"), 4096, &facts));
    struct instance *i = NULL;
    for (size_t n = 0; n + 1 < facts.len; n++) { /* the newline is not missed */
        ok(file_write(at("data/instance.json"), (struct bytes){facts.data, n}, 0600, FILE_REPLACE));
        refused(instance_open(&options, &i), ERROR_FAILED_PRECONDITION, "instance.json");
    }
    uint8_t copy[4096];
    for (size_t n = 0; n < facts.len; n += 5) {
        memcpy(copy, facts.data, facts.len);
        copy[n] ^= (uint8_t)(1 << n % 7);
        ok(file_write(at("data/instance.json"), (struct bytes){copy, facts.len}, 0600,
                      FILE_REPLACE));
        struct error *err = instance_open(&options, &i);
        ck_assert_msg(err != NULL, "opened with octet %zu changed", n);
        ck_assert_int_eq(error_code(err), ERROR_FAILED_PRECONDITION);
        error_free(err);
    }
    arena_done(&arena);
}
END_TEST

/* --- where things are */

START_TEST(test_default_places_follow_the_user) {
    struct file_path data;
    ok(instance_default_data(&data));
    bool is_root = geteuid() == 0;
    ck_assert_str_eq(data.text, is_root ? "/var/lib/attestd" : at("home/.local/share/attestd"));
    ok(instance_init(&options, &plain));
    options.anchor = NULL;
    CLEANUP(instance_freep) struct instance *i = NULL;
    ok(instance_open(&options, &i));
    char want[256];
    const struct sha256 *id = &instance_facts(i)->log_id;
    (void)snprintf(want, sizeof want, "%s/log.example-%02x%02x%02x%02x.anchor",
                   is_root ? "/var/lib/attestd-anchor" : at("home/.local/state/attestd"),
                   id->octets[0], id->octets[1], id->octets[2], id->octets[3]);
    ck_assert_str_eq(instance_anchor_outer(i), want);
}
END_TEST

START_TEST(test_publishing_tells_the_cli_where_the_server_is) {
    static const struct {
        const char *listen, *server;
    } cases[] = {{"127.0.0.1:40123", "https://127.0.0.1:40123"},
                 {"0.0.0.0:8443", "https://127.0.0.1:8443"},
                 {"[::]:8443", "https://[::1]:8443"},
                 {"10.0.0.7:443", "https://10.0.0.7:443"}};
    ok(instance_init(&options, &plain));
    CLEANUP(instance_freep) struct instance *i = NULL;
    ok(instance_open(&options, &i));
    for (size_t n = 0; n < COUNT(cases); n++) {
        char run[256], config[512];
        (void)snprintf(run, sizeof run, "{\"pid\":%d,\"listen\":\"%s\",\"ops\":\"127.0.0.1:1\"}\n",
                       (int)getpid(), cases[n].listen);
        want_config(config, sizeof config, cases[n].server);
        ok(instance_publish(i, cases[n].listen, "127.0.0.1:1"));
        ck_assert(holds("data/run.json", run));
        ck_assert(holds("data/client/config.json", config));
        ck_assert(holds("home/.config/attest/config.json", config));
    }
    ck_assert_int_eq(shell("echo mine > home/.config/attest/config.json"), 0);
    ok(instance_publish(i, "127.0.0.1:2", "127.0.0.1:1"));
    ck_assert(holds("home/.config/attest/config.json", "mine\n"));
    ok(instance_unpublish(i));
    ok(instance_unpublish(i));
    ck_assert_int_eq(shell("test ! -e data/run.json && test -e data/client/config.json"), 0);
}
END_TEST

/* --- memory */

static struct error *open_and_publish(void) {
    CLEANUP(instance_freep) struct instance *i = NULL;
    TRY(instance_open(&options, &i));
    return instance_publish(i, "127.0.0.1:1", "127.0.0.1:2");
}

START_TEST(test_every_allocation_failure_is_an_error) {
    ok(instance_init(&options, &plain));
    (void)alloc_fail_after(-1);
    ok(open_and_publish());
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 30);
    long failures = 0;
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        struct error *err = open_and_publish();
        (void)alloc_fail_after(-1);
        failures += err != NULL; /* not where only a convenience is given up */
        if (err != NULL) ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        error_free(err);
    }
    ck_assert_int_gt(failures, needed - 5);
    assert_opens();
}
END_TEST

static const struct job jobs[] = {{"init", run_init}, {NULL, NULL}};

static Suite *instance_suite(void) {
    Suite *s = suite_create("instance");
    TCase *tc = tcase_create("instance");
    tcase_set_timeout(tc, 240);
    tcase_add_unchecked_fixture(tc, init_libraries, NULL);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_init_makes_a_directory_that_opens);
    tcase_add_test(tc, test_only_the_owner_can_read_what_init_made);
    tcase_add_test(tc, test_the_cli_is_configured_unless_it_is_already);
    tcase_add_test(tc, test_init_wants_an_empty_directory_and_touches_no_other);
    tcase_add_test(tc, test_bad_names_make_nothing);
    tcase_add_test(tc, test_an_init_killed_anywhere_leaves_nothing_or_a_whole_instance);
    tcase_add_test(tc, test_a_directory_is_held_by_one_process);
    tcase_add_test(tc, test_reading_changes_nothing);
    tcase_add_test(tc, test_a_passphrase_seals_the_keys_and_leaves_no_secret);
    tcase_add_test(tc, test_a_secret_that_is_not_the_right_one_is_refused);
    tcase_add_test(tc, test_derived_secrets_last_and_differ_by_label);
    tcase_add_test(tc, test_parts_of_different_instances_do_not_open);
    tcase_add_test(tc, test_an_unknown_schema_does_not_open);
    tcase_add_test(tc, test_facts_cut_short_or_changed_do_not_open);
    tcase_add_test(tc, test_default_places_follow_the_user);
    tcase_add_test(tc, test_publishing_tells_the_cli_where_the_server_is);
    tcase_add_test(tc, test_every_allocation_failure_is_an_error);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv) {
    return argc == 4 ? be_killed(argv, jobs) : run_suite(instance_suite());
}
