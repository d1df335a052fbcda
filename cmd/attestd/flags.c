#include "flags.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

static size_t find(const struct flags *f, const char *name, size_t len) {
    for (size_t i = 0; i < f->flag_count; i++)
        if (strlen(f->flags[i].name) == len && memcmp(f->flags[i].name, name, len) == 0) return i;
    return f->flag_count;
}

static struct error *take_operand(struct flags *f, const char *arg) {
    if (f->operand_count == f->operand_max)
        return error_new(ERROR_INVALID_ARGUMENT, "unexpected argument \"%s\"", arg);
    f->operands[f->operand_count++] = arg;
    return NULL;
}

/* Takes the flag at argv[*at] and its value. */
static struct error *take_flag(struct flags *f, int argc, char **argv, int *at) {
    const char *arg = argv[*at];
    const char *equals = strchr(arg, '=');
    size_t len = equals == NULL ? strlen(arg) : (size_t)(equals - arg);
    size_t i = find(f, arg, len);
    if (i == f->flag_count)
        return error_new(ERROR_INVALID_ARGUMENT, "unknown flag %.*s; see --help", (int)len, arg);
    const struct flag *flag = &f->flags[i];
    const char *value = equals == NULL ? NULL : equals + 1;
    if (flag->arg == NULL && value != NULL)
        return error_new(ERROR_INVALID_ARGUMENT, "%s takes no value", flag->name);
    if (flag->arg != NULL && value == NULL) {
        if (*at + 1 >= argc)
            return error_new(ERROR_INVALID_ARGUMENT, "%s wants %s", flag->name, flag->arg);
        value = argv[++*at];
    }
    if (value != NULL && value[0] == '\0') /* as an unset variable leaves it */
        return error_new(ERROR_INVALID_ARGUMENT, "%s is empty: it wants %s", flag->name, flag->arg);
    struct flag_value *v = &f->values[i];
    if (v->count == flag->max || v->count == FLAG_VALUES_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is given too often", flag->name);
    v->values[v->count++] = value;
    return NULL;
}

bool flags_is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

struct error *flags_parse(struct flags *f, int argc, char **argv) {
    bool only_operands = false;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (!only_operands && strcmp(arg, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && flags_is_help(arg)) {
            f->help = 1;
            return NULL;
        } else if (!only_operands && arg[0] == '-' && arg[1] != '\0') {
            TRY(take_flag(f, argc, argv, &i));
        } else {
            TRY(take_operand(f, arg));
        }
    }
    return NULL;
}

const struct flag_value *flags_all(const struct flags *f, const char *name) {
    size_t i = find(f, name, strlen(name));
    ASSERT(i < f->flag_count);
    return &f->values[i];
}

const char *flags_find(const struct flags *f, const char *name) {
    return find(f, name, strlen(name)) == f->flag_count ? NULL : flags_get(f, name);
}

const char *flags_get(const struct flags *f, const char *name) {
    const struct flag_value *v = flags_all(f, name);
    return v->count == 0 ? NULL : v->values[v->count - 1];
}

void flags_print_help(FILE *out, const struct flags *f, const char *usage, const char *example) {
    (void)fprintf(out, "usage: %s\n\n", usage);
    for (size_t i = 0; i < f->flag_count; i++) {
        char left[64];
        const struct flag *flag = &f->flags[i];
        (void)snprintf(left, sizeof left, "%s %s", flag->name, flag->arg == NULL ? "" : flag->arg);
        (void)fprintf(out, "  %-28s %s\n", left, flag->help);
    }
    (void)fprintf(out, "\nexample:\n  %s\n", example);
}
