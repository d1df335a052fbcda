/*
 * Checking a stopped log from its raw entries up: entries, tree, tiles, checkpoints, head, rows,
 * anchors. Everything is read from one snapshot. Nothing is mended.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "tlog/fsck.h"

#define CHUNK 256 /* entries checked at a time */
#define PROGRESS_ENTRIES ((uint64_t)65536)
#define PROBLEMS_MAX ((uint64_t)10000) /* then it stops: a damaged head may claim any size */
#define LINE_OCTETS 640

struct fsck {
    struct tlog *log;
    const struct kv_snapshot *snap;
    void (*say)(void *ctx, bool problem, const char *line);
    void *ctx;
    struct tlog_fsck_report report;

    struct store_head head;
    struct merkle_frontier tree; /* made again from the entries */
    struct sha256 tiles[TREE_LEVELS][MERKLE_TILE_WIDTH];
    struct error *tile_err; /* owned; of reading a tile */
    struct fsck_entry *entries;
    struct store_check rows;
    int64_t integrated_s;
    uint64_t round_end;   /* tree size of the newest round */
    uint64_t rounds;      /* how many there were */
    uint64_t checkpoints; /* stored */
    struct found_anchor inner;
    struct found_anchor outer;
};

static void tell(struct fsck *f, bool problem, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(struct fsck *f, bool problem, const char *fmt, ...) {
    char line[LINE_OCTETS];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (problem) f->report.problems++;
    f->say(f->ctx, problem, line);
}

/* --- entries */

static void check_one(void *ctx, size_t i) {
    struct fsck *f = ctx;
    fsck_check_entry(f->log, f->snap, &f->entries[i]);
}

static void tell_entry(struct fsck *f, const struct fsck_entry *e) {
    static const char *const texts[FSCK_PROBLEM_COUNT] = {
#define FSCK_TEXT(name, text) [FSCK_##name] = text,
        FSCK_TABLE(FSCK_TEXT)
#undef FSCK_TEXT
    };
    for (unsigned p = 0; p < FSCK_PROBLEM_COUNT; p++) {
        if ((e->problems >> p & 1) != 0) tell(f, true, "entry %" PRIu64 ": %s", e->index, texts[p]);
    }
}

/* check_round checks what must hold between an entry and those before it. */
static void check_round(struct fsck *f, const struct fsck_entry *e) {
    if (e->integrated_s < f->integrated_s)
        tell(f, true, "entry %" PRIu64 ": its time is before that of the entry below it", e->index);
    f->integrated_s = e->integrated_s;
    bool begins = e->index == f->round_end;
    bool in_round = begins ? e->tree_size > e->index : e->tree_size == f->round_end;
    if (!in_round || e->tree_size > f->head.frontier.size)
        tell(f, true, "entry %" PRIu64 ": its round's size %" PRIu64 " cannot be", e->index,
             e->tree_size);
    if (begins && in_round) {
        f->round_end = e->tree_size;
        f->rounds++;
    }
}

/* --- tiles */

static struct error *check_tile(struct fsck *f, unsigned level, uint64_t index) {
    struct arena arena;
    struct bytes want = {(const uint8_t *)f->tiles[level], sizeof f->tiles[level]};
    struct bytes tile = {0};
    bool found = false;
    arena_init(&arena, (size_t)1 << 16);
    struct error *err = store_get_tile(f->log->store, &arena, level, index, &found, &tile);
    if (err == NULL && (!found || !bytes_equal(tile, want)))
        tell(f, true, "tile %" PRIu64 " of level %u is %s", index, level,
             found ? "not that of its entries" : "missing");
    arena_done(&arena);
    return err;
}

static void take_node(void *ctx, unsigned level, uint64_t index, const struct sha256 *hash) {
    struct fsck *f = ctx;
    if (level % 8 != 0) return;
    unsigned tile = level / 8;
    f->tiles[tile][index % MERKLE_TILE_WIDTH] = *hash;
    if (index % MERKLE_TILE_WIDTH == MERKLE_TILE_WIDTH - 1 && f->tile_err == NULL)
        f->tile_err = check_tile(f, tile, index / MERKLE_TILE_WIDTH);
}

/* --- checkpoints and anchors of the size that the tree has now */

static struct error *check_checkpoint(struct fsck *f, const struct sha256 *root) {
    struct arena arena;
    struct bytes v1 = {0};
    struct bytes c2sp = {0};
    bool found = false;
    bool good = false;
    arena_init(&arena, (size_t)1 << 20);
    struct error *err =
        store_get_checkpoint(f->log->store, &arena, f->tree.size, &found, &v1, &c2sp);
    if (err == NULL && found) err = checkpoint_check(f->log, f->tree.size, root, v1, c2sp, &good);
    if (err == NULL && !good)
        tell(f, true, "the checkpoint of size %" PRIu64 " is %s", f->tree.size,
             found ? "not that of its entries, or not by this log" : "missing");
    arena_done(&arena);
    return err;
}

static void check_anchor_root(struct fsck *f, const struct found_anchor *a,
                              const struct sha256 *root) {
    if (a->state == ANCHOR_GOOD && a->value.size == f->tree.size &&
        !sha256_equal(&a->value.root, root))
        tell(f, true, "the anchor %s has another root for size %" PRIu64, a->path, f->tree.size);
}

static struct error *check_size(struct fsck *f) {
    struct sha256 root = merkle_root(&f->tree);
    bool started = f->tree.size > 0 || f->checkpoints > 0 || f->inner.state != ANCHOR_MISSING;
    check_anchor_root(f, &f->inner, &root);
    check_anchor_root(f, &f->outer, &root);
    if (f->tree.size == f->round_end && started) TRY(check_checkpoint(f, &root));
    return NULL;
}

/* --- the walk */

static struct error *take_entry(struct fsck *f, struct fsck_entry *e) {
    if (e->err != NULL) return MOVE(e->err);
    tell_entry(f, e);
    f->rows.index_rows += e->rows.index_rows;
    f->rows.edge_rows += e->rows.edge_rows;
    if ((e->problems & 1U << FSCK_MISSING) == 0) check_round(f, e);
    merkle_append(&f->tree, &e->leaf_hash, take_node, f);
    if (f->tile_err != NULL) return MOVE(f->tile_err);
    f->report.entries++;
    if (f->report.entries % PROGRESS_ENTRIES == 0)
        tell(f, false, "%" PRIu64 " of %" PRIu64 " entries checked", f->report.entries,
             f->head.frontier.size);
    return check_size(f);
}

static struct error *walk(struct fsck *f) {
    uint64_t size = f->head.frontier.size;
    TRY(check_size(f));
    for (uint64_t first = 0; first < size && f->report.problems < PROBLEMS_MAX; first += CHUNK) {
        size_t count = size - first < CHUNK ? (size_t)(size - first) : CHUNK;
        for (size_t i = 0; i < count; i++) f->entries[i] = (struct fsck_entry){.index = first + i};
        pool_run(&f->log->pool, count, check_one, f);
        struct error *err = NULL;
        for (size_t i = 0; i < count; i++) {
            if (err == NULL)
                err = take_entry(f, &f->entries[i]);
            else
                error_ignore(MOVE(f->entries[i].err), "the first one is told");
        }
        TRY(err);
    }
    if (f->report.entries < size)
        tell(f, true, "stopped after %" PRIu64 " of %" PRIu64 " entries", f->report.entries, size);
    return NULL;
}

/* --- what is compared with the whole */

static void check_head(struct fsck *f) {
    f->report.root = merkle_root(&f->tree);
    bool same = f->head.integrated_s == f->integrated_s;
    for (unsigned level = 0; level < 64; level++) {
        if ((f->tree.size >> level & 1) != 0)
            same = same && sha256_equal(&f->tree.edge[level], &f->head.frontier.edge[level]);
    }
    if (!same || !sha256_equal(&f->report.root, &f->head.root))
        tell(f, true, "the stored head is not that of the %" PRIu64 " entries", f->tree.size);
}

static void check_anchor(struct fsck *f, const struct found_anchor *a, bool is_outer) {
    bool never_started = f->tree.size == 0 && f->checkpoints == 0;
    if (a->state == ANCHOR_MISSING && is_outer) {
        f->report.outer_missing = true;
        tell(f, false, "the outer anchor %s is missing", a->path);
    } else if (a->state == ANCHOR_MISSING && !never_started) {
        tell(f, true, "the anchor %s is missing", a->path);
    } else if (a->state == ANCHOR_UNREADABLE) {
        tell(f, true, "the anchor %s is damaged", a->path);
    } else if (a->state == ANCHOR_GOOD && !a->ours) {
        tell(f, true, "the anchor %s is of another log", a->path);
    } else if (a->state == ANCHOR_GOOD && a->value.size > f->tree.size) {
        tell(f, true, "entries %" PRIu64 " to %" PRIu64 " are missing: they were anchored in %s",
             f->tree.size, a->value.size - 1, a->path);
    }
}

static bool count_checkpoint(void *ctx, uint64_t size, struct bytes v1, struct bytes c2sp) {
    (void)size;
    (void)v1;
    (void)c2sp;
    ((struct fsck *)ctx)->checkpoints++;
    return true;
}

static void say_row(void *ctx, const char *line) { tell(ctx, true, "%s", line); }

static struct error *run(struct fsck *f, struct arena *arena) {
    struct tlog *t = f->log;
    TRY(store_get_head(t->store, f->snap, &f->head));
    TRY(log_find_anchor(t, arena, t->anchor_inner.text, &f->inner));
    TRY(log_find_anchor(t, arena, t->anchor_outer.text, &f->outer));
    TRY(store_scan_checkpoints(t->store, f->snap, count_checkpoint, f));
    TRY(walk(f));
    check_head(f);
    /* One for every round and one for the empty log: there is no other. */
    if (f->checkpoints > 0 && f->checkpoints != f->rounds + 1)
        tell(f, true, "%" PRIu64 " checkpoints are stored for %" PRIu64 " rounds", f->checkpoints,
             f->rounds);
    TRY(store_check_rows(t->store, f->snap, f->tree.size, &f->rows, say_row, f));
    check_anchor(f, &f->inner, false);
    check_anchor(f, &f->outer, true);
    return NULL;
}

static struct error *run_on_snapshot(struct fsck *f) {
    struct kv *kv = store_kv(f->log->store);
    struct kv_snapshot *snap = kv_snapshot_new(kv);
    struct arena arena;
    if (snap == NULL) return error_nomem();
    f->snap = snap;
    arena_init(&arena, (size_t)1 << 20);
    struct error *err = run(f, &arena);
    arena_done(&arena);
    kv_snapshot_free(kv, snap);
    return err;
}

static struct error *run_with_workers(struct fsck *f) {
    struct tlog *t = f->log;
    TRY(pool_init(&t->pool, t->options.workers));
    struct error *err = run_on_snapshot(f);
    pool_done(&t->pool);
    return err;
}

static void free_fsck(struct fsck **f) {
    if (*f != NULL) alloc_free((*f)->entries);
    alloc_free(*f);
}

struct error *tlog_fsck(struct store *store, const struct signer *signer,
                        const struct tlog_options *options,
                        void (*say)(void *ctx, bool problem, const char *line), void *ctx,
                        struct tlog_fsck_report *out) {
    CLEANUP(log_base_done) struct tlog t = {.store = store};
    CLEANUP(free_fsck) struct fsck *f = alloc_zero(1, sizeof *f);
    TRY(log_base_init(&t, store, signer, options));
    if (f == NULL) return error_nomem();
    f->entries = alloc_zero(CHUNK, sizeof *f->entries);
    if (f->entries == NULL) return error_nomem();
    f->log = &t;
    f->say = say;
    f->ctx = ctx;
    TRY(run_with_workers(f));
    *out = f->report;
    return NULL;
}
