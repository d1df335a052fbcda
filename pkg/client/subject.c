/*
 * What an artifact or material is called on the command line:
 *
 *   SUBJECT    FILE | DIR | [NAME@]sha256:HEX                    a path that exists wins
 *   MATERIAL   [role=NAME,] FILE | DIR | URI@ALG:HEX             likewise; split at the last "@"
 */
#include <stdio.h>

#include "client/internal.h"
#include "codec/codec.h"
#include "modeldir/modeldir.h"

#define NAME_OCTETS_MAX ((size_t)4096)

static const char *base_name(struct arena *arena, const char *path) {
    struct bytes b = bytes_of_cstr(path);
    while (b.len > 1 && b.data[b.len - 1] == '/') b.len--;
    size_t from = b.len;
    while (from > 0 && b.data[from - 1] != '/') from--;
    return cli_cstr(arena, (struct bytes){b.data + from, b.len - from});
}

static const char *hex_of(struct arena *arena, const struct sha256 *digest) {
    struct buf hex;
    buf_init_arena(&hex, arena, 65);
    hex_put(&hex, sha256_bytes(digest));
    return cli_cstr(arena, buf_bytes(&hex));
}

static struct error *of_path(struct arena *arena, const char *path, struct subject *out) {
    struct sha256 digest;
    if (path_is_dir(path)) {
        const struct modeldir_options options = {0};
        struct model *model = arena_alloc(arena, sizeof *model);
        if (model == NULL) return error_nomem();
        TRY(modeldir_digest(arena, path, &options, model));
        digest = model->root;
        out->model = model;
    } else {
        TRY(cli_hash_file(path, &digest));
    }
    out->algorithm = "sha256";
    out->digest = hex_of(arena, &digest);
    out->file = out->name = base_name(arena, path);
    return NULL;
}

/* "ALG:HEX": in-toto's names are lower-case words but for gitCommit and its like. */
static bool split_digest(struct arena *arena, struct bytes in, struct subject *out) {
    const uint8_t *colon = in.len == 0 ? NULL : memchr(in.data, ':', in.len);
    if (colon == NULL || colon == in.data) return false;
    struct bytes alg = {in.data, (size_t)(colon - in.data)};
    struct bytes hex = {colon + 1, in.len - alg.len - 1};
    for (size_t i = 0; i < alg.len; i++) {
        uint8_t c = alg.data[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && c != '_') return false;
    }
    if (!hex_is_lower(hex)) return false;
    if (bytes_equal(alg, BYTES_LIT("sha256")) && hex.len != 64) return false;
    out->algorithm = cli_cstr(arena, alg);
    out->digest = cli_cstr(arena, hex);
    return true;
}

/* Splits at the last "@"; without one, all of it is the digest. */
static struct bytes before_at(struct bytes word, struct bytes *out_digest) {
    size_t at = word.len;
    while (at > 0 && word.data[at - 1] != '@') at--;
    *out_digest = (struct bytes){word.data + at, word.len - at};
    return (struct bytes){word.data, at == 0 ? 0 : at - 1};
}

static struct error *not_text(const char *word) {
    struct text t;
    if (strlen(word) <= NAME_OCTETS_MAX && text_of_bytes(bytes_of_cstr(word), &t)) return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "an argument is not UTF-8, or longer than %zu octets",
                     NAME_OCTETS_MAX);
}

struct error *subject_parse(struct arena *arena, const char *word, struct subject *out) {
    struct subject s = {0};
    struct bytes digest;
    TRY(not_text(word));
    if (path_exists(word)) {
        TRY(of_path(arena, word, &s));
        *out = s;
        return NULL;
    }
    struct bytes name = before_at(bytes_of_cstr(word), &digest);
    if (!split_digest(arena, digest, &s) || strcmp(s.algorithm, "sha256") != 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "`%.200s` is no file, no directory and no [NAME@]sha256:HEX", word);
    s.name = name.len == 0 ? "" : cli_cstr(arena, name);
    *out = s;
    return NULL;
}

struct error *material_parse(struct arena *arena, const char *word, struct subject *out) {
    struct subject s = {0};
    struct bytes digest;
    TRY(not_text(word));
    const char *comma = strchr(word, ',');
    if (!path_exists(word) && strncmp(word, "role=", 5) == 0 && comma != NULL) {
        s.role =
            cli_cstr(arena, (struct bytes){(const uint8_t *)word + 5, (size_t)(comma - word) - 5});
        if (s.role[0] == '\0')
            return error_new(ERROR_INVALID_ARGUMENT, "`%.200s`: the role is empty", word);
        word = comma + 1;
    }
    if (path_exists(word)) {
        TRY(of_path(arena, word, &s));
        *out = s;
        return NULL;
    }
    struct bytes uri = before_at(bytes_of_cstr(word), &digest);
    if (uri.len == 0 || !split_digest(arena, digest, &s))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "material `%.200s` is no file, no directory and no URI@ALG:HEX", word);
    s.uri = cli_cstr(arena, uri);
    s.name = "";
    *out = s;
    return NULL;
}

/* A file's name is a file's name already; what others call a thing may hold anything. */
static bool may_stand(const struct subject *s, char c, size_t at) {
    if (s->file != NULL) return (unsigned char)c >= 0x20 && c != 0x7f;
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || (c == '.' && at > 0) || (unsigned char)c >= 0x80;
}

const char *subject_file_name(struct arena *arena, const struct subject *s, unsigned attempt) {
    const char *base = s->file;
    struct buf b;
    if (base == NULL) base = base_name(arena, s->name[0] == '\0' ? s->digest : s->name);
    buf_init_arena(&b, arena, 512);
    for (size_t i = 0; i < 200 && base[i] != '\0'; i++)
        buf_put_u8(&b, (uint8_t)(may_stand(s, base[i], i) ? base[i] : '_'));
    if (attempt > 1) buf_printf(&b, ".%u", attempt);
    buf_put_cstr(&b, ".sigstore.json");
    return cli_cstr(arena, buf_bytes(&b));
}

struct error *subjects_load(struct cli *cli, struct subject **out, size_t *out_count) {
    size_t count = cli->args.word_count;
    const char *name = args_value(&cli->args, "name");
    struct subject *list = arena_alloc(&cli->arena, (count + 1) * sizeof *list);
    if (list == NULL) return error_nomem();
    if (name != NULL && count != 1)
        return cli_usage(cli, "--name needs one SUBJECT, not %zu", count);
    for (size_t i = 0; i < count; i++)
        TRY(subject_parse(&cli->arena, cli->args.words[i], &list[i]));
    if (name != NULL) {
        TRY(not_text(name));
        list[0].name = name;
    }
    *out = list;
    *out_count = count;
    return NULL;
}
