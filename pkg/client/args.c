/* The command line, read by the tables of commands.c. */
#include <string.h>

#include "base/reader.h"
#include "client/internal.h"
#include "codec/codec.h"

static const struct option *find_in(const struct option *list, const char *name, size_t len) {
    for (; list->name != NULL; list++) {
        if (strlen(list->name) == len && memcmp(list->name, name, len) == 0) return list;
    }
    return NULL;
}

static const struct option *find_option(const struct command *c, const char *name, size_t len) {
    const struct option *o = find_in(c->options, name, len);
    if (o == NULL && c->server) o = find_in(server_options, name, len);
    return o == NULL ? find_in(common_options, name, len) : o;
}

static struct error *add_value(struct args *a, const struct option *o, const char *value) {
    for (size_t i = 0; i < a->count && !o->many; i++) {
        if (a->options[i] == o)
            return error_new(ERROR_INVALID_ARGUMENT, "--%s is given twice", o->name);
    }
    a->options[a->count] = o;
    a->values[a->count++] = value;
    return NULL;
}

/* Takes argv[*i] as an option, and what follows as its value where it has one. */
static struct error *take_option(const struct command *c, struct args *a, int argc, char **argv,
                                 int *i) {
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const struct option *o = find_option(c, name, len);
    if (o == NULL)
        return error_new(ERROR_INVALID_ARGUMENT, "`attest %s` has no option --%.*s", c->name,
                         (int)(len > 64 ? 64 : len), name);
    if (o->value == NULL && equals != NULL)
        return error_new(ERROR_INVALID_ARGUMENT, "--%s takes no value", o->name);
    if (o->value == NULL) return add_value(a, o, NULL);
    if (equals != NULL) return add_value(a, o, equals + 1);
    if (*i + 1 >= argc)
        return error_new(ERROR_INVALID_ARGUMENT, "--%s needs a value: --%s %s", o->name, o->name,
                         o->value);
    return add_value(a, o, argv[++*i]);
}

static struct error *check_words(const struct command *c, const struct args *a) {
    if (args_has(a, "help")) return NULL;
    if (a->word_count < (size_t)c->words_min)
        return error_new(ERROR_INVALID_ARGUMENT, "`attest %s` needs %s", c->name, c->usage);
    if (c->words_max >= 0 && a->word_count > (size_t)c->words_max)
        return error_new(ERROR_INVALID_ARGUMENT, "`attest %s` does not take `%.64s`", c->name,
                         a->words[c->words_max]);
    return NULL;
}

struct error *args_parse(struct arena *arena, const struct command *c, int argc, char **argv,
                         struct args *out) {
    struct args a = {0};
    size_t room = (size_t)argc;
    if (argc > ARGS_MAX) return error_new(ERROR_INVALID_ARGUMENT, "too many arguments");
    a.options = cli_list(arena, room);
    a.values = cli_list(arena, room);
    a.words = cli_list(arena, room);
    if (a.options == NULL || a.values == NULL || a.words == NULL) return error_nomem();
    bool words_only = false;
    for (int i = 0; i < argc; i++) {
        if (!words_only && strcmp(argv[i], "--") == 0)
            words_only = true;
        else if (!words_only && strcmp(argv[i], "-h") == 0)
            TRY(add_value(&a, find_in(common_options, "help", 4), NULL));
        else if (!words_only && strncmp(argv[i], "--", 2) == 0)
            TRY(take_option(c, &a, argc, argv, &i));
        else if (!words_only && argv[i][0] == '-' && argv[i][1] != '\0')
            return error_new(ERROR_INVALID_ARGUMENT, "`attest %s` has no option %.64s", c->name,
                             argv[i]);
        else
            a.words[a.word_count++] = argv[i];
    }
    TRY(check_words(c, &a));
    *out = a;
    return NULL;
}

const char *args_next(const struct args *a, const char *name, size_t *at) {
    for (; *at < a->count; (*at)++) {
        if (strcmp(a->options[*at]->name, name) == 0) return a->values[(*at)++];
    }
    return NULL;
}

const char *args_value(const struct args *a, const char *name) {
    size_t at = 0;
    return args_next(a, name, &at);
}

bool args_has(const struct args *a, const char *name) {
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->options[i]->name, name) == 0) return true;
    }
    return false;
}

struct error *args_u64(const struct args *a, const char *name, uint64_t otherwise, uint64_t *out) {
    const char *value = args_value(a, name);
    uint64_t v = otherwise;
    if (value != NULL && !bytes_to_u64(bytes_of_cstr(value), &v))
        return error_new(ERROR_INVALID_ARGUMENT, "--%s must be a number, not `%.64s`", name, value);
    *out = v;
    return NULL;
}

struct error *args_duration(const struct args *a, const char *name, int64_t otherwise,
                            int64_t *out_ms) {
    const char *value = args_value(a, name);
    int64_t ms = otherwise;
    if (value != NULL && (!duration_parse(bytes_of_cstr(value), &ms) || ms <= 0))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "--%s must be a time like 30s, 12h or 90d, not "
                         "`%.64s`",
                         name, value);
    *out_ms = ms;
    return NULL;
}
