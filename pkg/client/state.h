/* client/state: what the command reads back from files of its own: the configuration, the path of
 * the last trust file, what the monitor saw. Pure: octets in, values out. Internal to client/. */
#ifndef CLIENT_STATE_H
#define CLIENT_STATE_H

#include "client/head.h"

#define STATE_CONFIG_MAX ((size_t)64 << 10)
#define STATE_MONITOR_MAX ((size_t)64 << 10)

/* The configuration file; NULL where a member is missing. */
struct state_config {
    const char *server;
    const char *ca;
    const char *token_file;
};

/* state_read_config reads {"server","ca","token_file"}; the texts are in `arena`.
 * Errors: INVALID_ARGUMENT for anything else in it. */
MUST_USE struct error *state_read_config(struct arena *arena, struct bytes octets,
                                         struct state_config *out);

/* state_read_path reads a path and its line end. Errors: INVALID_ARGUMENT. */
MUST_USE struct error *state_read_path(struct arena *arena, struct bytes octets, const char **out);

/* state_read_monitor answers whether `octets` hold a head that the log signed; where not, `why`
 * says so. `*out` lives in `arena`. Errors: INVALID_ARGUMENT for what is not JSON. */
MUST_USE struct error *state_read_monitor(struct arena *arena, const struct trust *trust,
                                          struct bytes octets, struct head *out, char why[256],
                                          bool *out_good);
void state_put_monitor(struct buf *out, struct bytes origin, const struct head *head);

#endif
