/* What is printed: answers on standard output, everything else on standard error. */
#include <stdarg.h>
#include <stdio.h>

#include "client/internal.h"
#include "codec/codec.h"

static const char *const colours[] = {"", "\033[32m", "\033[31m", "\033[2m"};

void cli_say(struct cli *cli, const char *fmt, ...) {
    va_list ap;
    if (cli->json) return;
    va_start(ap, fmt);
    (void)vfprintf(cli->io->out, fmt, ap);
    va_end(ap);
}

void cli_note(struct cli *cli, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)vfprintf(cli->io->err, fmt, ap);
    va_end(ap);
}

/* Others choose names and predicates: control characters (also the two octets of U+0080 to U+009F)
 * and octets that are not UTF-8 become "?". */
void cli_put(FILE *out, struct bytes text) {
    bool utf8 = bytes_are_utf8(text);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool c1 = c == 0xc2 && i + 1 < text.len && text.data[i + 1] < 0xa0;
        if (c1) i++;
        bool bad = c < 0x20 || c == 0x7f || c1 || (c >= 0x80 && !utf8);
        (void)fputc(bad ? '?' : c, out);
    }
}

void cli_field(struct cli *cli, const char *name, struct bytes text) {
    if (cli->json) return;
    (void)fprintf(cli->io->out, "  %-11s ", name);
    cli_put(cli->io->out, text);
    (void)fputc('\n', cli->io->out);
}

void cli_colour(struct cli *cli, enum colour colour, const char *text) {
    if (cli->json) return;
    bool on = cli->io->out_colour && colour != COLOUR_NONE;
    (void)fprintf(cli->io->out, "%s%s%s", on ? colours[colour] : "", text, on ? "\033[0m" : "");
}

void cli_json(struct cli *cli, struct bytes json) {
    (void)fwrite(json.data, 1, json.len, cli->io->out);
    (void)fputc('\n', cli->io->out);
}

struct error *cli_flush(const struct client_io *io) {
    if (fflush(io->out) == 0 && !ferror(io->out)) return NULL;
    return error_new(ERROR_UNAVAILABLE, "standard output cannot be written");
}

struct error *cli_usage(struct cli *cli, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct buf advice;
    buf_init_arena(&advice, &cli->arena, 256);
    buf_printf(&advice, "See `attest %s --help`.", cli->command->name);
    buf_put_u8(&advice, '\0');
    cli->advice = advice.failed ? NULL : (const char *)advice.data;
    return error_new(ERROR_INVALID_ARGUMENT, "%s", text);
}

const char *cli_time(struct arena *arena, int64_t unix_ms) {
    struct buf b;
    buf_init_arena(&b, arena, 64);
    time_put(&b, unix_ms);
    return cli_cstr(arena, buf_bytes(&b));
}

void *cli_list(struct arena *arena, size_t count) {
    if (count > SIZE_MAX / sizeof(void *) - 1) return NULL;
    return arena_alloc(arena, (count + 1) * sizeof(void *));
}

const char *cli_cstr(struct arena *arena, struct bytes b) {
    struct bytes copy = arena_copy(arena, b);
    return copy.data == NULL ? "" : (const char *)copy.data;
}
