/* The table in config.h is expanded once into rows with the offset of each field; everything here
 * walks those rows. The YAML form is one flat mapping of scalars: libyaml gives events, and any
 * other event than a scalar is refused, so neither aliases nor nesting can cost anything. */
#include "config/config.h"

#include <stddef.h>
#include <yaml.h>

#include "base/assert.h"
#include "base/reader.h"
#include "codec/codec.h"

#define CONFIG_FILE_MAX ((size_t)256 << 10)

enum type { TYPE_TEXT, TYPE_FLAG, TYPE_COUNT, TYPE_SIZE, TYPE_TIME };
enum reload { RESTART, RELOAD };

struct row {
    enum type type;
    size_t offset;
    const char *key;
    const char *def;
    uint64_t min, max;
    enum reload reload;
    const char *help;
};

static const struct row rows[] = {
#define CONFIG_ROW(type, field, key, def, min, max, reload, help)                                  \
    {TYPE_##type, offsetof(struct config, field), key, def, min, max, reload, help},
    CONFIG_TABLE(CONFIG_ROW)
#undef CONFIG_ROW
};
#define ROWS (sizeof rows / sizeof *rows)

static bool read_size(struct bytes in, uint64_t *out) {
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"", 0}};
    size_t digits = 0;
    while (digits < in.len && in.data[digits] >= '0' && in.data[digits] <= '9') digits++;
    struct bytes unit = {in.data + digits, in.len - digits};
    uint64_t v;
    if (!bytes_to_u64((struct bytes){in.data, digits}, &v)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!bytes_equal(unit, bytes_of_cstr(units[i].unit))) continue;
        if (v > UINT64_MAX >> units[i].shift) return false;
        *out = v << units[i].shift;
        return true;
    }
    return false;
}

static struct error *wrong(const struct row *row, const char *want) {
    return error_new(ERROR_INVALID_ARGUMENT, "%s: want %s", row->key, want);
}

static struct error *set_number(struct config *c, const struct row *row, struct bytes value) {
    uint64_t v = 0;
    int64_t ms = 0;
    switch (row->type) {
        case TYPE_COUNT:
            if (!bytes_to_u64(value, &v)) return wrong(row, "a whole number");
            break;
        case TYPE_SIZE:
            if (!read_size(value, &v)) return wrong(row, "a size like 64KiB, 4MiB or 1GiB");
            break;
        default:
            if (!duration_parse(value, &ms)) return wrong(row, "a time like 250ms, 10s or 5m");
            v = (uint64_t)ms;
    }
    if (v < row->min || v > row->max)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: want %llu to %llu", row->key,
                         (unsigned long long)row->min, (unsigned long long)row->max);
    memcpy((char *)c + row->offset, &v, sizeof v);
    return NULL;
}

static struct error *set_row(struct arena *arena, struct config *c, const struct row *row,
                             struct bytes value) {
    if (row->type == TYPE_FLAG) {
        bool v = bytes_equal(value, BYTES_LIT("true"));
        if (!v && !bytes_equal(value, BYTES_LIT("false"))) return wrong(row, "true or false");
        memcpy((char *)c + row->offset, &v, sizeof v);
        return NULL;
    }
    if (row->type != TYPE_TEXT) return set_number(c, row, value);

    struct text text;
    if (!text_of_bytes(value, &text)) return wrong(row, "valid UTF-8");
    if (text.len < row->min || text.len > row->max)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: want %llu to %llu octets", row->key,
                         (unsigned long long)row->min, (unsigned long long)row->max);
    struct bytes copy = arena_copy(arena, value);
    if (copy.data == NULL) return error_nomem();
    const char *p = (const char *)copy.data;
    memcpy((char *)c + row->offset, &p, sizeof p);
    return NULL;
}

static const struct row *row_of(struct bytes key) {
    for (size_t i = 0; i < ROWS; i++)
        if (bytes_equal(key, bytes_of_cstr(rows[i].key))) return &rows[i];
    return NULL;
}

void config_default(struct config *out) {
    *out = (struct config){0};
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].type == TYPE_TEXT) {
            memcpy((char *)out + rows[i].offset, &rows[i].def, sizeof rows[i].def);
            continue;
        }
        struct error *err = set_row(NULL, out, &rows[i], bytes_of_cstr(rows[i].def));
        ASSERT(err == NULL); /* the defaults of the table are within its own bounds */
    }
}

struct error *config_set(struct arena *arena, struct config *config, struct bytes key,
                         struct bytes value) {
    const struct row *row = row_of(key);
    if (row == NULL)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "unknown key \"" BYTES_FMT "\"; `attestd config check --help` lists them",
                         BYTES_ARG(key));
    return set_row(arena, config, row, value);
}

static void parser_done(yaml_parser_t *p) { yaml_parser_delete(p); }
static void event_done(yaml_event_t *e) { yaml_event_delete(e); }

static struct error *at_line(const char *name, size_t line, struct error *err) {
    return err == NULL ? NULL : error_wrap(err, "%s:%zu", name, line + 1);
}

/* Takes the next event; it must be of `want`. */
static struct error *expect(yaml_parser_t *p, const char *name, yaml_event_type_t want,
                            const char *what, yaml_event_t *out) {
    if (!yaml_parser_parse(p, out)) {
        *out = (yaml_event_t){0};
        return error_new(ERROR_INVALID_ARGUMENT, "%s:%zu: %s", name, p->problem_mark.line + 1,
                         p->problem == NULL ? "not YAML" : p->problem);
    }
    if (out->type == want) return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "%s:%zu: want %s", name, out->start_mark.line + 1,
                     what);
}

static struct bytes scalar(const yaml_event_t *e) {
    return (struct bytes){e->data.scalar.value, e->data.scalar.length};
}

struct load {
    struct arena *arena;
    yaml_parser_t *parser;
    const char *name;
    struct config config;
    bool seen[ROWS];
};

/* One "key: value" pair, or the end of the mapping (*more false). */
static struct error *load_pair(struct load *l, bool *more) {
    CLEANUP(event_done) yaml_event_t key = {0};
    CLEANUP(event_done) yaml_event_t value = {0};
    struct error *err = expect(l->parser, l->name, YAML_SCALAR_EVENT, "a key", &key);
    if (err != NULL && key.type == YAML_MAPPING_END_EVENT) {
        error_ignore(err, "the end of the mapping is no key, and is where it ends");
        *more = false;
        return NULL;
    }
    if (err != NULL) return err;
    size_t line = key.start_mark.line;
    const struct row *row = row_of(scalar(&key));
    if (row == NULL)
        return error_new(ERROR_INVALID_ARGUMENT, "%s:%zu: unknown key \"" BYTES_FMT "\"", l->name,
                         line + 1, BYTES_ARG(scalar(&key)));
    if (l->seen[row - rows])
        return error_new(ERROR_INVALID_ARGUMENT, "%s:%zu: key \"%s\" stands here a second time",
                         l->name, line + 1, row->key);
    l->seen[row - rows] = true;
    TRY(expect(l->parser, l->name, YAML_SCALAR_EVENT, "one value (keys are flat: \"ops.listen\")",
               &value));
    *more = true;
    return at_line(l->name, line, set_row(l->arena, &l->config, row, scalar(&value)));
}

static struct error *load_document(struct load *l) {
    CLEANUP(event_done) yaml_event_t start = {0};
    CLEANUP(event_done) yaml_event_t doc = {0};
    CLEANUP(event_done) yaml_event_t map = {0};
    CLEANUP(event_done) yaml_event_t end = {0};
    CLEANUP(event_done) yaml_event_t stop = {0};
    TRY(expect(l->parser, l->name, YAML_STREAM_START_EVENT, "YAML", &start));
    struct error *err = expect(l->parser, l->name, YAML_DOCUMENT_START_EVENT, "a mapping", &doc);
    if (err != NULL && doc.type == YAML_STREAM_END_EVENT) {
        error_ignore(err, "an empty file changes nothing");
        return NULL;
    }
    if (err != NULL) return err;
    TRY(expect(l->parser, l->name, YAML_MAPPING_START_EVENT, "a mapping of keys to values", &map));
    for (bool more = true; more;) TRY(load_pair(l, &more));
    TRY(expect(l->parser, l->name, YAML_DOCUMENT_END_EVENT, "the end", &end));
    return expect(l->parser, l->name, YAML_STREAM_END_EVENT, "one document", &stop);
}

struct error *config_load(struct arena *arena, struct bytes yaml, const char *name,
                          struct config *config) {
    if (yaml.len > CONFIG_FILE_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: larger than %zu octets", name,
                         CONFIG_FILE_MAX);
    CLEANUP(parser_done) yaml_parser_t parser = {0};
    if (!yaml_parser_initialize(&parser)) return error_nomem();
    yaml_parser_set_input_string(&parser, yaml.data, yaml.len);
    struct load l = {.arena = arena, .parser = &parser, .name = name, .config = *config};
    TRY(load_document(&l));
    *config = l.config;
    return NULL;
}

static bool is_loopback(const char *listen) {
    struct bytes b = bytes_of_cstr(listen);
    return bytes_start_with(b, BYTES_LIT("127.")) || bytes_start_with(b, BYTES_LIT("[::1]:")) ||
           bytes_start_with(b, BYTES_LIT("localhost:"));
}

struct error *config_check(const struct config *c) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    bool known = false;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        known = known || strcmp(c->log_level, levels[i]) == 0;
    if (!known)
        return error_new(ERROR_INVALID_ARGUMENT, "log.level: want debug, info, warn or error");
    if ((c->tls_certificate[0] == '\0') != (c->tls_key[0] == '\0'))
        return error_new(ERROR_INVALID_ARGUMENT, "tls.certificate and tls.key go together");
    if (!c->ops_allow_remote && !is_loopback(c->ops_listen))
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "ops.listen: %s is not loopback; set ops.allow_remote: true if you mean it",
            c->ops_listen);
    return NULL;
}

static bool same(const struct row *row, const struct config *a, const struct config *b) {
    const char *pa = (const char *)a + row->offset;
    const char *pb = (const char *)b + row->offset;
    if (row->type == TYPE_FLAG) return memcmp(pa, pb, sizeof(bool)) == 0;
    if (row->type != TYPE_TEXT) return memcmp(pa, pb, sizeof(uint64_t)) == 0;
    const char *ta, *tb;
    memcpy(&ta, pa, sizeof ta);
    memcpy(&tb, pb, sizeof tb);
    return strcmp(ta, tb) == 0;
}

void config_needs_restart(struct buf *out, const struct config *old, const struct config *new) {
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].reload == RESTART && !same(&rows[i], old, new))
            buf_printf(out, "%s\n", rows[i].key);
}

void config_put_reference(struct buf *out) {
    buf_put_cstr(out, "| key | default | reload | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < ROWS; i++) {
        buf_printf(out, "| `%s` | ", rows[i].key);
        if (rows[i].def[0] != '\0') buf_printf(out, "`%s`", rows[i].def);
        buf_printf(out, " | %s | %s |\n", rows[i].reload == RELOAD ? "SIGHUP" : "restart",
                   rows[i].help);
    }
}

void config_put_help(struct buf *out) {
    for (size_t i = 0; i < ROWS; i++)
        buf_printf(out, "  %-30s %s%s%s%s\n", rows[i].key, rows[i].help,
                   rows[i].def[0] == '\0' ? "" : " [", rows[i].def,
                   rows[i].def[0] == '\0' ? "" : "]");
}
