/* Filling an empty data directory from a backup, in the stage (stage.c): every file is hashed while
 * it is copied, so that what was checked is what was written. The copied instance.json is held
 * back and written last: it says that all the rest is there and opens. */
#include "instance/internal.h"

#define PEM_MAX ((size_t)64 << 10)

struct restoring {
    const struct instance_options *options;
    const struct instance_restore *request;
    struct arena arena;
    struct file_path data, backup, stage;
    struct manifest manifest;
    struct bytes facts_octets;
    struct instance_facts facts;
};

static struct error *join_text(const char *dir, struct text name, struct file_path *out) {
    char text[FILE_PATH_MAX];
    if (name.len >= sizeof text) return error_new(ERROR_INVALID_ARGUMENT, "path too long");
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    return file_path_join(dir, text, out);
}

static bool is_facts(const struct manifest_file *f) {
    return text_equal(f->path, text_of_cstr(FACTS_FILE));
}

static struct error *changed(const char *path) {
    return error_new(ERROR_INVALID_ARGUMENT, "%s is not what the manifest says: use another backup",
                     path);
}

static struct error *take_facts(struct restoring *r, const char *path,
                                const struct manifest_file *want) {
    TRY(file_read(&r->arena, path, FACTS_MAX, &r->facts_octets));
    struct sha256 digest = sha256_of(r->facts_octets);
    if (r->facts_octets.len != want->size || !sha256_equal(&digest, &want->sha256))
        return changed(path);
    return facts_parse(&r->arena, r->facts_octets, &r->facts);
}

static struct error *take_file(struct restoring *r, const struct manifest_file *want) {
    struct file_path from, to;
    struct manifest_file got = {0};
    TRY(join_text(r->backup.text, want->path, &from));
    if (is_facts(want)) return take_facts(r, from.text, want);
    TRY(join_text(r->stage.text, want->path, &to));
    TRY(copy_hashed(from.text, to.text, &got));
    if (got.size != want->size || !sha256_equal(&got.sha256, &want->sha256))
        return changed(from.text);
    return NULL;
}

/* A file that the manifest names and that is not there is the backup's fault, not a caller's. */
static struct error *take_files(struct restoring *r) {
    for (size_t i = 0; i < r->manifest.file_count; i++) {
        struct error *err = take_file(r, &r->manifest.files[i]);
        if (err == NULL) continue;
        if (error_code(err) != ERROR_NOT_FOUND) return err;
        return error_recode(err, ERROR_INVALID_ARGUMENT, "the backup is not whole");
    }
    if (r->facts_octets.len == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "the backup has no " FACTS_FILE);
    static const char *const synced[] = {"keys", "tls", "db"};
    for (size_t i = 0; i < sizeof synced / sizeof *synced; i++) {
        struct file_path folder;
        TRY(file_path_join(r->stage.text, synced[i], &folder));
        TRY(file_sync_dir(folder.text));
    }
    return NULL;
}

/* The secret: given, or the backup's own. */
static struct error *take_secret(struct restoring *r) {
    struct file_path path;
    bool exists = false;
    TRY(file_path_join(r->stage.text, SECRET_FILE, &path));
    TRY(file_exists(path.text, &exists));
    if (r->facts.has_passphrase || exists) return NULL;
    if (r->request->secret_file == NULL || r->request->secret_file[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the backup holds no secret: give the old DATA/secret by --secret-file");
    CLEANUP(secret_freep) struct secret *given = NULL;
    struct error *err = file_read_secret(r->request->secret_file, SECRET_LEN, &given);
    if (err != NULL)
        return error_recode(err, ERROR_INVALID_ARGUMENT, "the secret file does not read");
    return file_write(path.text, secret_view(given), 0600, FILE_NEW);
}

static struct error *check_keys(struct restoring *r) {
    struct file_path secret, keys;
    CLEANUP(secret_freep) struct secret *wrap = NULL;
    CLEANUP(signer_freep) struct signer *signer = NULL;
    TRY(file_path_join(r->stage.text, SECRET_FILE, &secret));
    TRY(file_path_join(r->stage.text, "keys", &keys));
    TRY(wrap_open(r->options, &r->facts, secret.text, &wrap));
    struct error *err = signer_load(keys.text, wrap, &signer);
    if (err != NULL)
        return error_recode(err, ERROR_FAILED_PRECONDITION,
                            "the backup's keys do not open: give the secret or passphrase of the "
                            "old directory");
    if (!sha256_equal(signer_log_id(signer), &r->facts.log_id))
        return error_new(ERROR_FAILED_PRECONDITION, "the backup holds another instance's keys");
    return NULL;
}

static struct error *check_database(struct restoring *r) {
    struct file_path db;
    struct store_head head;
    CLEANUP(store_freep) struct store *store = NULL;
    struct kv_rocksdb_options options = r->options->db;
    options.read_only = true;
    TRY(file_path_join(r->stage.text, "db", &db));
    TRY(database_open(db.text, &options, r->facts_octets, &store));
    TRY(store_get_head(store, NULL, &head));
    if (head.frontier.size != r->manifest.tree_size)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the backup's database has %llu entries, its manifest says %llu",
                         (unsigned long long)head.frontier.size,
                         (unsigned long long)r->manifest.tree_size);
    return NULL;
}

/* The CLI's folder is made anew; the tokens are in the database, as hashes. */
static struct error *make_client(struct restoring *r) {
    struct file_path from, to;
    struct bytes pem = {0};
    struct buf config;
    TRY(file_path_join(r->stage.text, "tls/ca.pem", &from));
    TRY(file_path_join(r->stage.text, "client/ca.pem", &to));
    TRY(file_read(&r->arena, from.text, PEM_MAX, &pem));
    TRY(file_write(to.text, pem, 0644, FILE_NEW));
    buf_init_arena(&config, &r->arena, PEM_MAX);
    client_config_put(&config, r->data.text, INSTANCE_LISTEN_DEFAULT);
    TRY(buf_finish(&config, "client/config.json"));
    TRY(file_path_join(r->stage.text, "client/config.json", &to));
    return file_write(to.text, buf_bytes(&config), 0600, FILE_NEW);
}

static struct error *read_manifest(struct restoring *r) {
    struct file_path path;
    struct bytes json = {0};
    TRY(file_path_absolute(r->request->backup, &r->backup));
    TRY(file_path_join(r->backup.text, MANIFEST_FILE, &path));
    struct error *err = file_read(&r->arena, path.text, MANIFEST_MAX, &json);
    if (err != NULL && error_code(err) == ERROR_NOT_FOUND)
        return error_recode(err, ERROR_INVALID_ARGUMENT, "%s is no backup", r->backup.text);
    if (err != NULL) return err;
    return manifest_parse(&r->arena, json, &r->manifest);
}

/* Caller holds DATA. */
static struct error *fill(struct restoring *r) {
    struct file_path facts;
    TRY(data_must_be_empty(r->data.text)); /* still */
    TRY(stage_begin(r->data.text, &r->stage));
    TRY(take_files(r));
    TRY(take_secret(r));
    TRY(check_keys(r));
    TRY(check_database(r));
    TRY(make_client(r));
    TRY(file_path_join(r->stage.text, FACTS_FILE, &facts));
    TRY(file_write(facts.text, r->facts_octets, 0600, FILE_NEW));
    return stage_finish(r->data.text);
}

static struct error *restore(struct restoring *r, uint64_t *out_tree_size) {
    TRY(read_manifest(r));
    TRY(file_path_absolute(r->options->data, &r->data));
    TRY(data_must_be_empty(r->data.text));
    TRY(file_make_dirs(r->data.text, 0700));
    CLEANUP(fd_closep) int lock = -1;
    TRY(data_lock(r->data.text, false, &lock));
    struct error *err = fill(r);
    if (err != NULL) {
        error_ignore(stage_discard(r->data.text), "the next one wipes what is left of it");
        return err;
    }
    instance_say(r->options, "restored %s: origin " BYTES_FMT ", %llu entries", r->data.text,
                 BYTES_ARG(r->facts.origin), (unsigned long long)r->manifest.tree_size);
    instance_say(r->options,
                 "next: attestd fsck --data %s; tokens are as they were, and a lost one is made "
                 "anew by attestd token create",
                 r->data.text);
    *out_tree_size = r->manifest.tree_size;
    return NULL;
}

struct error *instance_restore(const struct instance_options *options,
                               const struct instance_restore *request, uint64_t *out_tree_size) {
    struct restoring r = {.options = options, .request = request};
    arena_init(&r.arena, 64 * MANIFEST_MAX);
    struct error *err = restore(&r, out_tree_size);
    arena_done(&r.arena);
    return err;
}
