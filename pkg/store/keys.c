/*
 * Keys. Numbers are big-endian, so that they order as octets; every key but a record's has the
 * length that its family and first octet give it.
 *
 *   family    octets of the key                                                value (record.c)
 *   meta      'S'                                                              schema, u32
 *             'H'                                                              head
 *             'C' size u64                                                     checkpoints
 *   entry     index u64                                                        entry record
 *   tile      level u8 (0..7)  tile u64                                        256 hashes
 *   dedup     key 32                                                           dedup record
 *   index     kind u8  digest 32  index u64                                    empty
 *               1 subject, 2 material, 3 predicate type, 4 submitter:
 *                 digest is the SHA-256 of the term as text ("sha256:ab...")
 *               5 time: digest is 24 zero octets, then seconds since 1970 as u64
 *               6 leaf hash: digest is the leaf hash
 *               7 (schema 1 alone) subject and predicate type:
 *                 digest is SHA-256(SHA-256(subject) ‖ SHA-256(type))
 *             8  digest 32  submitter 32  index u64                               evidence value
 *               digest as in 7, submitter the SHA-256 of the principal as text
 *   edge      direction u8 (1 up, 2 down)  node 32  kind u8  other 32  index u64      edge value
 *               node and other are the SHA-256 of the nodes as text; up: from a product to what it
 *               came from. Each edge stands here twice, once a direction.
 *   meta, policy, decision, identity   'R' the record's own key                their owner's
 *
 * A digest of 256 bits stands for a term of any length: for two terms to share rows would take a
 * collision of SHA-256. Edge values hold the other node's text, and reading compares.
 */
#include "store/internal.h"

static void put(struct row_key *k, struct bytes in) {
    ASSERT(in.len <= sizeof k->octets - k->len);
    memcpy(k->octets + k->len, in.data, in.len);
    k->len += in.len;
}

static void put_u8(struct row_key *k, uint8_t v) { put(k, (struct bytes){&v, 1}); }

static void put_u64(struct row_key *k, uint64_t v) {
    uint8_t octets[8];
    for (int i = 0; i < 8; i++) octets[i] = (uint8_t)(v >> (56 - 8 * i));
    put(k, (struct bytes){octets, sizeof octets});
}

struct row_key key_meta(uint8_t letter) {
    struct row_key k = {.len = 0};
    put_u8(&k, letter);
    return k;
}

struct row_key key_checkpoint(uint64_t size) {
    struct row_key k = key_meta(META_CHECKPOINT);
    put_u64(&k, size);
    return k;
}

struct row_key key_entry(uint64_t index) {
    struct row_key k = {.len = 0};
    put_u64(&k, index);
    return k;
}

struct row_key key_tile(uint8_t level, uint64_t index) {
    struct row_key k = {.len = 0};
    put_u8(&k, level);
    put_u64(&k, index);
    return k;
}

struct row_key key_index(uint8_t kind, const struct sha256 *digest, uint64_t number) {
    struct row_key k = {.len = 0};
    put_u8(&k, kind);
    put(&k, sha256_bytes(digest));
    put_u64(&k, number);
    return k;
}

struct row_key key_evidence(const struct sha256 *both, const struct sha256 *submitter,
                            uint64_t index) {
    struct row_key k = {.len = 0};
    put_u8(&k, INDEX_EVIDENCE);
    put(&k, sha256_bytes(both));
    put(&k, sha256_bytes(submitter));
    put_u64(&k, index);
    return k;
}

struct row_key key_edge_prefix(bool up, const struct sha256 *node) {
    struct row_key k = {.len = 0};
    put_u8(&k, up ? 1 : 2);
    put(&k, sha256_bytes(node));
    return k;
}

struct row_key key_edge(const struct store_key *key) {
    struct row_key k = key_edge_prefix(key->up, &key->digest);
    put_u8(&k, key->kind);
    put(&k, sha256_bytes(&key->other));
    put_u64(&k, key->number);
    return k;
}

struct sha256 term_digest(struct text term) {
    return sha256_of(bytes_of_text(term));
}

struct sha256 subject_type_digest(struct text subject, struct text predicate_type) {
    struct sha256 both[2] = {term_digest(subject), term_digest(predicate_type)};
    return sha256_of((struct bytes){both[0].octets, sizeof both});
}

struct sha256 time_digest(int64_t unix_s) {
    ASSERT(unix_s >= 0);
    struct sha256 d = {{0}};
    for (int i = 0; i < 8; i++) d.octets[24 + i] = (uint8_t)((uint64_t)unix_s >> (56 - 8 * i));
    return d;
}

/* --- taking apart */

static struct sha256 read_digest(struct reader *r) {
    struct sha256 d = {{0}};
    struct bytes octets = reader_take(r, sizeof d.octets, "digest");
    if (octets.len == sizeof d.octets) memcpy(d.octets, octets.data, octets.len);
    return d;
}

static uint64_t read_index(struct reader *r) {
    uint64_t v = reader_u64be(r, "index");
    if (v >= MERKLE_SIZE_MAX) reader_fail(r, "index");
    return v;
}

static bool is_time(const struct sha256 *digest) {
    for (int i = 0; i < 24; i++) {
        if (digest->octets[i] != 0) return false;
    }
    return digest->octets[24] < 0x80; /* an int64_t */
}

static bool is_edge_kind(uint8_t kind) {
    switch (kind) {
#define EDGE_KIND(e, name, octet) case octet:
        LINEAGE_KIND_TABLE(EDGE_KIND)
#undef EDGE_KIND
        return true;
        default:
            return false;
    }
}

static void parse_meta(struct reader *r, struct store_key *k) {
    k->kind = reader_u8(r, "letter");
    switch (k->kind) {
        case META_SCHEMA:
        case META_HEAD:
            break;
        case META_CHECKPOINT:
            k->number = read_index(r);
            break;
        case RECORD_KEY:
            k->name = reader_take(r, r->rest.len, "name");
            break;
        default:
            reader_fail(r, "letter");
    }
}

static void parse_index(struct reader *r, struct store_key *k) {
    k->kind = reader_u8(r, "kind");
    k->digest = read_digest(r);
    if (k->kind == INDEX_EVIDENCE) k->other = read_digest(r);
    k->number = read_index(r);
    if (k->kind < STORE_INDEX_SUBJECT || k->kind > INDEX_EVIDENCE) reader_fail(r, "kind");
    if (k->kind == STORE_INDEX_TIME && !is_time(&k->digest)) reader_fail(r, "time");
}

static void parse_edge(struct reader *r, struct store_key *k) {
    uint8_t direction = reader_u8(r, "direction");
    if (direction != 1 && direction != 2) reader_fail(r, "direction");
    k->up = direction == 1;
    k->digest = read_digest(r);
    k->kind = reader_u8(r, "kind");
    if (!is_edge_kind(k->kind)) reader_fail(r, "kind");
    k->other = read_digest(r);
    k->number = read_index(r);
}

static void parse_family(struct reader *r, struct store_key *k) {
    switch (k->family) {
        case KV_META:
            parse_meta(r, k);
            break;
        case KV_ENTRY:
            k->number = read_index(r);
            break;
        case KV_TILE:
            k->level = reader_u8(r, "level");
            if (k->level > 7) reader_fail(r, "level");
            k->number = read_index(r);
            break;
        case KV_DEDUP:
            k->digest = read_digest(r);
            break;
        case KV_INDEX:
            parse_index(r, k);
            break;
        case KV_EDGE:
            parse_edge(r, k);
            break;
        case KV_POLICY:
        case KV_DECISION:
        case KV_IDENTITY:
            reader_expect(r, BYTES_LIT("R"), "letter");
            k->name = reader_take(r, r->rest.len, "name");
            break;
        case KV_FAMILY_COUNT:
            reader_fail(r, "family");
    }
}

bool store_key_parse(enum kv_family family, struct bytes octets, struct store_key *out) {
    struct reader r = reader_of(octets);
    struct store_key k = {.family = family};
    parse_family(&r, &k);
    if (r.failed != NULL || r.rest.len > 0) return false;
    *out = k;
    return true;
}

static struct row_key fixed_key(const struct store_key *key) {
    switch (key->family) {
        case KV_META:
            return key->kind == META_CHECKPOINT ? key_checkpoint(key->number) : key_meta(key->kind);
        case KV_ENTRY:
            return key_entry(key->number);
        case KV_TILE:
            return key_tile(key->level, key->number);
        case KV_INDEX:
            if (key->kind == INDEX_EVIDENCE)
                return key_evidence(&key->digest, &key->other, key->number);
            return key_index(key->kind, &key->digest, key->number);
        case KV_EDGE:
            return key_edge(key);
        case KV_DEDUP:
        default: {
            ASSERT(key->family == KV_DEDUP);
            struct row_key k = {.len = 0};
            put(&k, sha256_bytes(&key->digest));
            return k;
        }
    }
}

void store_key_put(struct buf *out, const struct store_key *key) {
    bool record = key->family >= KV_POLICY || (key->family == KV_META && key->kind == RECORD_KEY);
    if (record) {
        buf_put_u8(out, RECORD_KEY);
        buf_put(out, key->name);
        return;
    }
    struct row_key k = fixed_key(key);
    buf_put(out, row_key_bytes(&k));
}
