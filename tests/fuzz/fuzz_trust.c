/* Loading trust files is total; what loads has a log and a key whose id and hint are its own. The
 * input stands for either file, beside the golden other. */
#include <stdio.h>
#include <stdlib.h>

#include "bundle/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX ((size_t)16 << 10)

static void require(bool holds) {
    if (!holds) __builtin_trap();
}

struct file {
    uint8_t octets[FILE_MAX];
    size_t len;
};

static struct bytes file_of(const char *path, struct file *file) {
    if (file->len == 0) {
        FILE *f = fopen(path, "rb");
        require(f != NULL);
        file->len = fread(file->octets, 1, FILE_MAX, f);
        (void)fclose(f);
    }
    return (struct bytes){file->octets, file->len};
}

static void load(struct bytes root, struct bytes keys) {
    struct trust t = {0};
    CLEANUP(error_freep) struct error *err = trust_load(root, keys, &t);
    if (err != NULL) {
        require(error_code(err) == ERROR_INVALID_ARGUMENT ||
                error_code(err) == ERROR_RESOURCE_EXHAUSTED);
        return;
    }
    require(t.log_count > 0 && t.log_count <= TRUST_KEYS_MAX && t.origin.len > 0);
    require(t.key_count > 0 && t.key_count <= TRUST_KEYS_MAX);
    for (size_t i = 0; i < t.key_count; i++) {
        char hint[65];
        bundle_key_hint(t.keys[i].key, hint);
        require(strcmp(hint, t.keys[i].hint) == 0);
        require(t.keys[i].purpose != TRUST_PURPOSE_UNSET);
        require(t.keys[i].valid_from_s <= t.keys[i].valid_until_s);
    }
    trust_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct file root, keys;
    struct bytes input = {data, size};
    load(input, file_of("testdata/bundle/signing-keys.json", &keys));
    load(file_of("testdata/bundle/trusted_root.json", &root), input);
    return 0;
}
