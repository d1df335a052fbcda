/*
 * YAML text -> tree, over libyaml's events alone: its own document loader follows aliases and keeps
 * the last of repeated keys. Accepted is what a policy needs: one document of maps, lists and
 * scalars. Refused, each with file and line:
 *
 *   anchors, aliases, tags, directives, a second document, keys that are no scalar, repeated keys,
 *   NUL, text that is not UTF-8, more than DOC_OCTETS_MAX, DOC_DEPTH_MAX, DOC_KEYS_MAX or
 *   DOC_ITEMS_MAX
 */
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/arena.h"
#include "policy/internal.h"

struct doc_reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct text file;
    struct doc_node *open[DOC_DEPTH_MAX]; /* containers being read, outermost first */
    size_t depth;
    struct doc_node *key; /* of the innermost map, waiting for its value; NULL: none */
    struct doc_node *root;
    bool ended; /* the first document is over */
};

struct error *doc_error_at(const char *src, int src_line, struct text file, unsigned line,
                           const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_new_at(src, src_line, ERROR_INVALID_ARGUMENT, BYTES_FMT ":%u: %s", BYTES_ARG(file),
                        line, text);
}

static unsigned line_of(const yaml_event_t *e) {
    return e->start_mark.line >= 1000000 ? 1000000 : (unsigned)e->start_mark.line + 1;
}

static struct error *refuse_decorations(const struct doc_reader *r, const yaml_event_t *e,
                                        const yaml_char_t *anchor, const yaml_char_t *tag) {
    if (anchor != NULL)
        return doc_error(r->file, line_of(e), "anchors (&) are not allowed; write it out");
    if (tag != NULL) return doc_error(r->file, line_of(e), "tags (!) are not allowed; remove it");
    return NULL;
}

/* node_new returns NULL if the arena is full. */
static struct doc_node *node_new(const struct doc_reader *r, const yaml_event_t *e,
                                 enum doc_kind kind) {
    struct doc_node *node = arena_alloc(r->arena, sizeof *node);
    if (node == NULL) return NULL;
    node->kind = kind;
    node->line = line_of(e);
    return node;
}

static struct error *append(struct doc_node *in, struct doc_node *node, size_t max,
                            const struct doc_reader *r) {
    if (in->count == max)
        return doc_error(r->file, node->line, "more than %zu %s", max,
                         in->kind == DOC_MAP ? "keys in one map" : "items in one list");
    if (in->last == NULL)
        in->first = node;
    else
        in->last->next = node;
    in->last = node;
    in->count++;
    return NULL;
}

static struct error *add_key(struct doc_reader *r, struct doc_node *map, struct doc_node *key) {
    if (key->kind != DOC_SCALAR)
        return doc_error(r->file, key->line, "a key must be plain text, not a map or list");
    for (const struct doc_node *k = map->first; k != NULL; k = k->next) {
        if (!text_equal(k->scalar, key->scalar)) continue;
        return doc_error(r->file, key->line, "`" BYTES_FMT "` is repeated; it stands on line %u",
                         BYTES_ARG(key->scalar), k->line);
    }
    TRY(append(map, key, DOC_KEYS_MAX, r));
    r->key = key;
    return NULL;
}

/* Hangs `node` where the text has it. */
static struct error *attach(struct doc_reader *r, struct doc_node *node) {
    if (r->depth == 0) {
        r->root = node;
        return NULL;
    }
    struct doc_node *in = r->open[r->depth - 1];
    if (in->kind == DOC_LIST) return append(in, node, DOC_ITEMS_MAX, r);
    if (r->key == NULL) return add_key(r, in, node);
    r->key->value = node;
    r->key = NULL;
    return NULL;
}

static struct error *on_scalar(struct doc_reader *r, const yaml_event_t *e) {
    TRY(refuse_decorations(r, e, e->data.scalar.anchor, e->data.scalar.tag));
    struct doc_node *node = node_new(r, e, DOC_SCALAR);
    if (node == NULL) return error_nomem();
    node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct bytes copy =
        arena_copy(r->arena, (struct bytes){e->data.scalar.value, e->data.scalar.length});
    if (copy.data == NULL) return error_nomem();
    if (!text_of_bytes(copy, &node->scalar))
        return doc_error(r->file, node->line, "text with a NUL or that is not UTF-8");
    return attach(r, node);
}

static struct error *on_open(struct doc_reader *r, const yaml_event_t *e, enum doc_kind kind) {
    bool map = kind == DOC_MAP;
    TRY(refuse_decorations(r, e, map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor,
                           map ? e->data.mapping_start.tag : e->data.sequence_start.tag));
    struct doc_node *node = node_new(r, e, kind);
    if (node == NULL) return error_nomem();
    TRY(attach(r, node));
    if (r->depth == DOC_DEPTH_MAX)
        return doc_error(r->file, node->line, "nested deeper than %d", DOC_DEPTH_MAX);
    r->open[r->depth++] = node;
    return NULL;
}

static struct error *on_document(struct doc_reader *r, const yaml_event_t *e) {
    if (r->ended)
        return doc_error(r->file, line_of(e), "a second document (---); one file, one document");
    if (e->data.document_start.version_directive != NULL ||
        e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        return doc_error(r->file, line_of(e), "directives (%%) are not allowed; remove it");
    return NULL;
}

static struct error *on_event(struct doc_reader *r, const yaml_event_t *e) {
    switch (e->type) {
        case YAML_DOCUMENT_START_EVENT:
            return on_document(r, e);
        case YAML_DOCUMENT_END_EVENT:
            r->ended = true;
            return NULL;
        case YAML_SCALAR_EVENT:
            return on_scalar(r, e);
        case YAML_SEQUENCE_START_EVENT:
            return on_open(r, e, DOC_LIST);
        case YAML_MAPPING_START_EVENT:
            return on_open(r, e, DOC_MAP);
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
            r->depth--; /* libyaml pairs them */
            return NULL;
        case YAML_ALIAS_EVENT:
            return doc_error(r->file, line_of(e),
                             "aliases (*) are not allowed; write it out, or "
                             "quote the text if it begins with \"*\"");
        case YAML_NO_EVENT:
        case YAML_STREAM_START_EVENT:
        case YAML_STREAM_END_EVENT:
            return NULL;
    }
    return NULL;
}

static struct error *syntax_error(const struct doc_reader *r) {
    if (r->parser.error == YAML_MEMORY_ERROR) return error_nomem();
    size_t line = r->parser.problem_mark.line;
    return doc_error(r->file, line >= 1000000 ? 1000000 : (unsigned)line + 1, "not YAML: %s",
                     r->parser.problem == NULL ? "syntax" : r->parser.problem);
}

static struct error *read_events(struct doc_reader *r) {
    for (bool done = false; !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event)) return syntax_error(r);
        done = event.type == YAML_STREAM_END_EVENT;
        struct error *err = on_event(r, &event);
        yaml_event_delete(&event);
        if (err != NULL) return err;
    }
    return NULL;
}

static void parser_donep(yaml_parser_t **p) { yaml_parser_delete(*p); }

struct error *doc_read(struct arena *arena, const struct policy_file *file,
                       const struct doc_node **out) {
    if (file->octets.len > DOC_OCTETS_MAX)
        return doc_error(file->name, 1, "larger than %zu octets", DOC_OCTETS_MAX);
    if (!bytes_are_utf8(file->octets)) return doc_error(file->name, 1, "not UTF-8");
    struct doc_reader r = {.arena = arena, .file = file->name};
    if (!yaml_parser_initialize(&r.parser)) return error_nomem();
    CLEANUP(parser_donep) yaml_parser_t *parser = &r.parser;
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser, file->octets.data, file->octets.len);
    TRY(read_events(&r));
    if (r.root == NULL) return doc_error(file->name, 1, "empty; nothing is not a policy");
    *out = r.root;
    return NULL;
}
