/*
 * What the CLI and others are told:
 *
 *   DATA/run.json             {"pid":..,"listen":"ADDR:PORT","ops":"ADDR:PORT"}, while it serves
 *   DATA/client/config.json   {"server":"https://..","ca":"<path>","token_file":"<path>"}
 *   the user's config.json    the same; written at init unless there is one, and later only while
 *                             it is, octet by octet, what we wrote
 */
#include "instance/internal.h"
#include "json/json.h"

#define CONFIG_MAX ((size_t)64 << 10)

/* Where a client on this machine reaches what listens there: any address is also the loopback's. */
static void put_server(struct buf *out, const char *listen) {
    static const struct {
        const char *any, *loopback;
    } anys[] = {{"0.0.0.0:", "127.0.0.1:"}, {"[::]:", "[::1]:"}, {":::", "[::1]:"}};
    buf_put_cstr(out, "https://");
    for (size_t i = 0; i < sizeof anys / sizeof *anys; i++) {
        size_t len = strlen(anys[i].any);
        if (strncmp(listen, anys[i].any, len) != 0) continue;
        buf_put_cstr(out, anys[i].loopback);
        listen += len;
        break;
    }
    buf_put_cstr(out, listen);
}

static void put_path(struct json_writer *w, const char *key, const char *data, const char *name) {
    struct buf path;
    buf_init(&path, FILE_PATH_MAX);
    buf_put_cstr(&path, data);
    buf_put_cstr(&path, name);
    json_key(w, key);
    json_put_string(w, buf_bytes(&path));
    if (path.failed) w->out->failed = true;
    buf_done(&path);
}

void client_config_put(struct buf *out, const char *data, const char *listen) {
    struct buf server;
    buf_init(&server, FILE_PATH_MAX);
    put_server(&server, listen);
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "server");
    json_put_string(&w, buf_bytes(&server));
    put_path(&w, "ca", data, "/client/ca.pem");
    put_path(&w, "token_file", data, "/client/admin.token");
    json_object_end(&w);
    buf_put_u8(out, '\n');
    if (server.failed) out->failed = true;
    buf_done(&server);
}

static struct error *user_config_path(struct file_path *out) {
    return home_path("XDG_CONFIG_HOME", ".config", "attest/config.json", out);
}

static struct error *make_folder_of(const struct file_path *path) {
    struct file_path folder = *path;
    char *slash = strrchr(folder.text, '/');
    *slash = '\0'; /* home_path puts one in */
    return file_make_dirs(folder.text, 0700);
}

static struct error *write_user_config(const struct instance_options *o, struct bytes config) {
    struct file_path path;
    bool exists = false;
    TRY(user_config_path(&path));
    TRY(file_exists(path.text, &exists));
    if (exists) {
        instance_say(
            o, "kept %s: the CLI uses this instance with ATTEST_CONFIG=DATA/client/config.json",
            path.text);
        return NULL;
    }
    TRY(make_folder_of(&path));
    TRY(file_write(path.text, config, 0600, FILE_NEW));
    instance_say(o, "wrote %s: warning: from now on the CLI acts with the admin token", path.text);
    return NULL;
}

struct error *user_config_write(const struct instance_options *o, struct bytes config) {
    struct error *err = write_user_config(o, config);
    if (err == NULL) return NULL;
    char text[512];
    error_text(err, text, sizeof text);
    instance_say(
        o, "no configuration for the user's CLI (%s): use ATTEST_CONFIG=DATA/client/config.json",
        text);
    error_ignore(err, "the instance is whole without it, and it was said");
    return NULL;
}

/* --- while serving */

/* The user's file where it was ours; its content is `was`. */
static struct error *follow_user_config(struct arena *arena, struct bytes was, struct bytes is) {
    struct file_path path;
    struct bytes content = {0};
    struct error *err = user_config_path(&path);
    if (err == NULL) err = file_read(arena, path.text, CONFIG_MAX, &content);
    if (err == NULL && bytes_equal(content, was))
        err = file_write(path.text, is, 0600, FILE_REPLACE);
    if (err != NULL && error_code(err) != ERROR_RESOURCE_EXHAUSTED) {
        error_ignore(err, "the user's file is a convenience, and may be anything");
        return NULL;
    }
    return err;
}

static struct error *update_config(const struct instance *i, struct arena *arena,
                                   const char *listen) {
    struct file_path path;
    struct bytes was = {0};
    struct buf is;
    TRY(file_path_join(i->data.text, "client/config.json", &path));
    struct error *err = file_read(arena, path.text, CONFIG_MAX, &was);
    if (err != NULL && error_code(err) != ERROR_NOT_FOUND) return err;
    error_ignore(err, "written anew");
    buf_init_arena(&is, arena, CONFIG_MAX);
    client_config_put(&is, i->data.text, listen);
    TRY(buf_finish(&is, path.text));
    if (bytes_equal(was, buf_bytes(&is))) return NULL;
    TRY(file_write(path.text, buf_bytes(&is), 0600, FILE_REPLACE));
    return was.len == 0 ? NULL : follow_user_config(arena, was, buf_bytes(&is));
}

static struct error *write_run(const struct instance *i, struct arena *arena, const char *listen,
                               const char *ops) {
    struct file_path path;
    struct buf out;
    TRY(file_path_join(i->data.text, "run.json", &path));
    buf_init_arena(&out, arena, CONFIG_MAX);
    struct json_writer w = json_writer_of(&out);
    json_object_begin(&w);
    json_key(&w, "pid");
    json_put_int(&w, getpid());
    json_key(&w, "listen");
    json_put_cstr(&w, listen);
    json_key(&w, "ops");
    json_put_cstr(&w, ops);
    json_object_end(&w);
    buf_put_u8(&out, '\n');
    TRY(buf_finish(&out, path.text));
    return file_write(path.text, buf_bytes(&out), 0600, FILE_REPLACE);
}

/* run.json comes last: who waits for it finds the rest there. */
struct error *instance_publish(const struct instance *i, const char *listen, const char *ops) {
    CLEANUP(arena_donep) struct arena arena;
    arena_init(&arena, 8 * CONFIG_MAX);
    TRY(update_config(i, &arena, listen));
    return write_run(i, &arena, listen, ops);
}

struct error *instance_unpublish(const struct instance *i) {
    struct file_path path;
    TRY(file_path_join(i->data.text, "run.json", &path));
    return file_remove(path.text);
}
