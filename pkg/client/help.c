/* Finding commands by name, and telling people about them: all from the table. */
#include <stdio.h>
#include <string.h>

#include "client/internal.h"

/* --- finding */
static bool starts_with_word(const char *name, const char *word) {
    size_t n = strlen(word);
    return strncmp(name, word, n) == 0 && name[n] == ' ';
}

const struct command *command_find(int argc, char **argv, int *out_words) {
    for (const struct command *c = commands; c->name != NULL && argc > 0; c++) {
        *out_words = 1;
        if (strcmp(c->name, argv[0]) == 0) return c;
        *out_words = 2;
        if (argc < 2 || !starts_with_word(c->name, argv[0])) continue;
        if (strcmp(c->name + strlen(argv[0]) + 1, argv[1]) == 0) return c;
    }
    return NULL;
}

bool help_is_family(const char *word) {
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (starts_with_word(c->name, word)) return true;
    }
    return false;
}

/* Letters to add, drop or change; words longer than the row are far from everything. */
static unsigned distance(const char *a, const char *b) {
    enum { ROW = 32 };
    unsigned row[ROW + 1];
    size_t n = strlen(b);
    if (n > ROW) return ROW;
    for (unsigned j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            unsigned best = diagonal + (a[i] == b[j] ? 0 : 1);
            if (row[j] + 1 < best) best = row[j] + 1;
            diagonal = row[j + 1];
            if (diagonal + 1 < best) best = diagonal + 1;
            row[j + 1] = best;
        }
    }
    return row[n];
}

const char *command_suggest(const char *word) {
    const char *near = NULL;
    unsigned least = 3;
    for (const struct command *c = commands; c->name != NULL; c++) {
        unsigned d = distance(word, c->name);
        if (d >= least) continue;
        least = d;
        near = c->name;
    }
    return near;
}

/* --- telling */
static void put_line(FILE *out, const struct command *c) {
    (void)fprintf(out, "  %-16s %s\n", c->name, c->summary);
}

void help_all(FILE *out) {
    const char *group = "";
    (void)fprintf(out,
                  "attest - signed, logged statements about what you build and deploy\n\n"
                  "Usage: attest COMMAND [ARGUMENTS] [OPTIONS]\n");
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (strcmp(group, c->group) != 0) (void)fprintf(out, "\n%s\n", c->group);
        group = c->group;
        put_line(out, c);
    }
    (void)fprintf(
        out,
        "\nSUBJECT is a file, a directory (hashed as a model) or [NAME@]sha256:HEX.\n"
        "The server comes from --server, --ca, --token-file, else from ATTEST_SERVER, ATTEST_CA,\n"
        "ATTEST_TOKEN_FILE, else from ATTEST_CONFIG or ~/.config/attest/config.json.\n"
        "Exit codes: 0 yes or done; 1 the answer is no; 2 anything else.\n\n"
        "`attest COMMAND --help` says more, and ends with an example:\n"
        "  attest gate --help\n");
}

void help_family(FILE *out, const char *family) {
    const char *example = NULL; /* of its first command */
    (void)fprintf(out, "Usage: attest %s COMMAND [ARGUMENTS] [OPTIONS]\n\n", family);
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (!starts_with_word(c->name, family)) continue;
        put_line(out, c);
        if (example == NULL) example = c->example;
    }
    (void)fprintf(out, "\n`attest %s COMMAND --help` says more.\n\nExample:\n  %s\n", family,
                  example == NULL ? "attest --help" : example);
}

static void put_options(FILE *out, const struct option *list) {
    for (; list->name != NULL; list++) {
        int width = fprintf(out, "  --%s%s%s", list->name, list->value == NULL ? "" : " ",
                            list->value == NULL ? "" : list->value);
        int pad = width < 0 || width > 26 ? 1 : 27 - width;
        (void)fprintf(out, "%*s%s%s\n", pad, "", list->help, list->many ? " (repeatable)" : "");
    }
}

void help_command(FILE *out, const struct command *c) {
    (void)fprintf(out, "%s\n\nUsage: attest %s%s%s\n", c->summary, c->name,
                  c->usage[0] == '\0' ? "" : " ", c->usage);
    if (c->about != NULL) (void)fprintf(out, "\n%s\n", c->about);
    (void)fprintf(out, "\nOptions:\n");
    put_options(out, c->options);
    if (c->server) put_options(out, server_options);
    put_options(out, common_options);
    (void)fprintf(out, "\nExample:\n  %s\n", c->example);
}
