/*
 * server: the objects of a running attestd, built in order and taken down in reverse. main's thread
 * runs the main loop (signals, timers, the ops port); each reactor has a thread and a loop of its
 * own, with a port of the service on it.
 */
#ifndef ATTESTD_SERVER_H
#define ATTESTD_SERVER_H

#include "config/config.h"
#include "instance/instance.h"

struct server;

struct server_options {
    struct config config;
    struct instance_options instance;
    /* Reads the configuration anew, for SIGHUP. */
    struct error *(*reload)(void *ctx, struct arena *arena, struct config *out);
    void *ctx;
};

/* server_hold_hangups keeps a SIGHUP waiting, for this thread and those that it starts then: while
 * nothing takes it, it would end the process. server_run takes what has come when it is ready. */
void server_hold_hangups(bool hold);

/* server_check says what is wrong with a configuration before anything is made. Errors:
 * INVALID_ARGUMENT. */
MUST_USE struct error *server_check(const struct config *config);

/* server_open opens the data directory and builds everything; nothing listens yet. */
MUST_USE struct error *server_open(const struct server_options *options, struct server **out);

/* server_run listens, publishes, says "ready", and returns when it was told to stop or the log
 * failed (*out_failed: the process must end at once, with its threads, and start anew from what is
 * stored; an error: it was told to stop too, and must not start anew). */
MUST_USE struct error *server_run(struct server *s, bool *out_failed);

void server_free(struct server *s);
DEFINE_CLEANUP(struct server, server_free);

#endif
