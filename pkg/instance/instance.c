/* An open data directory. */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "instance/internal.h"
#include "obs/obs.h"

#define SAY_MAX 1024

void instance_say(const struct instance_options *o, const char *fmt, ...) {
    if (o->say == NULL) return;
    char line[SAY_MAX]; /* cut rather than lost */
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    o->say(o->say_ctx, line);
}

/* --- opening */

/* What is not there, or is not what it should be, is for a person to mend: one code for all. */
static struct error *found_wrong(struct error *err, const char *what, const char *advice) {
    enum error_code code = error_code(err);
    if (code != ERROR_NOT_FOUND && code != ERROR_INVALID_ARGUMENT &&
        code != ERROR_FAILED_PRECONDITION)
        return error_wrap(err, "%s", what);
    return error_recode(err, ERROR_FAILED_PRECONDITION, "%s: %s", what, advice);
}

static struct error *read_facts(struct instance *i, struct bytes *out_octets) {
    struct file_path path;
    TRY(file_path_join(i->data.text, FACTS_FILE, &path));
    struct error *err = file_read(&i->arena, path.text, FACTS_MAX, out_octets);
    if (err == NULL) err = facts_parse(&i->arena, *out_octets, &i->facts);
    if (err == NULL) return NULL;
    return found_wrong(err, path.text, "use the version that wrote it, or restore a backup");
}

static struct error *open_keys(struct instance *i) {
    struct file_path secret, keys;
    TRY(file_path_join(i->data.text, SECRET_FILE, &secret));
    TRY(file_path_join(i->data.text, "keys", &keys));
    TRY(wrap_open(&i->options, &i->facts, secret.text, &i->wrap));
    struct error *err = signer_load(keys.text, i->wrap, &i->signer);
    if (err != NULL)
        return found_wrong(err, "the keys do not open",
                           i->facts.has_passphrase
                               ? "give the passphrase they were sealed under, or restore a backup"
                               : "put back the secret they were sealed under, or restore a backup");
    if (!sha256_equal(signer_log_id(i->signer), &i->facts.log_id))
        return error_new(ERROR_FAILED_PRECONDITION,
                         "%s holds another instance's keys: put back the right ones", keys.text);
    return NULL;
}

/* Whether the database was made with these facts. */
static struct error *check_belongs(struct store *store, struct bytes facts) {
    struct arena arena;
    arena_init(&arena, 4096);
    struct bytes stored = {0};
    bool found = false;
    struct sha256 digest = sha256_of(facts);
    struct error *err = store_get_record(store, KV_META, FACTS_DIGEST_KEY, &arena, &found, &stored);
    bool same = err == NULL && found && bytes_equal(stored, sha256_bytes(&digest));
    arena_done(&arena);
    if (err != NULL || same) return err;
    return error_new(ERROR_FAILED_PRECONDITION,
                     "database and " FACTS_FILE
                     " do not belong together: put back the one that was replaced");
}

/* Opening would make a database that is not there: an empty one in the place of a log. */
static struct error *check_exists(const char *db) {
    struct file_path current;
    bool exists = false;
    TRY(file_path_join(db, "CURRENT", &current));
    TRY(file_exists(current.text, &exists));
    if (exists) return NULL;
    return error_new(ERROR_FAILED_PRECONDITION,
                     "%s is missing or has lost its CURRENT file: restore a backup", db);
}

static struct error *upgrade(struct store *store) {
    bool changed = false;
    TRY(store_upgrade(store, &changed));
    if (changed) log_event(LOG_INFO, "database_upgraded", LOG_U64("schema", STORE_SCHEMA));
    return NULL;
}

struct error *database_open(const char *db, const struct kv_rocksdb_options *options,
                            struct bytes facts, struct store **out) {
    TRY(check_exists(db));
    struct kv *kv = NULL;
    TRY(kv_rocksdb_open(db, options, &kv));
    CLEANUP(store_freep) struct store *store = NULL;
    struct error *err = store_open(kv, &store);
    if (err != NULL) {
        kv_close(kv);
        return error_wrap(err, "database %s", db);
    }
    TRY(check_belongs(store, facts));
    if (!options->read_only) TRY(upgrade(store));
    *out = MOVE(store);
    return NULL;
}

static struct error *set_paths(struct instance *i) {
    TRY(file_path_join(i->data.text, "anchor", &i->anchor_inner));
    TRY(file_path_join(i->data.text, "policies", &i->policies));
    TRY(file_path_join(i->data.text, "backups", &i->backups));
    return anchor_path(&i->options, &i->facts, &i->anchor_outer);
}

/* Ends what an initialisation or restore began; caller holds DATA. */
static struct error *settle_stage(const struct instance *i) {
    enum stage_state stage = STAGE_NONE;
    TRY(stage_look(i->data.text, &stage));
    if (stage == STAGE_NONE) return NULL;
    if (i->options.db.read_only)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "%s was left half-made: start the server once, which ends it",
                         i->data.text);
    return stage == STAGE_WHOLE ? stage_finish(i->data.text) : stage_discard(i->data.text);
}

static struct error *open_all(struct instance *i) {
    struct file_path db;
    struct bytes facts = {0};
    enum instance_state state = INSTANCE_EMPTY;
    TRY(instance_look(i->data.text, &state));
    if (state == INSTANCE_FOREIGN)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "%s holds files that are not attestd's, and no instance.json: give its "
                         "data directory, or an empty one",
                         i->data.text);
    if (state == INSTANCE_EMPTY)
        return error_new(ERROR_FAILED_PRECONDITION, "%s holds no instance: attestd init --data %s",
                         i->data.text, i->data.text);
    TRY(data_lock(i->data.text, i->options.db.read_only, &i->lock_fd));
    TRY(settle_stage(i));
    TRY(read_facts(i, &facts));
    TRY(set_paths(i));
    TRY(open_keys(i));
    TRY(file_path_join(i->data.text, "db", &db));
    return database_open(db.text, &i->options.db, facts, &i->store);
}

struct error *instance_open(const struct instance_options *options, struct instance **out) {
    CLEANUP(instance_freep) struct instance *i = alloc_zero(1, sizeof *i);
    if (i == NULL) return error_nomem();
    i->options = *options;
    i->lock_fd = -1;
    arena_init(&i->arena, 16 * FACTS_MAX);
    TRY(file_path_absolute(options->data, &i->data));
    TRY(open_all(i));
    *out = MOVE(i);
    return NULL;
}

void instance_free(struct instance *i) {
    if (i == NULL) return;
    if (i->store != NULL && !i->options.db.read_only)
        error_ignore(kv_flush(store_kv(i->store)), "all of it is in the write-ahead log too");
    store_free(i->store);
    signer_free(i->signer);
    secret_free(i->wrap);
    arena_done(&i->arena);
    fd_closep(&i->lock_fd); /* last: now another may have it */
    alloc_free(i);
}

/* --- what is in it */

const struct instance_facts *instance_facts(const struct instance *i) { return &i->facts; }
struct store *instance_store(const struct instance *i) {
    return i->store;
}
const struct signer *instance_signer(const struct instance *i) { return i->signer; }
const char *instance_data(const struct instance *i) { return i->data.text; }
const char *instance_anchor_inner(const struct instance *i) { return i->anchor_inner.text; }
const char *instance_anchor_outer(const struct instance *i) { return i->anchor_outer.text; }
const char *instance_policies(const struct instance *i) { return i->policies.text; }
const char *instance_backups(const struct instance *i) { return i->backups.text; }

struct error *instance_derive(const struct instance *i, const char *label, struct secret **out) {
    return secret_derive(i->wrap, label, out);
}

struct error *instance_open_ca(const struct instance *i, struct ca **out) {
    ASSERT(!i->options.db.read_only);
    struct file_path tls;
    TRY(file_path_join(i->data.text, "tls", &tls));
    const struct ca_options options = {tls.text, i->wrap, i->options.clock, i->facts.tls_names,
                                       i->facts.tls_name_count};
    return ca_open(&options, out);
}
