/* The secret that all keys of an instance are sealed under: derived from a passphrase, or the 32
 * random octets in DATA/secret. */
#include <stdlib.h>

#include "instance/internal.h"

#define PASSPHRASE_MAX ((size_t)4096)
#define CREDENTIAL "attestd.key" /* systemd: LoadCredential=attestd.key:... */

/* Where the passphrase lies; "" where none is given. */
static struct error *passphrase_path(const struct instance_options *o, struct file_path *out) {
    out->text[0] = '\0';
    if (o->passphrase_file != NULL && o->passphrase_file[0] != '\0')
        return file_path_absolute(o->passphrase_file, out);
    const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");
    if (dir == NULL || dir[0] == '\0') return NULL;
    struct file_path path;
    bool exists = false;
    TRY(file_path_join(dir, CREDENTIAL, &path));
    TRY(file_exists(path.text, &exists));
    if (exists) *out = path;
    return NULL;
}

/* What is misnamed on the command line is the command line's fault. */
static struct error *read_given(const char *path, size_t max, struct secret **out) {
    struct error *err = file_read_secret(path, max, out);
    if (err == NULL || error_code(err) != ERROR_NOT_FOUND) return err;
    return error_recode(err, ERROR_INVALID_ARGUMENT, "no such file: %s", path);
}

/* One newline at the end is the editor's, not the passphrase's. */
static struct bytes without_newline(struct bytes text) {
    if (text.len > 0 && text.data[text.len - 1] == '\n') text.len--;
    if (text.len > 0 && text.data[text.len - 1] == '\r') text.len--;
    return text;
}

static struct error *stretch(const char *path, const uint8_t salt[16], struct secret **out) {
    CLEANUP(secret_freep) struct secret *passphrase = NULL;
    TRY(read_given(path, PASSPHRASE_MAX, &passphrase));
    struct error *err = secret_from_passphrase(without_newline(secret_view(passphrase)), salt, out);
    return err == NULL ? NULL : error_wrap(err, "passphrase in %s", path);
}

struct error *wrap_make(const struct instance_options *o, struct instance_facts *facts,
                        struct secret **out) {
    struct file_path path;
    TRY(passphrase_path(o, &path));
    facts->has_passphrase = path.text[0] != '\0';
    if (!facts->has_passphrase) return secret_random(SECRET_LEN, out);
    TRY(entropy_fill(o->entropy, facts->salt, sizeof facts->salt));
    return stretch(path.text, facts->salt, out);
}

static struct error *read_secret_file(const char *path, struct secret **out) {
    CLEANUP(secret_freep) struct secret *s = NULL;
    struct error *err = file_read_secret(path, SECRET_LEN, &s);
    if (err != NULL && error_code(err) == ERROR_NOT_FOUND)
        return error_recode(err, ERROR_FAILED_PRECONDITION,
                            "%s is missing: put back the secret that this directory's keys were "
                            "sealed under",
                            path);
    if (err != NULL && error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    if (err != NULL || secret_view(s).len != SECRET_LEN) {
        error_ignore(err, "said in our own words");
        return error_new(ERROR_FAILED_PRECONDITION, "%s is not a secret of %zu octets: restore it",
                         path, SECRET_LEN);
    }
    *out = MOVE(s);
    return NULL;
}

struct error *wrap_open(const struct instance_options *o, const struct instance_facts *facts,
                        const char *secret_file, struct secret **out) {
    struct file_path path;
    TRY(passphrase_path(o, &path));
    bool given = path.text[0] != '\0';
    if (facts->has_passphrase && !given)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the keys are sealed under a passphrase: give --key-passphrase-file");
    if (!facts->has_passphrase && given)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the keys are sealed under a secret file, not a passphrase: leave out %s",
                         path.text);
    return given ? stretch(path.text, facts->salt, out) : read_secret_file(secret_file, out);
}
