/* msgconv: one message a line from standard input, "<type> wire|json <base64>", through msg and
 * back out as "<base64 wire> <base64 JSON>", "<base64 wire> -" where it has no JSON form, or
 * "refused <why>". For comparing with other people's protobuf. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "msg/msg.h"

#define LINE_MAX_OCTETS ((size_t)16 << 20)
#define ARENA_MAX ((size_t)1 << 30)

static struct bytes word(char **rest) {
    char *begin = *rest;
    char *end = begin + strcspn(begin, " \n");
    *rest = *end == '\0' ? end : end + 1;
    return (struct bytes){(const uint8_t *)begin, (size_t)(end - begin)};
}

static struct error *convert(const struct msg_schema *s, struct arena *arena, char *line,
                             struct buf *out) {
    const struct ProtobufCMessageDescriptor *type = msg_type_by_name(s, word(&line));
    bool wire = bytes_equal(word(&line), BYTES_LIT("wire"));
    if (type == NULL) return error_new(ERROR_NOT_FOUND, "no such type");
    struct bytes in, packed, json;
    struct ProtobufCMessage *m = NULL;
    TRY(base64_decode(arena, word(&line), BASE64_STANDARD, &in));
    if (wire) {
        TRY(msg_unpack(s, arena, type, in, &MSG_LIMITS_DEFAULT, &m));
    } else {
        TRY(msg_from_json(s, arena, type, in, &m));
    }
    TRY(msg_pack(arena, m, &packed));
    base64_put(out, packed);
    buf_put_u8(out, ' ');
    struct error *err = msg_to_json(s, arena, m, &json);
    if (err == NULL) {
        base64_put(out, json);
    } else {
        buf_put_u8(out, '-');
        error_ignore(err, "it has no JSON form, which is an answer");
    }
    return NULL;
}

int main(void) {
    struct msg_schema *s = NULL;
    char *line = malloc(LINE_MAX_OCTETS);
    if (line == NULL || msg_schema_new(&s) != NULL) return EXIT_FAILURE;
    while (fgets(line, (int)LINE_MAX_OCTETS, stdin) != NULL) {
        struct arena arena;
        struct buf out;
        char why[256];
        arena_init(&arena, ARENA_MAX);
        buf_init(&out, LINE_MAX_OCTETS * 4);
        struct error *err = convert(s, &arena, line, &out);
        if (err == NULL) {
            (void)printf("%.*s\n", (int)out.len, (const char *)out.data);
        } else {
            error_text(err, why, sizeof why);
            (void)printf("refused %s\n", why);
        }
        (void)fflush(stdout);
        error_free(err);
        buf_done(&out);
        arena_done(&arena);
    }
    msg_schema_free(s);
    free(line);
    return EXIT_SUCCESS;
}
