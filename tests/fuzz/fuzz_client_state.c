/* fuzz_client_state: the files that `attest` reads back; the first octet says which. What is
 * accepted reads again as the same where it is written again; no monitor's state names a head that
 * the log did not sign; a server has one form; and a pin is replaced by no trust that lacks what it
 * has. */
#include <stdio.h>
#include <stdlib.h>

#include "client/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ORIGIN "log2025-alpha1.rekor.sigstage.dev" /* of testdata/note/rekor-v2 */
#define HEAD_SIZE 736

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

struct file {
    uint8_t octets[(size_t)16 << 10];
    size_t len;
};

static struct bytes file_of(const char *path, struct file *file) {
    if (file->len == 0) {
        FILE *f = fopen(path, "rb");
        CHECK(f != NULL);
        file->len = fread(file->octets, 1, sizeof file->octets, f);
        (void)fclose(f);
    }
    return (struct bytes){file->octets, file->len};
}

static bool refused(struct error *err) {
    if (err == NULL) return false;
    CHECK(error_code(err) == ERROR_INVALID_ARGUMENT);
    error_free(err);
    return true;
}

static bool same(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* --- the configuration */
/* Is `server` the form with or without brackets, port and slash? */
static bool is_form(struct arena *arena, const char *server, const char *host, uint16_t port,
                    unsigned form) {
    struct buf b;
    bool six = form & 1, slash = form & 2, bare = form & 4;
    buf_init_arena(&b, arena, (size_t)1 << 20);
    buf_printf(&b, "https://%s%s%s", six ? "[" : "", host, six ? "]" : "");
    if (!bare) buf_printf(&b, ":%u", port);
    if (slash) buf_put_u8(&b, '/');
    return bytes_equal(buf_bytes(&b), bytes_of_cstr(server)) && (!bare || port == 443);
}

static void check_server(struct arena *arena, const char *server) {
    const char *host = NULL;
    uint16_t port = 0;
    bool known = false;
    if (refused(settings_parse_server(arena, server, &host, &port))) return;
    CHECK(host[0] != '\0' && strchr(host, '/') == NULL && port > 0);
    for (unsigned form = 0; form < 8; form++)
        known = known || is_form(arena, server, host, port, form);
    CHECK(known);
}

static void put_member(struct json_writer *w, const char *name, const char *value) {
    if (value == NULL) return;
    json_key(w, name);
    json_put_cstr(w, value);
}

static void fuzz_config(struct arena *arena, struct bytes in) {
    struct state_config c, again;
    struct buf b;
    struct json_writer w = json_writer_of(&b);
    if (refused(state_read_config(arena, in, &c))) return;
    buf_init_arena(&b, arena, (size_t)1 << 20);
    json_object_begin(&w);
    put_member(&w, "server", c.server);
    put_member(&w, "ca", c.ca);
    put_member(&w, "token_file", c.token_file);
    json_object_end(&w);
    if (b.len <= STATE_CONFIG_MAX) { /* an escape may be longer than what it stands for */
        CHECK(state_read_config(arena, buf_bytes(&b), &again) == NULL);
        CHECK(same(c.server, again.server) && same(c.ca, again.ca));
        CHECK(same(c.token_file, again.token_file));
    }
    struct json_value json;
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    CHECK(json_parse(arena, in, &limits, &json) == NULL);
    struct bytes server = json_string(json_get(&json, "server"));
    CHECK(bytes_equal(server, c.server == NULL ? (struct bytes){0} : bytes_of_cstr(c.server)));
    if (c.server != NULL) check_server(arena, c.server);
}

/* --- the path of the last trust file */
static void fuzz_path(struct arena *arena, struct bytes in) {
    const char *path = NULL, *again = NULL;
    struct buf b;
    if (refused(state_read_path(arena, in, &path))) return;
    buf_init_arena(&b, arena, (size_t)1 << 20);
    buf_printf(&b, "%s\n", path);
    CHECK(bytes_equal(buf_bytes(&b), in) ||
          (b.len == in.len + 1 && bytes_start_with(buf_bytes(&b), in)));
    CHECK(state_read_path(arena, buf_bytes(&b), &again) == NULL && strcmp(path, again) == 0);
}

/* --- the monitor's state */
static const struct trust *log_of(struct file *pem) {
    static struct trust t = {.origin = {(const uint8_t *)ORIGIN, sizeof ORIGIN - 1}};
    if (t.log_count == 0) {
        CHECK(public_key_from_pem(file_of("testdata/note/rekor-v2.pem", pem), &t.logs[0].key) ==
              NULL);
        t.log_count = 1;
    }
    return &t;
}

static bool read_state(struct arena *arena, struct bytes in, struct head *out) {
    static struct file pem;
    char why[256] = "";
    bool good = false;
    if (refused(state_read_monitor(arena, log_of(&pem), in, out, why, &good))) return false;
    CHECK(good || why[0] != '\0');
    return good;
}

static void fuzz_monitor(struct arena *arena, struct bytes in) {
    static struct file golden;
    struct head head, again;
    struct buf b;
    struct bytes note = file_of("testdata/note/rekor-v2-cosigned.note", &golden);
    if (!read_state(arena, in, &head)) return;
    CHECK(head.size == HEAD_SIZE);
    CHECK(bytes_start_with(note, (struct bytes){head.checkpoint.data, sizeof ORIGIN + 50}));
    buf_init_arena(&b, arena, STATE_MONITOR_MAX);
    state_put_monitor(&b, BYTES_LIT(ORIGIN), &head);
    if (b.failed) return;
    CHECK(read_state(arena, buf_bytes(&b), &again) && again.size == head.size);
    CHECK(sha256_equal(&again.root, &head.root) && bytes_equal(again.checkpoint, head.checkpoint));
}

/* The same, `note` being the note in it. */
static void fuzz_note(struct arena *arena, struct bytes note) {
    struct buf b;
    const struct head head = {.checkpoint = note};
    if (!bytes_are_utf8(note)) return;
    buf_init_arena(&b, arena, (size_t)1 << 20);
    state_put_monitor(&b, BYTES_LIT(ORIGIN), &head);
    fuzz_monitor(arena, buf_bytes(&b));
}

/* --- the pin */
static void count_line(void *ctx, const char *line) {
    CHECK(line[0] != '\0');
    ++*(size_t *)ctx;
}

static enum trust_change change(const struct trust *saved, const struct trust *fetched) {
    size_t lines = 0;
    enum trust_change c = client_compare_trust(saved, fetched, count_line, &lines);
    CHECK(c == TRUST_CHANGE_REFUSED || c == TRUST_CHANGE_NONE || c == TRUST_CHANGE_ADDED);
    CHECK((lines == 0) == (c == TRUST_CHANGE_NONE));
    return c;
}

static void check_kept(const struct trust *saved, const struct trust *now) {
    CHECK(bytes_equal(saved->origin, now->origin));
    for (size_t i = 0; i < saved->key_count; i++) {
        bool kept = false;
        const struct trust_key *a = &saved->keys[i];
        for (size_t j = 0; j < now->key_count; j++) {
            const struct trust_key *b = &now->keys[j];
            kept = kept || (bytes_equal(public_key_spki(a->key), public_key_spki(b->key)) &&
                            a->purpose == b->purpose && a->valid_from_s == b->valid_from_s &&
                            a->valid_until_s == b->valid_until_s);
        }
        CHECK(kept);
    }
    for (size_t i = 0; i < saved->log_count; i++) {
        bool kept = false;
        const struct trust_log *a = &saved->logs[i];
        for (size_t j = 0; j < now->log_count; j++) {
            const struct trust_log *b = &now->logs[j];
            kept = kept ||
                   (bytes_equal(public_key_spki(a->key), public_key_spki(b->key)) &&
                    a->valid_from_s == b->valid_from_s && a->valid_until_s == b->valid_until_s);
        }
        CHECK(kept);
    }
}

static void fuzz_pin(struct bytes root, struct bytes keys, const struct trust *golden) {
    struct trust t = {0};
    struct error *err = trust_load(root, keys, &t);
    if (err == NULL) {
        enum trust_change there = change(golden, &t), back = change(&t, golden);
        CHECK(change(&t, &t) == TRUST_CHANGE_NONE);
        if (there != TRUST_CHANGE_REFUSED) check_kept(golden, &t);
        if (back != TRUST_CHANGE_REFUSED) check_kept(&t, golden);
        CHECK((there == TRUST_CHANGE_NONE) == (back == TRUST_CHANGE_NONE));
        CHECK(there != TRUST_CHANGE_ADDED || back == TRUST_CHANGE_REFUSED);
        trust_done(&t);
    }
    error_free(err);
}

static void fuzz_trust(struct bytes in, bool is_root) {
    static struct file root, keys;
    static struct trust golden;
    struct bytes r = file_of("testdata/bundle/trusted_root.json", &root);
    struct bytes k = file_of("testdata/bundle/signing-keys.json", &keys);
    if (golden.log_count == 0) CHECK(trust_load(r, k, &golden) == NULL);
    fuzz_pin(is_root ? in : r, is_root ? k : in, &golden);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    if (size == 0) return 0;
    struct bytes in = {data + 1, size - 1};
    arena_init(&arena, (size_t)64 << 20);
    switch (data[0]) {
        case 'c':
            fuzz_config(&arena, in);
            break;
        case 'p':
            fuzz_path(&arena, in);
            break;
        case 'm':
            fuzz_monitor(&arena, in);
            break;
        case 'n':
            fuzz_note(&arena, in);
            break;
        case 'r':
        case 'k':
            fuzz_trust(in, data[0] == 'r');
            break;
        default:
            break;
    }
    arena_done(&arena);
    return 0;
}
