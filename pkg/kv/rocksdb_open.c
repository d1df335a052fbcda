/*
 * Opening RocksDB 7.8.3 through its C API. Every option that is not the library's default stands
 * here, with its reason.
 *
 * What recovery cannot do: in mode 2 (point in time) a torn or flipped write-ahead log silently
 * loses the writes behind the damage, and a deleted one all that it held. Mode 1 would refuse an
 * ordinary torn tail after a power cut. So the log's own anchors (tlog) say whether something is
 * missing, and recovery only has to give a prefix of what was written.
 *
 * Families. Keys of `index` and `edge` are fixed-length and begin with a kind and a digest, and are
 * only ever scanned: their filters are over that prefix. Entries and tiles are asked for only where
 * they exist: no filter. Tiles, and the keys of `index` and `dedup`, are hashes: compressing them
 * is a waste.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "file/file.h"
#include "kv/internal.h"

enum filter { FILTER_NONE, FILTER_KEY, FILTER_PREFIX };

static const struct family {
    const char *name;
    enum filter filter;
    bool blobs;
    bool compressed;
    bool mostly_absent; /* most of what is asked for: memtables have a filter, too */
} families[KV_FAMILY_COUNT] = {
    [KV_META] = {"default", FILTER_KEY, false, true, false}, /* RocksDB insists on this name */
    [KV_ENTRY] = {"entry", FILTER_NONE, true, true, false},
    [KV_TILE] = {"tile", FILTER_NONE, false, false, false},
    [KV_DEDUP] = {"dedup", FILTER_KEY, false, false, true},
    [KV_INDEX] = {"index", FILTER_PREFIX, false, false, false},
    [KV_EDGE] = {"edge", FILTER_PREFIX, false, true, false},
    [KV_POLICY] = {"policy", FILTER_KEY, true, true, false},
    [KV_DECISION] = {"decision", FILTER_KEY, true, true, false},
    [KV_IDENTITY] = {"identity", FILTER_KEY, false, true, false},
};

/* What c.h 7.8 has no setter for. max_bgerror_resume_count=0: RocksDB must not resume writing by
 * itself after an error, because the state of the failed write is unknown (crash-only writer).
 * The rest are checks of its own work: files are read back after they are written, memtable
 * entries carry a checksum, a flush must write as many keys as it read. */
#define OPTIONS_STRING                                                                             \
    "max_bgerror_resume_count=0;paranoid_file_checks=true;memtable_protection_bytes_per_key=8;"    \
    "verify_sst_unique_id_in_manifest=true;force_consistency_checks=true;"                         \
    "flush_verify_memtable_count=true;strict_bytes_per_sync=true"

#define POINT_IN_TIME_RECOVERY 2
#define OPEN_FILES_MAX 512
#define LEVEL0_FILES 8                         /* before they are merged into the levels */
#define LEVEL_BASE_OCTETS ((uint64_t)32 << 20) /* of the first level below them */
#define BLOB_MIN_OCTETS 256
#define BLOB_FILE_OCTETS ((uint64_t)256 << 20)
#define INFO_LOG_OCTETS ((size_t)4 << 20)
#define INFO_LOG_FILES 4
#define FILTER_BITS 10.0
#define MEMTABLE_FILTER_PART 0.02 /* of a memtable's octets: 16 bits for a row of 100 octets */

/* --- errors */

/* The first line that fits decides. What is neither I/O nor time is damage: the library calls an
 * unknown version or family "Invalid argument" or "Not implemented". */
static const struct {
    const char *start; /* of the message; NULL: anything */
    const char *holds;
    enum error_code code;
} error_codes[] = {
    {"Corruption", NULL, ERROR_DATA_LOSS},
    {"IO error: While lock file", NULL, ERROR_FAILED_PRECONDITION},
    {"IO error: lock hold by current process", NULL, ERROR_FAILED_PRECONDITION},
    {"IO error", "No such file or directory", ERROR_DATA_LOSS},
    {"IO error", NULL, ERROR_UNAVAILABLE},
    {"Operation", NULL, ERROR_UNAVAILABLE},
    {"Timed out", NULL, ERROR_UNAVAILABLE},
    {"Result incomplete", NULL, ERROR_UNAVAILABLE},
    {"Shutdown", NULL, ERROR_UNAVAILABLE},
    {NULL, NULL, ERROR_DATA_LOSS},
};

struct error *rocks_error(char *message, const char *what) {
    size_t i = 0;
    struct bytes text = bytes_of_cstr(message);
    for (; error_codes[i].start != NULL; i++) {
        bool starts = bytes_start_with(text, bytes_of_cstr(error_codes[i].start));
        const char *holds = error_codes[i].holds;
        if (starts && (holds == NULL || strstr(message, holds) != NULL)) break;
    }
    struct error *err = error_new(error_codes[i].code, "%s: %s", what, message);
    rocksdb_free(message);
    return err;
}

/* --- options */

static rocksdb_block_based_table_options_t *table_options(rocksdb_cache_t *cache,
                                                          enum filter filter) {
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(t, cache);
    /* index and filter blocks count against the cache: without it they are unbounded */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
    rocksdb_block_based_options_set_format_version(t, 5);
    /* Index and filter in blocks of the size of a data block, under a small index of their own. As
     * one block each they reach megabytes a table, more than one shard of the cache holds: then
     * every seek reads them anew (2 ms a lookup among a million entries, measured). */
    rocksdb_block_based_options_set_index_type(
        t, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(t, filter != FILTER_NONE);
    if (filter == FILTER_NONE) return t;
    /* takes the policy; Bloom for what is just flushed, the smaller ribbon below */
    rocksdb_block_based_options_set_filter_policy(
        t, rocksdb_filterpolicy_create_ribbon_hybrid(FILTER_BITS, 1));
    rocksdb_block_based_options_set_whole_key_filtering(t, filter == FILTER_KEY);
    return t;
}

static rocksdb_options_t *family_options(const struct kv_rocksdb *r, const struct family *f) {
    rocksdb_options_t *o = rocksdb_options_create_copy(r->options);
    rocksdb_block_based_table_options_t *t = table_options(r->cache, f->filter);
    rocksdb_options_set_block_based_table_factory(o, t); /* copies */
    rocksdb_block_based_options_destroy(t);
    int compression = f->compressed ? rocksdb_lz4_compression : rocksdb_no_compression;
    rocksdb_options_set_compression(o, compression);
    if (f->filter == FILTER_PREFIX) {
        rocksdb_options_set_prefix_extractor(/* takes the transform */
                                             o, rocksdb_slicetransform_create_fixed_prefix(
                                                    KV_PREFIX_OCTETS));
    }
    if (f->mostly_absent) {
        rocksdb_options_set_memtable_whole_key_filtering(o, 1);
        rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, MEMTABLE_FILTER_PART);
    }
    if (f->blobs) { /* nothing is ever overwritten there: no garbage collection */
        rocksdb_options_set_enable_blob_files(o, 1);
        rocksdb_options_set_min_blob_size(o, BLOB_MIN_OCTETS);
        rocksdb_options_set_blob_file_size(o, BLOB_FILE_OCTETS);
        rocksdb_options_set_blob_compression_type(o, rocksdb_lz4_compression);
    }
    return o;
}

static void set_bounds(rocksdb_options_t *o, const struct kv_rocksdb_options *options) {
    /* all families together, and one alone at most a quarter: a flush frees it while others fill */
    rocksdb_options_set_db_write_buffer_size(o, (size_t)options->memtable_octets);
    rocksdb_options_set_write_buffer_size(o, (size_t)(options->memtable_octets / 4));
    rocksdb_options_set_arena_block_size(o, (size_t)128 << 10);
    rocksdb_options_set_max_total_wal_size(o, options->wal_octets);
    rocksdb_options_set_max_open_files(o, OPEN_FILES_MAX);
    rocksdb_options_set_max_log_file_size(o, INFO_LOG_OCTETS);
    rocksdb_options_set_keep_log_file_num(o, INFO_LOG_FILES);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    rocksdb_options_set_max_background_jobs(o, 2);
    rocksdb_options_set_bytes_per_sync(o, (uint64_t)1 << 20);
    /* The bound on the write-ahead log makes many small flushes. With the library's 4 files and a
     * base of 256 MiB every fourth of them rewrote all of a family of 100 MB. */
    rocksdb_options_set_level0_file_num_compaction_trigger(o, LEVEL0_FILES);
    rocksdb_options_set_max_bytes_for_level_base(o, LEVEL_BASE_OCTETS);
    rocksdb_options_set_target_file_size_base(o, LEVEL_BASE_OCTETS / 2);
}

static struct error *make_options(struct kv_rocksdb *r, const struct kv_rocksdb_options *options) {
    rocksdb_options_t *plain = rocksdb_options_create();
    r->options = rocksdb_options_create();
    char *message = NULL;
    rocksdb_get_options_from_string(plain, OPTIONS_STRING, r->options, &message);
    rocksdb_options_destroy(plain);
    if (message != NULL) return rocks_error(message, "database options");

    set_bounds(r->options, options);
    rocksdb_options_set_create_if_missing(r->options, !options->read_only);
    rocksdb_options_set_create_missing_column_families(r->options, !options->read_only);
    rocksdb_options_set_paranoid_checks(r->options, 1);
    rocksdb_options_set_wal_recovery_mode(r->options, POINT_IN_TIME_RECOVERY);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(r->options, 1);
    rocksdb_options_set_skip_stats_update_on_db_open(r->options, 1); /* start in time */

    r->cache = rocksdb_cache_create_lru((size_t)options->block_cache_octets);
    for (int i = 0; i < KV_FAMILY_COUNT; i++)
        r->family_options[i] = family_options(r, &families[i]);
    r->read = rocksdb_readoptions_create();
    r->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(r->write, 1);
    return NULL;
}

/* --- the folder */

static bool is_data_file(const char *name) {
    static const char *const suffixes[] = {".sst", ".log", ".blob"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t n = strlen(suffixes[i]);
        if (len > n && strcmp(name + len - n, suffixes[i]) == 0) return true;
    }
    return false;
}

/* survey_folder asks what is in `dir`. RocksDB would take a folder that lost its CURRENT for a new
 * one and clear it away: we call it damaged. It writes CURRENT before the first data file, so a
 * crash while making a database leaves none. */
static struct error *survey_folder(const char *dir, bool *out_exists) {
    DIR *d = opendir(dir);
    if (d == NULL && errno == ENOENT) {
        *out_exists = false;
        return NULL;
    }
    if (d == NULL) return file_errno(errno, "read", dir);
    bool current = false;
    bool data = false;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        current = current || strcmp(e->d_name, "CURRENT") == 0;
        data = data || is_data_file(e->d_name);
    }
    (void)closedir(d);
    if (data && !current)
        return error_new(ERROR_DATA_LOSS, "%s holds data but no CURRENT file", dir);
    *out_exists = current;
    return NULL;
}

/* lock_folder keeps writers out while a read-only opening lasts: RocksDB takes no lock then, while
 * a writer's own is an fcntl lock on LOCK. A copy of a database has no such file and needs none. */
static struct error *lock_folder(const char *dir, int *out_fd) {
    struct file_path path;
    TRY(file_path_join(dir, "LOCK", &path));
    int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) return NULL;
    if (fd < 0) return file_errno(errno, "open", path.text);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) != 0) {
        (void)close(fd);
        return error_new(ERROR_FAILED_PRECONDITION, "another process holds %s", dir);
    }
    *out_fd = fd;
    return NULL;
}

/* --- opening and closing */

static struct error *open_failed(char *message) {
    struct error *err = rocks_error(message, "open database");
    if (error_code(err) != ERROR_DATA_LOSS) return err;
    struct error *told = error_new(ERROR_DATA_LOSS, "%s; restore a backup", error_message(err));
    error_free(err);
    return told;
}

static struct error *open_db(struct kv_rocksdb *r, const char *dir) {
    const char *names[KV_FAMILY_COUNT];
    const rocksdb_options_t *options[KV_FAMILY_COUNT];
    for (int i = 0; i < KV_FAMILY_COUNT; i++) {
        names[i] = families[i].name;
        options[i] = r->family_options[i];
    }
    char *message = NULL;
    if (r->read_only) {
        r->db = rocksdb_open_for_read_only_column_families(r->options, dir, KV_FAMILY_COUNT, names,
                                                           options, r->families, 0, &message);
    } else {
        r->db = rocksdb_open_column_families(r->options, dir, KV_FAMILY_COUNT, names, options,
                                             r->families, &message);
    }
    if (message != NULL) return open_failed(message);
    ASSERT(r->db != NULL);
    return NULL;
}

static struct error *open_all(struct kv_rocksdb *r, const char *dir,
                              const struct kv_rocksdb_options *options) {
    bool exists = false;
    TRY(survey_folder(dir, &exists));
    if (options->read_only && !exists) return error_new(ERROR_NOT_FOUND, "no database in %s", dir);
    if (options->read_only) TRY(lock_folder(dir, &r->lock_fd));
    /* RocksDB syncs what is in its folder, not the folder's own name */
    if (!options->read_only) TRY(file_make_dir(dir, 0700));
    TRY(make_options(r, options));
    return open_db(r, dir);
}

void rocks_close(struct kv_rocksdb *r) {
    for (int i = 0; i < KV_FAMILY_COUNT; i++) { /* before the database: a missed one aborts */
        if (r->families[i] != NULL) rocksdb_column_family_handle_destroy(r->families[i]);
    }
    if (r->db != NULL) rocksdb_close(r->db);
    for (int i = 0; i < KV_FAMILY_COUNT; i++) {
        if (r->family_options[i] != NULL) rocksdb_options_destroy(r->family_options[i]);
    }
    if (r->options != NULL) rocksdb_options_destroy(r->options);
    if (r->cache != NULL) rocksdb_cache_destroy(r->cache);
    if (r->read != NULL) rocksdb_readoptions_destroy(r->read);
    if (r->write != NULL) rocksdb_writeoptions_destroy(r->write);
    if (r->lock_fd >= 0) (void)close(r->lock_fd); /* only a lock */
    alloc_free(r);
}

struct error *kv_rocksdb_open(const char *dir, const struct kv_rocksdb_options *options,
                              struct kv **out) {
    struct kv_rocksdb *r = alloc_zero(1, sizeof *r);
    if (r == NULL) return error_nomem();
    r->kv.ops = &kv_rocksdb_ops;
    r->read_only = options->read_only;
    r->lock_fd = -1;
    struct error *err = open_all(r, dir, options);
    if (err != NULL) {
        rocks_close(r);
        return err;
    }
    *out = &r->kv;
    return NULL;
}
