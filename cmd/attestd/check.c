/* attestd fsck and attestd anchor accept: a stopped log against what it says of itself. */
#include <stdio.h>

#include "base/reader.h"
#include "codec/codec.h"
#include "directory.h"
#include "tlog/tlog.h"

static struct tlog_options log_options(const struct instance *i) {
    const struct instance_facts *facts = instance_facts(i);
    return (struct tlog_options){.origin = bytes_of_text(facts->origin),
                                 .tree_id = facts->tree_id,
                                 .anchor_inner = instance_anchor_inner(i),
                                 .anchor_outer = instance_anchor_outer(i),
                                 .data_dir = instance_data(i),
                                 .clock = &clock_system};
}

/* --- fsck: 0 all agrees, 1 it does not (nor does what cannot be read back), 2 could not tell */

static const struct flag fsck_flags[] = {SETTINGS_FLAG_DATA, SETTINGS_FLAG_ANCHOR,
                                         SETTINGS_FLAG_PASSPHRASE, SETTINGS_FLAG_CONFIG};

static const struct directory_command fsck_command = {
    fsck_flags, sizeof fsck_flags / sizeof *fsck_flags, 0,
    "attestd fsck [--data DIR] [--anchor FILE]", "attestd fsck --data /tmp/attestd-demo"};

static void say(void *ctx, bool problem, const char *line) {
    (void)ctx;
    (void)fprintf(problem ? stdout : stderr, "%s%s\n", problem ? "problem: " : "", line);
}

static struct error *fsck(const struct directory *d, struct tlog_fsck_report *out) {
    struct instance_options options = d->instance;
    options.db.read_only = true;
    CLEANUP(instance_freep) struct instance *i = NULL;
    TRY(instance_open(&options, &i));
    const struct tlog_options log = log_options(i);
    return tlog_fsck(instance_store(i), instance_signer(i), &log, say, NULL, out);
}

static void print_report(const struct tlog_fsck_report *r) {
    struct buf root;
    buf_init(&root, 64);
    hex_put(&root, sha256_bytes(&r->root));
    if (r->outer_missing)
        (void)printf(
            "the outer anchor is missing: nothing outside DATA says how far the log was\n");
    if (r->problems > 0)
        (void)printf("%llu problems in ", (unsigned long long)r->problems);
    else
        (void)printf("all agrees: ");
    (void)printf("%llu entries, root %.*s\n", (unsigned long long)r->entries, (int)root.len,
                 (const char *)root.data);
    buf_done(&root);
}

int fsck_main(int argc, char **argv) {
    struct directory d;
    struct tlog_fsck_report result = {0};
    int code = EXIT_USAGE;
    if (directory_read(&d, &fsck_command, argc, argv, &code)) {
        struct error *err = fsck(&d, &result);
        if (err == NULL) print_report(&result);
        bool damaged = err != NULL && error_code(err) == ERROR_DATA_LOSS;
        if (err != NULL)
            code = report(err, damaged ? EXIT_OTHER : EXIT_USAGE);
        else
            code = result.problems == 0 ? EXIT_CLEAN : EXIT_OTHER;
    }
    directory_done(&d);
    return report_output(code, EXIT_USAGE);
}

/* --- anchor accept */

static const struct flag accept_flags[] = {
    {"--size", "N", "entries that the log has", 1},
    {"--root", "HEX", "its root, 64 lower-case digits", 1},
    SETTINGS_FLAG_DATA,
    SETTINGS_FLAG_ANCHOR,
    SETTINGS_FLAG_PASSPHRASE,
    SETTINGS_FLAG_CONFIG,
};

static const struct directory_command accept_command = {
    accept_flags, sizeof accept_flags / sizeof *accept_flags, 0,
    "attestd anchor accept --size N --root HEX [--data DIR] [--anchor FILE]",
    "attestd anchor accept --size 0 --root "
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"};

struct head {
    uint64_t size;
    struct sha256 root;
};

static struct error *read_head(const struct flags *f, struct head *out) {
    const char *size = flags_get(f, "--size"), *root = flags_get(f, "--root");
    if (size == NULL || root == NULL)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "--size and --root are required: those that a monitor or a receipt "
                         "vouches for");
    if (!bytes_to_u64(bytes_of_cstr(size), &out->size))
        return error_new(ERROR_INVALID_ARGUMENT, "--size %s: not a number", size);
    if (!hex_decode(bytes_of_cstr(root), out->root.octets, sizeof out->root.octets))
        return error_new(ERROR_INVALID_ARGUMENT, "--root: not 64 lower-case hexadecimal digits");
    return NULL;
}

static int accept_head(const struct directory *d, const struct head *head) {
    CLEANUP(instance_freep) struct instance *i = NULL;
    struct error *err = instance_open(&d->instance, &i);
    if (err != NULL) return report(err, exit_of(err));
    const struct tlog_options log = log_options(i);
    err = tlog_anchor_accept(instance_store(i), instance_signer(i), &log, head->size, &head->root);
    if (err != NULL) return report(err, EXIT_OTHER); /* the answer is no, or it cannot be written */
    (void)printf("accepted: %llu entries, %s\n", (unsigned long long)head->size,
                 instance_anchor_outer(i));
    return EXIT_CLEAN;
}

int anchor_accept_main(int argc, char **argv) {
    struct directory d;
    struct head head;
    int code = EXIT_OTHER;
    if (directory_read(&d, &accept_command, argc, argv, &code)) {
        struct error *err = read_head(&d.flags, &head);
        code = err != NULL ? report(err, EXIT_USAGE) : accept_head(&d, &head);
    }
    directory_done(&d);
    return code;
}
