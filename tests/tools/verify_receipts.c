/* verify_receipts TRUST FOLDER: verifies every <subject sha256>.json of FOLDER offline against
 * TRUST and TRUST.keys.json. What `attest verify` does, for thousands in one process. Says how
 * many; exits 1 at the first that is refused, or if there is none. */
#include <dirent.h>
#include <stdio.h>

#include "bundle/bundle.h"
#include "codec/codec.h"
#include "file/file.h"

#define RECEIPT_MAX ((size_t)8 << 20)
#define ARENA_MAX ((size_t)256 << 20)

static struct error *load_trust(struct arena *arena, const char *path, struct trust *out) {
    struct file_path keys_path;
    struct bytes root, keys;
    int n = snprintf(keys_path.text, sizeof keys_path.text, "%s.keys.json", path);
    if (n < 0 || (size_t)n >= sizeof keys_path.text)
        return error_new(ERROR_INVALID_ARGUMENT, "the path is too long");
    TRY(file_read(arena, path, RECEIPT_MAX, &root));
    TRY(file_read(arena, keys_path.text, RECEIPT_MAX, &keys));
    return trust_load(root, keys, out);
}

static struct error *verify_one(const struct trust *trust, const char *folder, const char *name) {
    struct sha256 digest;
    struct file_path path;
    struct bundle_verification v;
    struct bytes receipt;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct error *err = NULL;
    if (!hex_decode((struct bytes){(const uint8_t *)name, 64}, digest.octets, sizeof digest.octets))
        err = error_new(ERROR_INVALID_ARGUMENT, "%s is no digest", name);
    if (err == NULL) err = file_path_join(folder, name, &path);
    if (err == NULL) err = file_read(&arena, path.text, RECEIPT_MAX, &receipt);
    if (err == NULL) err = bundle_verify(&arena, receipt, trust, &digest, (struct bytes){0}, &v);
    if (err == NULL && v.verdict != BUNDLE_VERIFIED)
        err = error_new(ERROR_DATA_LOSS, "%s: %s", name, v.reason);
    arena_done(&arena);
    return err;
}

static struct error *verify_all(const struct trust *trust, const char *folder, long *out_count) {
    DIR *d = opendir(folder);
    if (d == NULL) return error_new(ERROR_NOT_FOUND, "no folder %s", folder);
    struct error *err = NULL;
    long count = 0;
    for (struct dirent *e = readdir(d); e != NULL && err == NULL; e = readdir(d)) {
        if (strlen(e->d_name) != 64 + strlen(".json")) continue;
        err = verify_one(trust, folder, e->d_name);
        count++;
    }
    (void)closedir(d);
    if (err == NULL) *out_count = count;
    return err;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    struct trust trust = {0};
    struct arena arena;
    arena_init(&arena, 2 * RECEIPT_MAX);
    long count = 0;
    struct error *err = load_trust(&arena, argv[1], &trust);
    if (err == NULL) err = verify_all(&trust, argv[2], &count);
    trust_done(&trust);
    arena_done(&arena);
    if (err != NULL) {
        char text[512];
        error_text(err, text, sizeof text);
        (void)fprintf(stderr, "verify_receipts: %s\n", text);
        error_free(err);
        return 1;
    }
    printf("%ld receipts verified\n", count);
    return count > 0 ? 0 : 1;
}
