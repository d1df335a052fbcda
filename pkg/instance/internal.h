/* internal: what the files of instance/ share. */
#ifndef INSTANCE_INTERNAL_H
#define INSTANCE_INTERNAL_H

#include <stdatomic.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "instance/instance.h"

#define FACTS_MAX ((size_t)64 << 10) /* octets of instance.json */
#define FACTS_FILE "instance.json"
#define SECRET_FILE "secret"
#define SECRET_LEN ((size_t)32)

/* instance_say tells options->say one line. */
void instance_say(const struct instance_options *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* --- paths.c */
/* home_path writes "<$variable or ~/fallback>/name". Errors: NOT_FOUND without a home. */
MUST_USE struct error *home_path(const char *variable, const char *fallback, const char *name,
                                 struct file_path *out);
/* anchor_path writes where the outer anchor is: options->anchor, or the default place. */
MUST_USE struct error *anchor_path(const struct instance_options *o,
                                   const struct instance_facts *facts, struct file_path *out);
/* machine_names writes this machine's host name in lower case ("" where it is none that a
 * certificate can hold) and its full name (the same where it has no other). */
struct machine_names {
    char host[256];
    char full[256];
};
void machine_names(struct machine_names *out);

/* --- lock.c */
/* data_lock holds DATA by a lock on DATA/lock, which it makes unless `read_only`; *out_fd < 0: a
 * read-only folder without one. Errors: FAILED_PRECONDITION with the holder. */
MUST_USE struct error *data_lock(const char *data, bool read_only, int *out_fd);

static inline void fd_closep(int *fd) {
    if (*fd >= 0) (void)close(*fd); /* what counts was synced, or is only a lock */
}
static inline void buf_donep(struct buf *b) { buf_done(b); }
static inline void arena_donep(struct arena *a) { arena_done(a); }

/* --- wrap.c: the secret that the keys are sealed under */
/* wrap_make decides for a new instance: the passphrase if one is given (its salt goes to `facts`),
 * else a random secret, which the caller writes to DATA/secret. */
MUST_USE struct error *wrap_make(const struct instance_options *o, struct instance_facts *facts,
                                 struct secret **out);
/* wrap_open gets the secret of an existing one; `secret_file` is where it lies if it has no
 * passphrase. Errors: FAILED_PRECONDITION with what to give. */
MUST_USE struct error *wrap_open(const struct instance_options *o,
                                 const struct instance_facts *facts, const char *secret_file,
                                 struct secret **out);

/* --- stage.c: a new directory's content is built in DATA/staging.tmp and moved out when it is
 * whole. The caller holds DATA. */
enum stage_state { STAGE_NONE = 0, STAGE_UNFINISHED, STAGE_WHOLE };
MUST_USE struct error *stage_look(const char *data, enum stage_state *out);
/* stage_begin wipes what an earlier one left, and makes the folder and those in it. */
MUST_USE struct error *stage_begin(const char *data, struct file_path *out);
/* stage_finish moves everything out, instance.json last; also after a stop in the midst of it. */
MUST_USE struct error *stage_finish(const char *data);
/* stage_discard removes what an interrupted one left. */
MUST_USE struct error *stage_discard(const char *data);
/* tree_remove removes a folder and all in it, on its own file system, following no link. */
MUST_USE struct error *tree_remove(const char *path);
/* data_is_foreign says whether DATA holds anything that a new instance must not lie beside. */
MUST_USE struct error *data_is_foreign(const char *data, bool *out);
/* data_must_be_empty: FAILED_PRECONDITION where it is not. */
MUST_USE struct error *data_must_be_empty(const char *data);

/* --- publish.c */
/* client_config_put appends the CLI's configuration for an instance in `data`. */
void client_config_put(struct buf *out, const char *data, const char *listen);
/* user_config_write writes the user's own one, unless there is one. */
MUST_USE struct error *user_config_write(const struct instance_options *o, struct bytes config);

#define MANIFEST_FILE "manifest.json"
#define MANIFEST_FILES_MAX ((size_t)20000)
#define MANIFEST_MAX ((size_t)4 << 20)

/* --- copy.c */
/* copy_hash reads a file whole and fills size and digest of `out`; copy_hashed also writes
 * it to `to`, which must not exist, with mode 0600, synced (its folder is not). */
MUST_USE struct error *copy_hash(const char *path, struct manifest_file *out);
MUST_USE struct error *copy_hashed(const char *from, const char *to, struct manifest_file *out);

/* --- instance.c */
/* database_open opens the database in folder `db`, which must be there, and checks that it was
 * made with `facts` (the octets of instance.json). */
MUST_USE struct error *database_open(const char *db, const struct kv_rocksdb_options *options,
                                     struct bytes facts, struct store **out);

struct instance {
    struct instance_options options; /* its strings are not used after instance_open */
    struct arena arena;
    struct instance_facts facts;
    struct file_path data, anchor_inner, anchor_outer, policies, backups;
    int lock_fd;
    struct secret *wrap;
    struct signer *signer;
    struct store *store;
    atomic_bool backup_runs;
};

/* facts_digest_key is the record in the database's meta family that holds the SHA-256 of
 * instance.json: a database lies with the facts that it was made with. */
#define FACTS_DIGEST_KEY BYTES_LIT("instance")

#endif
