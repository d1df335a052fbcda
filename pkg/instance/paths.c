/* Where things lie outside DATA, and what this machine is called. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "codec/codec.h"
#include "crypto/x509.h"
#include "instance/internal.h"

struct error *home_path(const char *variable, const char *fallback, const char *name,
                        struct file_path *out) {
    const char *base = secure_getenv(variable);
    struct file_path under_home;
    if (base == NULL || base[0] != '/') { /* the XDG specification: a relative path is not used */
        const char *home = secure_getenv("HOME");
        if (home == NULL || home[0] != '/')
            return error_new(ERROR_NOT_FOUND, "neither %s nor HOME is set", variable);
        TRY(file_path_join(home, fallback, &under_home));
        base = under_home.text;
    }
    return file_path_join(base, name, out);
}

struct error *instance_default_data(struct file_path *out) {
    if (geteuid() == 0) return file_path_absolute("/var/lib/attestd", out);
    struct error *err = home_path("XDG_DATA_HOME", ".local/share", "attestd", out);
    if (err == NULL || error_code(err) != ERROR_NOT_FOUND) return err;
    return error_recode(err, ERROR_INVALID_ARGUMENT, "no default data directory: give --data DIR");
}

struct error *anchor_path(const struct instance_options *o, const struct instance_facts *facts,
                          struct file_path *out) {
    if (o->anchor != NULL && o->anchor[0] != '\0') return file_path_absolute(o->anchor, out);
    struct buf name;
    struct file_path dir;
    buf_init(&name, sizeof dir.text);
    buf_put_text(&name, facts->origin);
    buf_put_u8(&name, '-');
    hex_put(&name, (struct bytes){facts->log_id.octets, 4});
    buf_put(&name, (struct bytes){(const uint8_t *)".anchor", sizeof ".anchor"}); /* and the NUL */
    struct error *err = buf_finish(&name, "anchor's name");
    if (err == NULL)
        err = geteuid() == 0 ? file_path_absolute("/var/lib/attestd-anchor", &dir)
                             : home_path("XDG_STATE_HOME", ".local/state", "attestd", &dir);
    if (err == NULL) err = file_path_join(dir.text, (const char *)name.data, out);
    buf_done(&name);
    if (err == NULL || error_code(err) != ERROR_NOT_FOUND) return err;
    return error_recode(err, ERROR_INVALID_ARGUMENT,
                        "no default place for the outer anchor: give --anchor FILE");
}

/* Lower case; "" where a certificate cannot hold it. */
static void keep_if_name(const char *in, char out[256]) {
    size_t len = strnlen(in, 256);
    while (len > 0 && in[len - 1] == '.') len--;
    out[0] = '\0';
    if (len > 253) return;
    char lower[256];
    for (size_t i = 0; i < len; i++)
        lower[i] = (char)(in[i] >= 'A' && in[i] <= 'Z' ? in[i] - 'A' + 'a' : in[i]);
    lower[len] = '\0';
    if (x509_is_dns_name((struct text){lower, len})) memcpy(out, lower, len + 1);
}

void machine_names(struct machine_names *out) {
    char host[256] = {0};
    (void)gethostname(host, sizeof host - 1); /* on failure: no name */
    keep_if_name(host, out->host);
    memcpy(out->full, out->host, sizeof out->full);
    if (out->host[0] == '\0' || strchr(out->host, '.') != NULL) return;
    struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) != 0) return;
    char full[256] = {0};
    if (found->ai_canonname != NULL) keep_if_name(found->ai_canonname, full);
    freeaddrinfo(found);
    if (strchr(full, '.') != NULL) memcpy(out->full, full, sizeof full);
}
