/*
 * log_files OUT COUNT: makes a log of COUNT entries in memory and writes what it would serve below
 * the folder OUT, as C2SP tlog-tiles names it: checkpoint, tile/..., tile/entries/..., and the
 * verifier key as OUT/log.vkey. For programs of others that read logs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "crypto/secret.h"
#include "file/file.h"
#include "note/note.h"
#include "obs/obs.h"
#include "tlog/tlog.h"

#define ORIGIN BYTES_LIT("log-files.test")

struct made {
    const char *out;
    struct signer *signer;
    struct store *store;
    struct tlog *log;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    uint64_t waiting; /* guarded by: lock */
};

struct entry {
    struct tlog_submission sub;
    char leaf[32];
};

static void must(struct error *err, const char *what) {
    char text[512];
    if (err == NULL) return;
    error_text(err, text, sizeof text);
    (void)fprintf(stderr, "log_files: %s: %s\n", what, text);
    exit(EXIT_FAILURE);
}

/* --- the log */

static void on_done(struct tlog_submission *sub, struct error *err) {
    struct made *m = sub->ctx;
    must(err, "log");
    (void)pthread_mutex_lock(&m->lock);
    if (--m->waiting % 4096 == 0) (void)pthread_cond_signal(&m->answered);
    (void)pthread_mutex_unlock(&m->lock);
}

static void log_entries(struct made *m, uint64_t first, uint64_t count) {
    struct entry *entries = alloc_zero(count, sizeof *entries);
    if (entries == NULL) must(error_nomem(), "memory");
    m->waiting = count;
    for (uint64_t i = 0; i < count; i++) {
        struct entry *e = &entries[i];
        int len = snprintf(e->leaf, sizeof e->leaf, "entry %llu", (unsigned long long)(first + i));
        e->sub = (struct tlog_submission){.kind = STORE_ENTRY_ATTESTATION,
                                          .payload = BYTES_LIT("-"),
                                          .signature = BYTES_LIT("-"),
                                          .leaf = {(const uint8_t *)e->leaf, (size_t)len},
                                          .done = on_done,
                                          .ctx = m};
        e->sub.content = e->sub.dedup_key = sha256_of(e->sub.leaf);
        must(tlog_submit(m->log, &e->sub), "submit");
    }
    (void)pthread_mutex_lock(&m->lock);
    while (m->waiting > 0) (void)pthread_cond_wait(&m->answered, &m->lock);
    (void)pthread_mutex_unlock(&m->lock);
    alloc_free(entries);
}

static void open_log(struct made *m) {
    struct kv *kv = NULL;
    struct file_path inner;
    struct file_path outer;
    must(file_path_join(m->out, "anchor-inner", &inner), "path");
    must(file_path_join(m->out, "anchor-outer", &outer), "path");
    must(signer_generate(&m->signer), "keys");
    must(kv_mem_new(&kv), "store");
    must(store_open(kv, &m->store), "store");
    struct tlog_options options = {.origin = ORIGIN,
                                   .tree_id = 1,
                                   .anchor_inner = inner.text,
                                   .anchor_outer = outer.text,
                                   .data_dir = m->out,
                                   .round_entries_max = 1024,
                                   .queue_max = 8192,
                                   .workers = 1,
                                   .clock = &clock_system};
    must(tlog_open(m->store, m->signer, &options, &m->log), "log");
}

/* --- its files */

static void write_below(const char *out, struct bytes name, struct bytes content) {
    struct file_path path;
    int n = snprintf(path.text, sizeof path.text, "%s/" BYTES_FMT, out, BYTES_ARG(name));
    if (n < 0 || (size_t)n >= sizeof path.text) must(error_nomem(), "path");
    char *slash = strrchr(path.text, '/');
    *slash = '\0';
    must(file_make_dirs(path.text, 0755), "folder");
    *slash = '/';
    FILE *f = fopen(path.text, "wb");
    if (f == NULL || fwrite(content.data, 1, content.len, f) != content.len || fclose(f) != 0)
        must(file_errno(errno, "write", path.text), "file");
}

static void write_tile(struct made *m, const struct merkle_tile *tile) {
    struct arena arena;
    struct buf name;
    struct bytes content = {0};
    bool found = false;
    arena_init(&arena, (size_t)32 << 20);
    buf_init(&name, 256);
    must(tlog_tile(m->log, &arena, tile, &found, &content), "tile");
    if (!found) must(error_new(ERROR_INTERNAL, "there is none"), "tile");
    buf_put_cstr(&name, "tile/");
    merkle_tile_path(&name, tile);
    write_below(m->out, buf_bytes(&name), content);
    buf_done(&name);
    arena_done(&arena);
}

static void write_files(struct made *m, uint64_t size) {
    for (unsigned level = 0; level < 8; level++) {
        for (uint64_t index = 0; merkle_tile_width(level, index, size) > 0; index++) {
            unsigned width = merkle_tile_width(level, index, size);
            write_tile(m, &(struct merkle_tile){level, index, width, false});
            if (level == 0) write_tile(m, &(struct merkle_tile){0, index, width, true});
        }
    }
    struct arena arena;
    struct buf vkey;
    struct bytes v1 = {0};
    struct bytes c2sp = {0};
    struct sha256 root;
    arena_init(&arena, (size_t)1 << 20);
    buf_init(&vkey, 1024);
    must(tlog_checkpoint(m->log, &arena, tlog_head(m->log).size, &v1, &c2sp, &root), "checkpoint");
    write_below(m->out, BYTES_LIT("checkpoint"), c2sp);
    note_put_vkey(&vkey, ORIGIN, signer_public(m->signer, SIGNER_LOG_C2SP));
    write_below(m->out, BYTES_LIT("log.vkey"), buf_bytes(&vkey));
    buf_done(&vkey);
    arena_done(&arena);
}

int main(int argc, char **argv) {
    uint64_t count = 0;
    if (argc != 3 || !bytes_to_u64(bytes_of_cstr(argv[2]), &count) || count > 1000000) {
        (void)fprintf(stderr, "usage: log_files OUT COUNT (at most 1000000)\n");
        return 2;
    }
    struct made m = {.out = argv[1]};
    (void)pthread_mutex_init(&m.lock, NULL);
    (void)pthread_cond_init(&m.answered, NULL);
    log_set_level(LOG_WARN);
    must(crypto_init(), "crypto");
    must(file_make_dirs(m.out, 0755), "folder");
    open_log(&m);
    for (uint64_t at = 0; at < count; at += 8192)
        log_entries(&m, at, count - at < 8192 ? count - at : 8192);
    write_files(&m, count);
    tlog_free(m.log);
    store_free(m.store);
    signer_free(m.signer);
    return EXIT_SUCCESS;
}
