/* client/trust: trust files on disk, and the pin. Internal to client/. */
#ifndef CLIENT_TRUST_H
#define CLIENT_TRUST_H

#include "client/client.h"
#include "client/internal.h"

/* About a pin that cannot be read. */
#define TRUST_PIN_ADVICE "Remove it (and its .keys.json) only if you know why it no longer fits."

struct trust_files {
    struct bytes root; /* a Sigstore trusted root */
    struct bytes keys; /* our signing keys */
};

/* trust_path_of_server is where the server's keys are pinned; trust_path_of_last what was
 * remembered last. Errors: as settings_state_dir; NOT_FOUND where nothing was. */
MUST_USE struct error *trust_path_of_server(struct cli *cli, const char **out);
MUST_USE struct error *trust_path_of_last(struct cli *cli, const char **out);

/* trust_read reads FILE and FILE.keys.json; both must be there. */
MUST_USE struct error *trust_read(struct arena *arena, const char *path, struct trust_files *out);

/* trust_open loads them, with this machine's clock. The caller owns *out. */
MUST_USE struct error *trust_open(const struct trust_files *files, struct trust **out);
void trust_close(struct trust *t);
DEFINE_CLEANUP(struct trust, trust_close);

/* trust_compare says how what was fetched differs from what is saved at `path` (nothing there:
 * TRUST_CHANGE_ADDED) and prints each difference on standard error. Errors: what is saved cannot be
 * read; half a pin counts as far as it goes. */
MUST_USE struct error *trust_compare(struct cli *cli, const char *path,
                                     const struct trust_files *fetched, enum trust_change *out);

/* trust_pin saves what was fetched at `path`, unless it drops or changes what is saved there: then
 * *out_refused, nothing is written, and standard error says which. Also *out_refused with an error
 * if what is saved cannot be read. */
MUST_USE struct error *trust_pin(struct cli *cli, const char *path,
                                 const struct trust_files *fetched, bool *out_refused);

/* trust_remember makes `path` what `attest verify` reads where no file is named;
 * trust_remember_first does so only where nothing was remembered before: talking to another server
 * must not change what is believed about receipts. */
MUST_USE struct error *trust_remember(struct cli *cli, const char *path);
MUST_USE struct error *trust_remember_first(struct cli *cli, const char *path);

#endif
