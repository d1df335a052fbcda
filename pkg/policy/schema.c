/*
 * Tree -> structs by tables. A struct is described by its fields' key, type and place; what is not
 * in the table does not load. Scalars are read by the field's type, never guessed from their
 * spelling, but for `where`, whose values have none:
 *
 *   quoted                            text
 *   plain true, false                 flag
 *   plain digits, perhaps with "-"    integer
 *   plain, anything else              text, unless another YAML reader might see something else in
 *                                     it (null, yes, 1.5, 0x10, 007): refused, quote it
 */
#include "base/arena.h"
#include "base/assert.h"
#include "base/reader.h"
#include "codec/codec.h"
#include "policy/internal.h"

static struct error *copy_text(const struct decoder *d, struct text in, struct text *out) {
    struct bytes copy = arena_copy(d->arena, bytes_of_text(in));
    if (copy.data == NULL) return error_nomem();
    *out = (struct text){(const char *)copy.data, copy.len};
    return NULL;
}

static bool is_null(const struct doc_node *node) {
    static const char *const spellings[] = {"", "~", "null", "Null", "NULL"};
    if (node->kind != DOC_SCALAR || !node->plain) return false;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        if (text_equal(node->scalar, text_of_cstr(spellings[i]))) return true;
    }
    return false;
}

static const char *if_empty(bool required) {
    return required ? "fill it in" : "fill it in or remove it";
}

static struct error *need_text(const struct decoder *d, const struct doc_node *node,
                               const struct field *f) {
    if (node->kind != DOC_SCALAR)
        return doc_error(d->file, node->line, "`%s` must be one text, not a %s", f->key,
                         node->kind == DOC_LIST ? "list" : "map");
    if (is_null(node) || node->scalar.len == 0)
        return doc_error(d->file, node->line, "`%s` is empty; %s", f->key, if_empty(f->required));
    return NULL;
}

static struct error *decode_text(const struct decoder *d, const struct field *f,
                                 const struct doc_node *node, struct text *out) {
    TRY(need_text(d, node, f));
    if (f->type == FIELD_GLOB || f->type == FIELD_GLOBS) {
        const char *wrong = policy_glob_check(bytes_of_text(node->scalar));
        if (wrong != NULL) return doc_error(d->file, node->line, "`%s`: %s", f->key, wrong);
    }
    return copy_text(d, node->scalar, out);
}

static struct error *need_list(const struct decoder *d, const struct field *f,
                               const struct doc_node *node) {
    if (node->kind != DOC_LIST)
        return doc_error(d->file, node->line, "`%s` must be a list: [..]", f->key);
    if (node->count == 0 && !f->may_be_empty)
        return doc_error(d->file, node->line,
                         "`%s` is an empty list, which nothing would satisfy; %s", f->key,
                         if_empty(f->required));
    return NULL;
}

static struct error *decode_texts(const struct decoder *d, const struct field *f,
                                  const struct doc_node *node, struct text_list *out) {
    TRY(need_list(d, f, node));
    struct text *items = arena_alloc(d->arena, (node->count + 1) * sizeof *items);
    if (items == NULL) return error_nomem();
    size_t n = 0;
    for (const struct doc_node *i = node->first; i != NULL; i = i->next)
        TRY(decode_text(d, f, i, &items[n++]));
    *out = (struct text_list){items, n};
    return NULL;
}

static struct error *decode_count(const struct decoder *d, const struct field *f,
                                  const struct doc_node *node, uint64_t *out) {
    uint64_t v = 0;
    TRY(need_text(d, node, f));
    if (!node->plain || !bytes_to_u64(bytes_of_text(node->scalar), &v) || v < f->min || v > f->max)
        return doc_error(d->file, node->line, "`%s` must be a number from %llu to %llu", f->key,
                         (unsigned long long)f->min, (unsigned long long)f->max);
    *out = v;
    return NULL;
}

static struct error *decode_duration(const struct decoder *d, const struct field *f,
                                     const struct doc_node *node, int64_t *out_ms) {
    int64_t ms = 0;
    TRY(need_text(d, node, f));
    if (!duration_parse(bytes_of_text(node->scalar), &ms) || ms <= 0)
        return doc_error(d->file, node->line,
                         "`%s` must be a time like 30d, 12h or 90m, above zero", f->key);
    *out_ms = ms;
    return NULL;
}

static struct error *decode_time(const struct decoder *d, const struct field *f,
                                 const struct doc_node *node, int64_t *out_ms) {
    int64_t seconds = 0;
    int32_t nanos = 0;
    TRY(need_text(d, node, f));
    if (!time_parse(bytes_of_text(node->scalar), &seconds, &nanos))
        return doc_error(d->file, node->line, "`%s` must be a time like 2026-01-02T00:00:00Z",
                         f->key);
    *out_ms = seconds * 1000 + nanos / 1000000;
    return NULL;
}

static bool is_flag(const struct doc_node *node, bool *out) {
    bool yes = text_equal(node->scalar, TEXT_LIT("true"));
    if (!node->plain || (!yes && !text_equal(node->scalar, TEXT_LIT("false")))) return false;
    *out = yes;
    return true;
}

static struct error *decode_flag(const struct decoder *d, const struct field *f,
                                 const struct doc_node *node, bool *out) {
    TRY(need_text(d, node, f));
    if (is_flag(node, out)) return NULL;
    return doc_error(d->file, node->line, "`%s` must be true or false", f->key);
}

static struct error *decode_name(const struct decoder *d, const struct field *f,
                                 const struct doc_node *node, int *out) {
    struct buf names;
    TRY(need_text(d, node, f));
    for (int i = 0; f->names[i] != NULL; i++) {
        if (!text_equal(node->scalar, text_of_cstr(f->names[i]))) continue;
        *out = i;
        return NULL;
    }
    buf_init_arena(&names, d->arena, 256);
    for (int i = 0; f->names[i] != NULL; i++) {
        if (f->names[i][0] == '\0') continue; /* what it is where the key is missing */
        buf_printf(&names, "%s\"%s\"", names.len == 0 ? "" : " or ", f->names[i]);
    }
    return doc_error(d->file, node->line, "`%s` must be " BYTES_FMT, f->key,
                     BYTES_ARG(buf_bytes(&names)));
}

static struct error *need_map(const struct decoder *d, const char *key, bool required,
                              const struct doc_node *node) {
    if (node->kind != DOC_MAP)
        return doc_error(d->file, node->line, "`%s` must be a map: {key: value}", key);
    if (node->count == 0)
        return doc_error(d->file, node->line, "`%s` is empty; %s", key, if_empty(required));
    return NULL;
}

static struct error *decode_digests(const struct decoder *d, const struct field *f,
                                    const struct doc_node *node, struct digest_list *out) {
    TRY(need_map(d, f->key, f->required, node));
    struct intoto_digest *items = arena_alloc(d->arena, node->count * sizeof *items);
    if (items == NULL) return error_nomem();
    size_t n = 0;
    for (const struct doc_node *k = node->first; k != NULL; k = k->next, n++) {
        TRY(need_text(d, k->value, f));
        if (!hex_is_lower(bytes_of_text(k->value->scalar)))
            return doc_error(d->file, k->value->line, "a digest is lower-case hexadecimal");
        TRY(copy_text(d, k->scalar, &items[n].algorithm));
        TRY(copy_text(d, k->value->scalar, &items[n].value));
    }
    *out = (struct digest_list){items, n};
    return NULL;
}

/* --- where: a dotted path and a scalar */
static bool path_is_sound(struct text path) {
    if (path.len == 0 || path.data[0] == '.' || path.data[path.len - 1] == '.') return false;
    for (size_t i = 1; i < path.len; i++) {
        if (path.data[i] == '.' && path.data[i - 1] == '.') return false;
    }
    return true;
}

static bool is_integer(struct text t, int64_t *out) {
    struct bytes digits = bytes_of_text(t);
    bool minus = digits.len > 0 && digits.data[0] == '-';
    if (minus) digits = (struct bytes){digits.data + 1, digits.len - 1};
    uint64_t v = 0;
    if (!bytes_to_u64(digits, &v) || v > (uint64_t)INT64_MAX) return false;
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

/* Words and figures that some YAML reader takes for something else than text. */
static bool is_doubtful(struct text t) {
    static const char *const words[] = {"yes", "no",  "on",   "off",  "y",     "n",    "Yes",
                                        "No",  "On",  "Off",  "Y",    "N",     "YES",  "NO",
                                        "ON",  "OFF", "True", "TRUE", "False", "FALSE"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (text_equal(t, text_of_cstr(words[i]))) return true;
    }
    size_t at = t.len > 0 && (t.data[0] == '-' || t.data[0] == '+') ? 1 : 0;
    bool dot = at < t.len && t.data[at] == '.';
    if (dot) at++;
    if (at >= t.len || t.data[at] < '0' || t.data[at] > '9') return dot; /* .inf, .nan */
    for (size_t i = at; i < t.len; i++) { /* begins as a number: only figures' octets? */
        if (strchr("0123456789abcdefABCDEFxoXO_.+-", t.data[i]) == NULL) return false;
    }
    return true;
}

static struct error *decode_where_value(const struct decoder *d, const struct doc_node *node,
                                        struct where *out) {
    if (node->kind != DOC_SCALAR)
        return doc_error(d->file, node->line,
                         "`where` compares one value; for fields inside write a dotted path");
    if (node->plain && is_flag(node, &out->flag)) {
        out->type = WHERE_FLAG;
        return NULL;
    }
    if (node->plain && is_integer(node->scalar, &out->integer)) {
        out->type = WHERE_INT;
        return NULL;
    }
    if (is_null(node) || (node->plain && is_doubtful(node->scalar)))
        return doc_error(d->file, node->line,
                         "`where`: is `" BYTES_FMT
                         "` text? Then quote it. Fractions and null "
                         "cannot be compared",
                         BYTES_ARG(node->scalar));
    out->type = WHERE_TEXT;
    return copy_text(d, node->scalar, &out->text);
}

static struct error *decode_where(const struct decoder *d, const struct field *f,
                                  const struct doc_node *node, struct where_list *out) {
    TRY(need_map(d, f->key, f->required, node));
    struct where *items = arena_alloc(d->arena, node->count * sizeof *items);
    if (items == NULL) return error_nomem();
    size_t n = 0;
    for (const struct doc_node *k = node->first; k != NULL; k = k->next, n++) {
        if (!path_is_sound(k->scalar))
            return doc_error(d->file, k->line, "`where`: not a dotted path");
        TRY(copy_text(d, k->scalar, &items[n].path));
        TRY(decode_where_value(d, k->value, &items[n]));
    }
    *out = (struct where_list){items, n};
    return NULL;
}

static struct error *decode_objects(const struct decoder *d, const struct field *f,
                                    const struct doc_node *node, struct object_list *out) {
    TRY(need_list(d, f, node));
    uint8_t *items = arena_alloc(d->arena, (node->count + 1) * f->schema->size);
    if (items == NULL) return error_nomem();
    size_t n = 0;
    for (const struct doc_node *i = node->first; i != NULL; i = i->next, n++)
        TRY(schema_decode(d, f->schema, i, items + n * f->schema->size));
    *out = (struct object_list){items, n};
    return NULL;
}

static struct error *decode_field(const struct decoder *d, const struct field *f,
                                  const struct doc_node *node, void *at) {
    switch (f->type) {
        case FIELD_TEXT:
        case FIELD_GLOB:
            return decode_text(d, f, node, at);
        case FIELD_TEXTS:
        case FIELD_GLOBS:
            return decode_texts(d, f, node, at);
        case FIELD_COUNT:
            return decode_count(d, f, node, at);
        case FIELD_DURATION:
            return decode_duration(d, f, node, at);
        case FIELD_TIME:
            return decode_time(d, f, node, at);
        case FIELD_FLAG:
            return decode_flag(d, f, node, at);
        case FIELD_NAME:
            return decode_name(d, f, node, at);
        case FIELD_DIGESTS:
            return decode_digests(d, f, node, at);
        case FIELD_WHERE:
            return decode_where(d, f, node, at);
        case FIELD_OBJECT:
            return schema_decode(d, f->schema, node, at);
        case FIELD_OBJECTS:
            return decode_objects(d, f, node, at);
    }
    ASSERT(false);
    return NULL;
}

static const struct field *field_at(const struct schema *s, size_t i) {
    size_t stride = s->stride == 0 ? sizeof(struct field) : s->stride;
    return (const struct field *)((const uint8_t *)s->fields + i * stride);
}

static struct error *unknown_key(const struct decoder *d, const struct schema *s,
                                 const struct doc_node *key) {
    struct buf known;
    buf_init_arena(&known, d->arena, 512);
    for (size_t i = 0; i < s->field_count; i++)
        buf_printf(&known, "%s%s", i == 0 ? "" : ", ", field_at(s, i)->key);
    return doc_error(d->file, key->line, "`%s` has no key `" BYTES_FMT "`; it has " BYTES_FMT,
                     s->what, BYTES_ARG(key->scalar), BYTES_ARG(buf_bytes(&known)));
}

static struct error *decode_key(const struct decoder *d, const struct schema *s,
                                const struct doc_node *key, uint8_t *out, uint32_t *present) {
    for (size_t i = 0; i < s->field_count; i++) {
        const struct field *f = field_at(s, i);
        if (!text_equal(key->scalar, text_of_cstr(f->key))) continue;
        *present |= (uint32_t)1 << i;
        return decode_field(d, f, key->value, out + f->offset);
    }
    return unknown_key(d, s, key);
}

/* Recursion is as deep as the tables, not as the text. */
struct error *schema_decode(const struct decoder *d, const struct schema *s,
                            const struct doc_node *node, void *out) {
    struct decoded head = {.line = node->line};
    ASSERT(s->field_count <= 32);
    TRY(need_map(d, s->what, true, node));
    for (const struct doc_node *k = node->first; k != NULL; k = k->next)
        TRY(decode_key(d, s, k, out, &head.present));
    for (size_t i = 0; i < s->field_count; i++) {
        const struct field *f = field_at(s, i);
        if (!f->required || decoded_has(&head, (unsigned)i)) continue;
        return doc_error(d->file, node->line, "`%s` lacks `%s`", s->what, f->key);
    }
    memcpy(out, &head, sizeof head); /* every such struct begins with it */
    return s->check == NULL ? NULL : s->check(d, out);
}
