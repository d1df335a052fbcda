/* Backup and restore of the data directory. */
#include "instance_fixture.h"

/* --- backup and restore */

/* Three entries' worth of head, and a record, in the open instance. */
static void grow(const struct instance *i) {
    struct store_round *r = NULL;
    struct store_head head = {.integrated_s = 1};
    for (uint8_t n = 0; n < 3; n++) {
        struct sha256 leaf = {{n}};
        merkle_append(&head.frontier, &leaf, NULL, NULL);
    }
    head.root = merkle_root(&head.frontier);
    ok(store_round_new(instance_store(i), &r));
    store_round_head(r, &head);
    ok(store_round_commit(r));
    store_round_free(r);
    ok(store_put_record(instance_store(i), KV_META, BYTES_LIT("k"), BYTES_LIT("value")));
}

static struct instance_backed_up back_up(bool with_secret) {
    CLEANUP(instance_freep) struct instance *i = NULL;
    struct instance_backed_up made;
    ok(instance_init(&options, &plain));
    ck_assert_int_eq(shell("echo the inner anchor > data/anchor"), 0);
    ok(instance_open(&options, &i));
    grow(i);
    ok(instance_backup(i, &(struct instance_backup){NULL, with_secret}, &made));
    return made;
}

START_TEST(test_a_backup_is_named_by_time_and_size_and_holds_no_secret) {
    struct instance_backed_up made = back_up(false);
    ck_assert_uint_eq(made.tree_size, 3);
    ck_assert_str_eq(made.path.text, at("data/backups/20260528T202640Z-3"));
    ck_assert_int_eq(shell("cd data/backups/2* && test $(stat -c %%a .) = 700 && "
                           "ls > ../../../list && ! ls -d ../partial-* 2>/dev/null"),
                     0);
    ck_assert(holds("list", "anchor\ndb\ninstance.json\nkeys\nmanifest.json\ntls\n"));
    /* every file is listed with what sha256sum finds */
    ck_assert_int_eq(
        shell("cd data/backups/2* && for f in $(find . -type f ! -name manifest.json); "
              "do grep -q \"\\\"${f#./}\\\",\\\"size\\\":\\\"$(stat -c %%s $f)\\\","
              "\\\"sha256\\\":\\\"$(sha256sum < $f | cut -c1-64)\\\"\" manifest.json "
              "|| exit 1; done"),
        0);
    ck_assert_int_eq(shell("! grep -rq -F -f data/client/admin.token data/backups"), 0);
}
END_TEST

START_TEST(test_backups_of_one_second_and_size_get_names_of_their_own) {
    struct instance_backed_up made = back_up(false), more;
    CLEANUP(instance_freep) struct instance *i = NULL;
    ok(instance_open(&options, &i));
    for (int n = 41; n < 45; n++) { /* seconds of the clock's minute */
        char want[64];
        (void)snprintf(want, sizeof want, "data/backups/20260528T2026%dZ-3", n);
        ok(instance_backup(i, &(struct instance_backup){NULL, false}, &more));
        ck_assert_str_eq(more.path.text, at(want));
        ck_assert_str_ne(more.path.text, made.path.text);
    }
}
END_TEST

START_TEST(test_a_backup_that_fails_leaves_nothing) {
    (void)back_up(false);
    CLEANUP(instance_freep) struct instance *i = NULL;
    struct instance_backed_up made;
    ok(instance_open(&options, &i));
    ck_assert_int_eq(shell("rm -rf data/backups/* && mkdir aside && mv data/keys aside/"), 0);
    refused(instance_backup(i, &(struct instance_backup){NULL, false}, &made), ERROR_NOT_FOUND,
            "keys");
    ck_assert_int_eq(shell("test -z \"$(ls -A data/backups)\" && mv aside/keys data/"), 0);
    ok(instance_backup(i, &(struct instance_backup){at("elsewhere/b"), false}, &made));
    ck_assert_int_eq(shell("test -e elsewhere/b/2*/manifest.json"), 0);
}
END_TEST

static void wipe_data(void) {
    ck_assert_int_eq(shell("mv data/backups/2* backup && cp data/secret old-secret; "
                           "cp -r data/client old-client; rm -rf data"),
                     0);
}

static struct error *restore(const char *secret_file) {
    uint64_t size = 0;
    const struct instance_restore request = {at("backup"), secret_file};
    struct error *err = instance_restore(&options, &request, &size);
    if (err == NULL) ck_assert_uint_eq(size, 3);
    return err;
}

static void assert_restored(void) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    CLEANUP(instance_freep) struct instance *i = NULL;
    bool found = false;
    struct bytes value;
    struct store_head head;
    ok(instance_open(&options, &i));
    ok(store_get_record(instance_store(i), KV_META, BYTES_LIT("k"), &arena, &found, &value));
    ck_assert(found && bytes_equal(value, BYTES_LIT("value")));
    ok(store_get_head(instance_store(i), NULL, &head));
    ck_assert_uint_eq(head.frontier.size, 3);
    CLEANUP(ca_freep) struct ca *ca = NULL;
    ok(instance_open_ca(i, &ca));
    ck_assert(holds("data/anchor", "the inner anchor\n"));
    ck_assert_int_eq(shell("cp old-client/admin.token data/client/ && "
                           "cmp old-client/ca.pem data/client/ca.pem && "
                           "cmp old-client/config.json data/client/config.json"),
                     0);
    assert_token_works(i);
    arena_done(&arena);
}

START_TEST(test_a_backup_restores_with_the_old_secret_only) {
    (void)back_up(false);
    wipe_data();
    refused(restore(NULL), ERROR_INVALID_ARGUMENT, "--secret-file");
    refused(restore(at("none")), ERROR_INVALID_ARGUMENT, "does not read");
    ck_assert_int_eq(shell("head -c 32 /dev/zero > zeros"), 0);
    refused(restore(at("zeros")), ERROR_FAILED_PRECONDITION, "the backup's keys do not open");
    ck_assert_int_eq(look(), INSTANCE_EMPTY);
    ok(restore(at("old-secret")));
    assert_restored();
    refused(restore(at("old-secret")), ERROR_FAILED_PRECONDITION, "holds an instance");
}
END_TEST

START_TEST(test_a_backup_with_its_secret_restores_alone) {
    (void)back_up(true);
    wipe_data();
    ok(restore(NULL));
    assert_restored();
    ck_assert_int_eq(shell("cmp data/secret old-secret && test $(stat -c %%a data/secret) = 600"),
                     0);
}
END_TEST

START_TEST(test_a_secret_added_afterwards_counts_as_the_backups_own) {
    struct instance_backed_up made = back_up(false);
    ok(instance_backup_add_secret(options.data, made.path.text));
    struct error *err = instance_backup_add_secret(options.data, made.path.text);
    refused(err, ERROR_ALREADY_EXISTS, "secret");
    wipe_data();
    ok(restore(NULL));
    assert_restored();
    refused(instance_backup_add_secret(options.data, at("old-client")), ERROR_INVALID_ARGUMENT,
            "no backup");
    ck_assert_int_eq(shell("test ! -e old-client/secret"), 0);
}
END_TEST

START_TEST(test_a_backup_sealed_by_a_passphrase_restores_with_it) {
    ck_assert_int_eq(shell("echo one > one && echo two > two"), 0);
    options.passphrase_file = at("one");
    (void)back_up(true); /* there is no secret to take */
    wipe_data();
    options.passphrase_file = NULL;
    refused(restore(NULL), ERROR_FAILED_PRECONDITION, "--key-passphrase-file");
    options.passphrase_file = at("two");
    refused(restore(NULL), ERROR_FAILED_PRECONDITION, "the backup's keys do not open");
    options.passphrase_file = at("one");
    ok(restore(NULL));
    assert_restored();
}
END_TEST

START_TEST(test_a_backup_with_any_file_changed_or_missing_is_refused) {
    (void)back_up(true);
    wipe_data();
    ck_assert_int_eq(shell("mv backup kept && cd kept && find . -type f ! -name manifest.json | "
                           "sed 's,^./,,' > ../files"),
                     0);
    FILE *files = fopen(at("files"), "r");
    char name[256];
    size_t tried = 0;
    while (fgets(name, sizeof name, files) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        ck_assert_int_eq(
            shell("rm -rf backup && cp -r kept backup && printf x >> 'backup/%s'", name), 0);
        refused(restore(NULL), ERROR_INVALID_ARGUMENT, "not what the manifest says");
        ck_assert_int_eq(shell("cp 'kept/%s' 'backup/%s' && printf '\\377' | dd of='backup/%s' "
                               "conv=notrunc status=none",
                               name, name, name),
                         0);
        refused(restore(NULL), ERROR_INVALID_ARGUMENT, "not what the manifest says");
        ck_assert_int_eq(shell("rm 'backup/%s'", name), 0);
        refused(restore(NULL), ERROR_INVALID_ARGUMENT, "the backup is not whole");
        ck_assert_int_eq(look(), INSTANCE_EMPTY);
        tried++;
    }
    (void)fclose(files);
    ck_assert_uint_gt(tried, 12);
}
END_TEST

static const struct {
    const char *edit, *says;
} bad_manifests[] = {
    {"rm manifest.json", "is no backup"},
    {": > manifest.json", ""},
    {"sed -i 's/\"version\":1/\"version\":2/' manifest.json", "another program version"},
    {"sed -i 's,\"keys/attestation.key\",\"keys/../../x\",' manifest.json", "path"},
    {"sed -i 's,\"keys/attestation.key\",\"/etc/passwd\",' manifest.json", "path"},
    {"sed -i 's,\"keys/attestation.key\",\"keys/.hidden\",' manifest.json", "path"},
    {"sed -i 's,\"keys/attestation.key\",\"client/admin.token\",' manifest.json", "path"},
    {"sed -i 's,\"keys/attestation.key\",\"keys/decision.key\",' manifest.json", "order of files"},
    {"sed -i 's/\"treeSize\":\"3\"/\"treeSize\":\"4\"/' manifest.json", "its manifest says 4"},
    {"sed -i 's/\"treeSize\":\"3\"/\"treeSize\":3.5/' manifest.json", "treeSize"},
    {"sed -i 's/{\"path\":\"instance.json\"[^}]*},//' manifest.json", "no instance.json"},
    {"mv keys/decision.key ../x && ln -s ../../x keys/decision.key", "symbolic links"},
};

START_TEST(test_a_manifest_reaches_nothing_outside_its_backup) {
    (void)back_up(true);
    wipe_data();
    ck_assert_int_eq(shell("mv backup kept"), 0);
    for (size_t n = 0; n < COUNT(bad_manifests); n++) {
        ck_assert_int_eq(
            shell("rm -rf backup && cp -r kept backup && cd backup && %s", bad_manifests[n].edit),
            0);
        refused(restore(NULL), ERROR_INVALID_ARGUMENT, bad_manifests[n].says);
        ck_assert_int_eq(look(), INSTANCE_EMPTY);
    }
}
END_TEST

static const struct {
    const char *taken, *says; /* from the other backup */
} of_another[] = {
    {"keys/* secret", "the backup holds another instance's keys"},
    {"instance.json", "the backup holds another instance's keys"},
    {"instance.json keys/* secret", "do not belong together"}, /* the database is the first one's */
};

/* Each part is whole, and what its manifest says: a directory of two instances would sign with the
 * keys of one what the other's log holds. */
START_TEST(test_a_backup_with_parts_of_another_instance_is_refused) {
    (void)back_up(true);
    wipe_data();
    ck_assert_int_eq(shell("mv backup first"), 0);
    (void)back_up(true);
    wipe_data();
    ck_assert_int_eq(shell("mv backup other"), 0);
    for (size_t n = 0; n < COUNT(of_another); n++) {
        ck_assert_int_eq(
            shell("rm -rf backup && cp -r first backup && cd other && for f in %s; do "
                  "cp $f ../backup/$f && sed -E -i \"s|($f.,.size.:.)[0-9]+(.,.sha256.:.)[0-9a-f]+|"
                  "\\1$(stat -c %%s $f)\\2$(sha256sum <$f | cut -c1-64)|\" ../backup/manifest.json "
                  "|| exit 1; done",
                  of_another[n].taken),
            0);
        refused(restore(NULL), ERROR_FAILED_PRECONDITION, of_another[n].says);
        ck_assert_int_eq(look(), INSTANCE_EMPTY);
    }
}
END_TEST

static void run_restore(void) {
    uint64_t size = 0;
    error_ignore(instance_restore(&options, &(struct instance_restore){at("backup"), NULL}, &size),
                 "the parent looks at what it left");
}

START_TEST(test_a_restore_killed_anywhere_leaves_nothing_or_a_whole_instance) {
    (void)back_up(true);
    wipe_data();
    long empty = 0, whole = 0;
    for (long n = 0; killed("restore", n); n++) {
        if (look() == INSTANCE_EMPTY) {
            empty++;
            ok(restore(NULL));
        } else {
            whole++;
        }
        assert_restored();
        ck_assert_int_eq(shell("test ! -e data/staging.tmp && rm -rf data"), 0);
    }
    ck_assert_int_gt(empty, 5);
    ck_assert_int_gt(whole, 6);
}
END_TEST

static void run_backup(void) {
    CLEANUP(instance_freep) struct instance *i = NULL;
    struct instance_backed_up made;
    long after = kill_after;
    kill_after = -1;
    if (instance_open(&options, &i) != NULL) _exit(1);
    kill_after = after;
    error_ignore(instance_backup(i, &(struct instance_backup){NULL, true}, &made),
                 "the parent looks at what it left");
}

START_TEST(test_a_backup_killed_anywhere_leaves_no_name_or_a_whole_backup) {
    (void)back_up(false);
    wipe_data();
    ok(restore(at("old-secret")));
    long named = 0, n = 0;
    for (; killed("backup", n); n++) {
        if (shell("test -e data/backups/2*") != 0) continue;
        named++;
        ck_assert_int_eq(shell("rm -rf data/backups"), 0);
    }
    ck_assert_int_gt(n, 5);
    ck_assert_int_eq(named, 0); /* the name is the last step */
    ck_assert_int_eq(shell("rm -rf backup && mv data/backups/2* backup && rm -rf data"), 0);
    ok(restore(NULL));
    assert_restored();
}
END_TEST

START_TEST(test_instances_that_share_a_folder_leave_each_others_unfinished_backup_alone) {
    (void)back_up(false);
    for (long n = 0; shell("test -e data/backups/partial-*/keys/log-v1.key") != 0; n++)
        ck_assert(killed("backup", n));
    ck_assert_int_eq(shell("mv data/backups shared && rm -rf shared/2* data"), 0);

    CLEANUP(instance_freep) struct instance *other = NULL;
    struct instance_backed_up made;
    ok(instance_init(&options, &plain));
    ok(instance_open(&options, &other));
    ok(instance_backup(other, &(struct instance_backup){at("shared"), false}, &made));
    ck_assert_int_eq(shell("test -e shared/partial-*/keys/log-v1.key"), 0);
    ck_assert_int_eq(shell("test $(ls -d shared/partial-* | wc -l) = 1"), 0);
}
END_TEST

static const struct job jobs[] = {{"restore", run_restore}, {"backup", run_backup}, {NULL, NULL}};

static Suite *backup_suite(void) {
    Suite *s = suite_create("backup");
    TCase *tc = tcase_create("backup");
    tcase_set_timeout(tc, 240);
    tcase_add_unchecked_fixture(tc, init_libraries, NULL);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_a_backup_is_named_by_time_and_size_and_holds_no_secret);
    tcase_add_test(tc, test_backups_of_one_second_and_size_get_names_of_their_own);
    tcase_add_test(tc, test_a_backup_that_fails_leaves_nothing);
    tcase_add_test(tc, test_a_backup_restores_with_the_old_secret_only);
    tcase_add_test(tc, test_a_backup_with_its_secret_restores_alone);
    tcase_add_test(tc, test_a_secret_added_afterwards_counts_as_the_backups_own);
    tcase_add_test(tc, test_a_backup_sealed_by_a_passphrase_restores_with_it);
    tcase_add_test(tc, test_a_backup_with_any_file_changed_or_missing_is_refused);
    tcase_add_test(tc, test_a_manifest_reaches_nothing_outside_its_backup);
    tcase_add_test(tc, test_a_backup_with_parts_of_another_instance_is_refused);
    tcase_add_test(tc, test_a_restore_killed_anywhere_leaves_nothing_or_a_whole_instance);
    tcase_add_test(tc, test_a_backup_killed_anywhere_leaves_no_name_or_a_whole_backup);
    tcase_add_test(tc,
                   test_instances_that_share_a_folder_leave_each_others_unfinished_backup_alone);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv) {
    return argc == 4 ? be_killed(argv, jobs) : run_suite(backup_suite());
}
