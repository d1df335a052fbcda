/* store's keys: first octet the family, the rest a key. What is taken apart is put together again
 * as the same octets: one key for one row. */
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    enum kv_family family = (enum kv_family)(data[0] % (KV_FAMILY_COUNT + 1));
    struct bytes octets = {data + 1, size - 1};
    struct store_key key;
    if (!store_key_parse(family, octets, &key)) return 0;
    struct buf again;
    buf_init(&again, size + 64);
    store_key_put(&again, &key);
    if (!bytes_equal(buf_bytes(&again), octets)) __builtin_trap();
    buf_done(&again);
    return 0;
}
