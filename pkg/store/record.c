/*
 * Values. Each begins with the version of its own layout (1). Numbers are big-endian; a string is
 * its length (u32) and its octets. Decoding is strict: one sequence of octets for one value,
 * nothing behind it.
 *
 *   entry        version u8  kind u8  index u64  integrated u64 (seconds since 1970)  tree size u64
 *                payload string  signature string  SET string  leaf string
 *   head         version u8  size u64  integrated u64  root 32
 *                then, for every bit of size from the lowest, the edge hash 32 of those that are
 * set
 *   dedup        version u8  index u64  logged u64 (milliseconds since 1970)  content 32
 *   checkpoints  version u8  v1 string  C2SP string
 *   evidence     version u8  submitter string
 *   edge         version u8  assurance u8  other node string  its name string
 */
#include "store/internal.h"

#define LAYOUT 1

static void put_string(struct buf *out, struct bytes s) {
    ASSERT(s.len <= UINT32_MAX); /* records are far smaller */
    buf_put_u32be(out, (uint32_t)s.len);
    buf_put(out, s);
}

static struct bytes read_string(struct reader *r, const char *what) {
    uint32_t len = reader_u32be(r, what);
    return reader_take(r, len, what);
}

static void read_layout(struct reader *r) {
    if (reader_u8(r, "version") != LAYOUT) reader_fail(r, "version");
}

static struct sha256 read_hash(struct reader *r, const char *what) {
    struct sha256 h = {{0}};
    struct bytes octets = reader_take(r, sizeof h.octets, what);
    if (octets.len == sizeof h.octets) memcpy(h.octets, octets.data, octets.len);
    return h;
}

static int64_t read_time(struct reader *r, const char *what) {
    uint64_t v = reader_u64be(r, what);
    if (v > INT64_MAX) {
        reader_fail(r, what);
        return 0;
    }
    return (int64_t)v;
}

static void put_time(struct buf *out, int64_t v) {
    ASSERT(v >= 0);
    buf_put_u64be(out, (uint64_t)v);
}

/* --- entry */

void store_entry_encode(struct buf *out, const struct store_entry *entry) {
    buf_put_u8(out, LAYOUT);
    buf_put_u8(out, (uint8_t)entry->kind);
    buf_put_u64be(out, entry->index);
    put_time(out, entry->integrated_s);
    buf_put_u64be(out, entry->tree_size);
    put_string(out, entry->payload);
    put_string(out, entry->signature);
    put_string(out, entry->set);
    put_string(out, entry->leaf);
}

struct error *store_entry_decode(struct bytes value, uint64_t index, struct store_entry *out) {
    struct reader r = reader_of(value);
    struct store_entry e = {0};
    read_layout(&r);
    e.kind = reader_u8(&r, "kind");
    if (e.kind != STORE_ENTRY_ATTESTATION && e.kind != STORE_ENTRY_DECISION)
        reader_fail(&r, "kind");
    e.index = reader_u64be(&r, "index");
    if (e.index != index) reader_fail(&r, "index");
    e.integrated_s = read_time(&r, "time");
    e.tree_size = reader_u64be(&r, "tree size");
    if (e.tree_size <= e.index || e.tree_size > MERKLE_SIZE_MAX) reader_fail(&r, "tree size");
    e.payload = read_string(&r, "payload");
    e.signature = read_string(&r, "signature");
    e.set = read_string(&r, "SET");
    e.leaf = read_string(&r, "leaf");
    TRY(reader_finish(&r, "entry record"));
    *out = e;
    return NULL;
}

/* --- head */

void head_encode(struct buf *out, const struct store_head *head) {
    buf_put_u8(out, LAYOUT);
    buf_put_u64be(out, head->frontier.size);
    put_time(out, head->integrated_s);
    buf_put(out, sha256_bytes(&head->root));
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((head->frontier.size >> bit & 1) != 0)
            buf_put(out, sha256_bytes(&head->frontier.edge[bit]));
    }
}

struct error *head_decode(struct bytes value, struct store_head *out) {
    struct reader r = reader_of(value);
    struct store_head h = {0};
    read_layout(&r);
    h.frontier.size = reader_u64be(&r, "size");
    if (h.frontier.size > MERKLE_SIZE_MAX) reader_fail(&r, "size");
    h.integrated_s = read_time(&r, "time");
    h.root = read_hash(&r, "root");
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((h.frontier.size >> bit & 1) != 0) h.frontier.edge[bit] = read_hash(&r, "edge hash");
    }
    TRY(reader_finish(&r, "head"));
    *out = h;
    return NULL;
}

/* --- dedup */

void dedup_encode(struct buf *out, const struct store_dedup *d) {
    buf_put_u8(out, LAYOUT);
    buf_put_u64be(out, d->index);
    put_time(out, d->logged_ms);
    buf_put(out, sha256_bytes(&d->content));
}

struct error *dedup_decode(struct bytes value, struct store_dedup *out) {
    struct reader r = reader_of(value);
    struct store_dedup d = {0};
    read_layout(&r);
    d.index = reader_u64be(&r, "index");
    if (d.index >= MERKLE_SIZE_MAX) reader_fail(&r, "index");
    d.logged_ms = read_time(&r, "time");
    d.content = read_hash(&r, "content");
    TRY(reader_finish(&r, "dedup record"));
    *out = d;
    return NULL;
}

/* --- checkpoints */

void checkpoint_encode(struct buf *out, struct bytes v1, struct bytes c2sp) {
    buf_put_u8(out, LAYOUT);
    put_string(out, v1);
    put_string(out, c2sp);
}

struct error *checkpoint_decode(struct bytes value, struct bytes *v1, struct bytes *c2sp) {
    struct reader r = reader_of(value);
    read_layout(&r);
    struct bytes first = read_string(&r, "v1 form");
    struct bytes second = read_string(&r, "C2SP form");
    TRY(reader_finish(&r, "stored checkpoints"));
    *v1 = first;
    *c2sp = second;
    return NULL;
}

/* --- evidence */

void evidence_encode(struct buf *out, struct text submitter) {
    buf_put_u8(out, LAYOUT);
    put_string(out, bytes_of_text(submitter));
}

struct error *evidence_decode(struct bytes value, struct text *out_submitter) {
    struct reader r = reader_of(value);
    read_layout(&r);
    struct text submitter = {0};
    if (!text_of_bytes(read_string(&r, "submitter"), &submitter)) reader_fail(&r, "submitter");
    TRY(reader_finish(&r, "evidence row"));
    *out_submitter = submitter;
    return NULL;
}

/* --- edge */

void edge_encode(struct buf *out, const struct edge_value *edge) {
    buf_put_u8(out, LAYOUT);
    buf_put_u8(out, (uint8_t)edge->assurance);
    put_string(out, bytes_of_text(edge->other));
    put_string(out, bytes_of_text(edge->other_name));
}

struct error *edge_decode(struct bytes value, struct edge_value *out) {
    struct reader r = reader_of(value);
    struct edge_value e = {0};
    read_layout(&r);
    e.assurance = reader_u8(&r, "assurance");
    if (e.assurance < LINEAGE_DECLARED || e.assurance > LINEAGE_INFERRED)
        reader_fail(&r, "assurance");
    if (!text_of_bytes(read_string(&r, "other node"), &e.other)) reader_fail(&r, "other node");
    if (!text_of_bytes(read_string(&r, "name"), &e.other_name)) reader_fail(&r, "name");
    TRY(reader_finish(&r, "edge"));
    *out = e;
    return NULL;
}
