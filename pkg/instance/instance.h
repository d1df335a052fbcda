/*
 * instance: the data directory: making one, opening one, backing it up and restoring it. What lies
 * where stands as a table in README.md. One process holds a directory at a time. Not thread-safe
 * but where said.
 */
#ifndef INSTANCE_INSTANCE_H
#define INSTANCE_INSTANCE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/error.h"
#include "ca/ca.h"
#include "crypto/secret.h"
#include "file/file.h"
#include "kv/kv.h"
#include "signer/signer.h"
#include "store/store.h"

#define INSTANCE_NAMES_MAX ((size_t)32) /* --tls-name */
#define INSTANCE_LISTEN_DEFAULT "127.0.0.1:8443"

struct instance_options {
    const char *data;            /* DATA */
    const char *passphrase_file; /* NULL or "": $CREDENTIALS_DIRECTORY/attestd.key if it is there */
    const char *anchor;          /* the outer one; NULL or "": the default place */
    struct kv_rocksdb_options db;
    const struct clock *clock;
    const struct entropy *entropy;
    /* told what was made, and what to beware of, a line each; NULL: nobody */
    void (*say)(void *ctx, const char *line);
    void *say_ctx;
};

/* instance_default_data writes where DATA is unless somebody says: /var/lib/attestd for root, else
 * $XDG_DATA_HOME/attestd or ~/.local/share/attestd. Errors: INVALID_ARGUMENT without a home. */
MUST_USE struct error *instance_default_data(struct file_path *out);

enum instance_state {
    INSTANCE_EMPTY = 0, /* nothing there, or nothing but an initialisation that did not finish */
    INSTANCE_PRESENT,   /* one that instance_open opens */
    INSTANCE_FOREIGN,   /* files that are not ours: neither init nor open touches them */
};

MUST_USE struct error *instance_look(const char *data, enum instance_state *out);

/* instance_holder gives the id of the process that holds DATA; 0: none does, -1: one that cannot be
 * named. By the time of the answer it may be out of date: only instance_open holds it. */
MUST_USE struct error *instance_holder(const char *data, int64_t *out_pid);

/* --- making one */

struct instance_init {
    const char *origin;           /* host name; NULL or "": this machine's */
    const struct text *tls_names; /* host names and addresses, beside the machine's own */
    size_t tls_name_count;
    const char *listen; /* for the CLI's configuration; NULL: INSTANCE_LISTEN_DEFAULT */
};

/* instance_init makes DATA: keys, CA, server certificate, database, a first token with every scope,
 * and the CLI's configuration (also the user's own, unless there is one). Stopped anywhere, it
 * leaves a DATA that is empty by instance_look, or whole.
 * Errors: INVALID_ARGUMENT for a bad name; FAILED_PRECONDITION if DATA is not empty or held. */
MUST_USE struct error *instance_init(const struct instance_options *options,
                                     const struct instance_init *init);

/* --- opening one */

struct instance;

/* Facts that never change, from DATA/instance.json. */
struct instance_facts {
    struct text origin;
    uint64_t tree_id;     /* of the v1 form; 63 bits */
    int64_t created_ms;   /* since 1970 */
    struct sha256 log_id; /* the log-v1 key's */
    bool has_passphrase;  /* else the keys are sealed under DATA/secret */
    uint8_t salt[16];     /* of the passphrase */
    const struct text *tls_names;
    size_t tls_name_count;
};

/* instance_open holds DATA (until instance_free), opens keys and database, and checks that they
 * belong together. With options->db.read_only it changes nothing but the lock file. Clock and
 * entropy must outlive it.
 * Errors: FAILED_PRECONDITION, one line what is wrong and what to do: held by another process, no
 * instance, unknown schema or version, keys that are foreign or do not open; DATA_LOSS: a damaged
 * database; UNAVAILABLE, PERMISSION_DENIED: the machine. */
MUST_USE struct error *instance_open(const struct instance_options *options, struct instance **out);

const struct instance_facts *instance_facts(const struct instance *i);
struct store *instance_store(const struct instance *i);
const struct signer *instance_signer(const struct instance *i);

/* Absolute paths, owned by `i`. */
const char *instance_data(const struct instance *i);
const char *instance_anchor_inner(const struct instance *i);
const char *instance_anchor_outer(const struct instance *i);
const char *instance_policies(const struct instance *i); /* the default folder of policies */
const char *instance_backups(const struct instance *i);  /* the default folder of backups */

/* instance_derive makes a secret of the instance for `label`, the same after every start. */
MUST_USE struct error *instance_derive(const struct instance *i, const char *label,
                                       struct secret **out);

/* instance_open_ca opens the local CA and renews the server's certificate where it is due. */
MUST_USE struct error *instance_open_ca(const struct instance *i, struct ca **out);

/* instance_publish writes DATA/run.json with the addresses really bound, and brings the CLI's
 * configuration to them (the user's own too, where it is still ours): the server is ready.
 * instance_unpublish removes run.json: a clean stop. */
MUST_USE struct error *instance_publish(const struct instance *i, const char *listen,
                                        const char *ops);
MUST_USE struct error *instance_unpublish(const struct instance *i);

/* instance_free closes everything, flushed, and lets go of DATA. */
void instance_free(struct instance *i);
DEFINE_CLEANUP(struct instance, instance_free);

/* --- backup and restore */

struct instance_backup {
    const char *dir;  /* where backups go; made if it is missing; NULL or "": DATA/backups */
    bool with_secret; /* DATA/secret too: whoever has the backup can sign as this log */
};

struct instance_backed_up {
    struct file_path path; /* of the new folder <UTC time>-<tree size>, mode 0700 */
    uint64_t tree_size;
};

/* instance_backup copies the database (consistent, while it is written to), sealed keys,
 * certificates and the inner anchor, with a manifest of every file's digest. From any thread; one
 * at a time. Errors: ABORTED if another is running; UNAVAILABLE; DATA_LOSS if the copy does not
 * open. */
MUST_USE struct error *instance_backup(struct instance *i, const struct instance_backup *request,
                                       struct instance_backed_up *out);

/* instance_backup_add_secret puts DATA/secret into a finished backup, for one that a server made:
 * the file first, then the manifest that lists it, so that it is wholly there or does not count. An
 * instance with a passphrase has none, which is no error. Errors: INVALID_ARGUMENT if `backup` is
 * none; UNAVAILABLE. */
MUST_USE struct error *instance_backup_add_secret(const char *data, const char *backup);

struct instance_restore {
    const char *backup;
    const char
        *secret_file; /* the secret of the old DATA; NULL: the backup's own, or a passphrase */
};

/* instance_restore fills an empty DATA from a backup, every octet checked against the manifest, and
 * the keys opened once. Stopped anywhere, it leaves a DATA that is empty by instance_look, or
 * whole. Errors: INVALID_ARGUMENT if the folder is no backup, was changed, or the secret is not
 * given; FAILED_PRECONDITION if DATA is not empty or held, or the keys do not open. */
MUST_USE struct error *instance_restore(const struct instance_options *options,
                                        const struct instance_restore *restore,
                                        uint64_t *out_tree_size);

/* --- the formats themselves, for tests and fuzzing */

/* facts_put appends instance.json (layout at the head of facts.c); facts_parse reads it into
 * `arena`, and refuses members that it does not know. Errors: INVALID_ARGUMENT. */
void facts_put(struct buf *out, const struct instance_facts *facts);
MUST_USE struct error *facts_parse(struct arena *arena, struct bytes json,
                                   struct instance_facts *out);

struct manifest_file {
    struct text path; /* below the backup: "keys/log-v1.key" */
    uint64_t size;
    struct sha256 sha256;
};

struct manifest {
    struct text origin;
    int64_t created_ms;
    uint64_t tree_size;
    const struct manifest_file *files; /* ascending by path */
    size_t file_count;
};

/* manifest_put appends manifest.json (layout at the head of manifest.c); manifest_parse reads it
 * and refuses any path but those that a backup can hold. Errors: INVALID_ARGUMENT. */
void manifest_put(struct buf *out, const struct manifest *m);
MUST_USE struct error *manifest_parse(struct arena *arena, struct bytes json, struct manifest *out);

#endif
