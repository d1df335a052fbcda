/* fuzz_tile_path: a path that is accepted is the one that would be written, and names a tile that
 * a tree can have. */
#include <stdlib.h>

#include "base/buf.h"
#include "merkle/merkle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes path = {data, size};
    struct merkle_tile tile;
    if (!merkle_tile_parse(path, &tile)) return 0;
    CHECK(tile.width >= 1 && tile.width <= MERKLE_TILE_WIDTH);
    CHECK(tile.level <= 7 && (!tile.entries || tile.level == 0));
    CHECK(merkle_tile_width(tile.level, tile.index, MERKLE_SIZE_MAX) == MERKLE_TILE_WIDTH ||
          tile.level == 7);
    struct buf out;
    buf_init(&out, 128);
    merkle_tile_path(&out, &tile);
    CHECK(!out.failed && bytes_equal(buf_bytes(&out), path));
    buf_done(&out);
    return 0;
}
