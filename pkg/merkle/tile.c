/*
 * Tile coordinates. What stands behind "/tile/" in a path:
 *
 *   <L>/<N>[.p/<W>]          hashes of tree level 8 * L
 *   entries/<N>[.p/<W>]      an entry bundle
 *
 *   L  0..7, one digit: 256^8 leaves are more than a tree can have
 *   N  groups of three digits, all but the last with an "x" in front; no leading group of zeros
 *   W  1..255, no leading zero; without it the tile is full
 */
#include "base/reader.h"
#include "merkle/merkle.h"

#define LEVEL_MAX 7U

/* A full tile spans 256^(level + 1) leaves; this many fit in the largest tree. */
static uint64_t tiles_max(unsigned level) {
    unsigned shift = 8 * (level + 1);
    return shift >= 62 ? 1 : MERKLE_SIZE_MAX >> shift;
}

static unsigned take_group(struct reader *r) {
    unsigned v = 0;
    struct bytes in = reader_take(r, 3, "tile index");
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] < '0' || in.data[i] > '9') reader_fail(r, "tile index");
        v = v * 10 + (in.data[i] - (unsigned)'0');
    }
    return v;
}

/* take_index takes "x001/x234/067", which must be below `max`. */
static uint64_t take_index(struct reader *r, uint64_t max) {
    /* SPEC c2sp-tlog-tiles Merkle Tree: "<N> is the index of the tile within the level. It MUST be
     * a non-negative integer encoded into zero-padded 3-digit path elements. All but the last path
     * element MUST begin with an x." */
    uint64_t index = 0;
    bool more = true;
    while (more && r->failed == NULL) {
        more = bytes_start_with(r->rest, BYTES_LIT("x"));
        if (more) reader_expect(r, BYTES_LIT("x"), "tile index");
        index = index * 1000 + take_group(r); /* no overflow: it was below max <= 2^54 */
        if (more) reader_expect(r, BYTES_LIT("/"), "tile index");
        bool leading_zeros = more && index == 0;
        if (leading_zeros || index >= max) reader_fail(r, "tile index");
    }
    return index;
}

static unsigned take_level(struct reader *r, bool *entries) {
    *entries = bytes_start_with(r->rest, BYTES_LIT("entries/"));
    if (*entries) {
        reader_expect(r, BYTES_LIT("entries/"), "tile level");
        return 0;
    }
    unsigned level = (unsigned)reader_u8(r, "tile level") - '0';
    reader_expect(r, BYTES_LIT("/"), "tile level");
    if (level > LEVEL_MAX) reader_fail(r, "tile level");
    return level;
}

static unsigned take_width(struct reader *r) {
    /* SPEC c2sp-tlog-tiles Merkle Tree: "<W> is the width of the tile, in number of hashes, MUST be
     * a decimal ASCII integer between 1 and 255, with no additional leading zeroes." */
    uint64_t width = 0;
    reader_expect(r, BYTES_LIT(".p/"), "tile width");
    struct bytes digits = reader_take(r, r->rest.len, "tile width");
    if (!bytes_to_u64(digits, &width) || width == 0 || width >= MERKLE_TILE_WIDTH)
        reader_fail(r, "tile width");
    return (unsigned)width;
}

bool merkle_tile_parse(struct bytes path, struct merkle_tile *out) {
    struct reader r = reader_of(path);
    struct merkle_tile tile = {.width = MERKLE_TILE_WIDTH};
    tile.level = take_level(&r, &tile.entries);
    if (r.failed == NULL) tile.index = take_index(&r, tiles_max(tile.level));
    if (r.failed == NULL && r.rest.len > 0) tile.width = take_width(&r);
    if (r.failed != NULL) return false;
    *out = tile;
    return true;
}

static void put_group(struct buf *out, const char *before, unsigned group) {
    const uint8_t digits[3] = {(uint8_t)('0' + group / 100), (uint8_t)('0' + group / 10 % 10),
                               (uint8_t)('0' + group % 10)};
    buf_put_cstr(out, before);
    buf_put(out, (struct bytes){digits, sizeof digits});
}

void merkle_tile_path(struct buf *out, const struct merkle_tile *tile) {
    if (tile->entries)
        buf_put_cstr(out, "entries");
    else
        buf_put_dec(out, tile->level);
    uint64_t unit = 1;
    while (tile->index / unit >= 1000) unit *= 1000;
    for (; unit > 0; unit /= 1000)
        put_group(out, unit > 1 ? "/x" : "/", (unsigned)(tile->index / unit % 1000));
    if (tile->width < MERKLE_TILE_WIDTH) {
        buf_put_cstr(out, ".p/");
        buf_put_dec(out, tile->width);
    }
}

unsigned merkle_tile_width(unsigned level, uint64_t index, uint64_t size) {
    if (level > LEVEL_MAX) return 0;
    uint64_t hashes = size >> (8 * level);
    uint64_t full = hashes / MERKLE_TILE_WIDTH;
    if (index < full) return MERKLE_TILE_WIDTH;
    return index == full ? (unsigned)(hashes % MERKLE_TILE_WIDTH) : 0;
}
