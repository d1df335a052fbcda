/*
 * config: one table -> struct config, the parser of its YAML form, help, and the reference page.
 * An unknown or repeated key, or a value out of bounds, does not load. Not thread-safe: loaded
 * once, then read-only.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/*
 * X(type, field, key, default, min, max, reload, help)
 * type: TEXT (a string; min and max bound its length), FLAG (true or false), COUNT, SIZE (octets:
 * "64KiB"), TIME (milliseconds: "30s"). reload: RELOAD is taken over on SIGHUP, RESTART is not.
 */
#define CONFIG_TABLE(X)                                                                            \
    X(TEXT, data, "data", "", 0, 4096, RESTART, "The data directory.")                             \
    X(TEXT, listen, "listen", "127.0.0.1:8443", 3, 256, RESTART,                                   \
      "Address and port of the service (TLS). Port 0 picks a free one.")                           \
    X(TEXT, ops_listen, "ops.listen", "127.0.0.1:9464", 3, 256, RESTART,                           \
      "Address and port of /healthz, /readyz and /metrics (plain HTTP).")                          \
    X(FLAG, ops_allow_remote, "ops.allow_remote", "false", 0, 1, RESTART,                          \
      "Allow ops.listen to be another address than loopback.")                                     \
    X(TEXT, policies, "policies", "", 0, 4096, RESTART,                                            \
      "The policy directory; empty: DATA/policies.")                                               \
    X(TEXT, anchor_file, "anchor.file", "", 0, 4096, RESTART,                                      \
      "The outer anchor, on another disk where there is one; empty: see docs/operations.md.")      \
    X(FLAG, anchor_required, "anchor.required", "false", 0, 1, RESTART,                            \
      "A missing outer anchor keeps a log that is not empty read-only. Recommended.")              \
    X(TEXT, key_passphrase_file, "key.passphrase_file", "", 0, 4096, RESTART,                      \
      "File with the passphrase of the keys at rest.")                                             \
    X(TEXT, backup_dir, "backup.dir", "", 0, 4096, RESTART,                                        \
      "Where backups go; empty: DATA/backups.")                                                    \
    X(TEXT, log_level, "log.level", "info", 4, 5, RELOAD, "debug, info, warn or error.")           \
    X(TEXT, tls_certificate, "tls.certificate", "", 0, 4096, RELOAD,                               \
      "Certificate chain (PEM) of your own; empty: the built-in CA's.")                            \
    X(TEXT, tls_key, "tls.key", "", 0, 4096, RELOAD, "Private key (PEM) of tls.certificate.")      \
    X(FLAG, open_checkpoint, "open.checkpoint", "true", 0, 1, RESTART,                             \
      "Serve /checkpoint without credentials.")                                                    \
    X(FLAG, open_tiles, "open.tiles", "true", 0, 1, RESTART, "Serve tiles without credentials.")   \
    X(FLAG, open_trust, "open.trust", "true", 0, 1, RESTART,                                       \
      "Serve trust files without credentials.")                                                    \
    X(FLAG, open_health, "open.health", "true", 0, 1, RESTART,                                     \
      "Serve grpc.health.v1 without credentials.")                                                 \
    X(FLAG, open_reflection, "open.reflection", "true", 0, 1, RESTART,                             \
      "Serve reflection without credentials.")                                                     \
    X(COUNT, reactors, "reactors", "2", 1, 64, RESTART, "Threads that own connections.")           \
    X(COUNT, workers, "workers", "2", 1, 64, RESTART,                                              \
      "Threads for work over a millisecond, and as many for timestamps' signatures.")              \
    X(SIZE, message_max, "limits.message", "4MiB", 65536, 67108864, RESTART,                       \
      "One message. Stops: memory by size.")                                                       \
    X(SIZE, memory_max, "limits.memory", "512MiB", 67108864, 68719476736, RESTART,                 \
      "Decoded messages and answers of all calls together; of strangers' a quarter, beside it. "   \
      "Stops: memory by number.")                                                                  \
    X(SIZE, predicate_max, "limits.predicate", "2MiB", 4096, 33554432, RESTART,                    \
      "One predicate document. Stops: a log that grows without bound.")                            \
    X(COUNT, json_depth_max, "limits.json_depth", "64", 8, 256, RESTART,                           \
      "Nesting of predicates sent as octets (of messages: 64). Stops: stack exhaustion.")          \
    X(COUNT, batch_max, "limits.batch", "1000", 1, 10000, RESTART,                                 \
      "Items of a batch. Stops: one call that holds a thread.")                                    \
    X(COUNT, streams_max, "limits.streams", "100", 1, 1000, RESTART,                               \
      "Streams a connection. Stops: amplification by one client.")                                 \
    X(COUNT, connections_max, "limits.connections", "1024", 1, 65536, RESTART,                     \
      "Open connections. Stops: descriptor exhaustion.")                                           \
    X(COUNT, strangers_max, "limits.strangers", "2048", 16, 1000000, RESTART,                      \
      "Requests without credentials under way, over all connections. Stops: memory by streams "    \
      "that stay.")                                                                                \
    X(SIZE, header_list_max, "limits.header_list", "16KiB", 4096, 262144, RESTART,                 \
      "Header list of a request. Stops: header bombs.")                                            \
    X(COUNT, idempotency_key_max, "limits.idempotency_key", "128", 16, 1024, RESTART,              \
      "Octets of an idempotency key.")                                                             \
    X(TIME, handshake_ms, "limits.handshake", "10s", 100, 60000, RESTART,                          \
      "TLS handshake. Stops: half-open connections.")                                              \
    X(TIME, idle_ms, "limits.idle", "5m", 1000, 3600000, RESTART,                                  \
      "A connection without a stream. Stops: slot hoarding.")                                      \
    X(TIME, deadline_ms, "limits.deadline", "30s", 100, 3600000, RESTART,                          \
      "Deadline of a unary call that names none.")                                                 \
    X(TIME, drain_ms, "limits.drain", "20s", 100, 600000, RESTART,                                 \
      "How long a stop waits for what is in flight.")                                              \
    X(COUNT, evidence_max, "limits.evidence", "1000", 10, 10000, RESTART,                          \
      "Entries of one type and submitter read for one decision.")                                  \
    X(COUNT, queue_max, "limits.queue", "8192", 16, 1000000, RESTART,                              \
      "Submissions waiting for the log. Full: RESOURCE_EXHAUSTED.")                                \
    X(COUNT, round_entries_max, "limits.round_entries", "1024", 1, 16384, RESTART,                 \
      "Entries of one round of the log.")                                                          \
    X(COUNT, quota_per_second, "quota.submissions_per_second", "50000", 1, 10000000, RESTART,      \
      "Submissions a second, each principal.")                                                     \
    X(SIZE, quota_octets_day, "quota.bytes_per_day", "64GiB", 1048576, 1125899906842624, RESTART,  \
      "Octets a day, each principal. Stops: filling a log that never forgets.")                    \
    X(SIZE, store_cache, "store.block_cache", "64MiB", 8388608, 1099511627776, RESTART,            \
      "RocksDB block cache.")                                                                      \
    X(SIZE, store_memtables, "store.memtables", "64MiB", 8388608, 17179869184, RESTART,            \
      "RocksDB memtables, all families together.")                                                 \
    X(SIZE, store_wal, "store.wal", "32MiB", 4194304, 17179869184, RESTART,                        \
      "Write-ahead log before a flush; bounds the start after a kill.")                            \
    X(SIZE, disk_reserve, "store.disk_reserve", "1GiB", 0, 1125899906842624, RESTART,              \
      "Free space below which the log is read-only.")

struct config {
#define CONFIG_FIELD_TEXT(field) const char *field;
#define CONFIG_FIELD_FLAG(field) bool field;
#define CONFIG_FIELD_COUNT(field) uint64_t field;
#define CONFIG_FIELD_SIZE(field) uint64_t field;
#define CONFIG_FIELD_TIME(field) uint64_t field;
#define CONFIG_FIELD(type, field, key, def, min, max, reload, help) CONFIG_FIELD_##type(field)
    CONFIG_TABLE(CONFIG_FIELD)
#undef CONFIG_FIELD
};

/* config_default fills every field with its default. Texts borrow from literals. */
void config_default(struct config *out);

/* config_load reads `yaml` over `config`; texts are copied to `arena`. `name` is for messages. On
 * error `config` is left as it was.
 * Errors: INVALID_ARGUMENT with file and line. */
MUST_USE struct error *config_load(struct arena *arena, struct bytes yaml, const char *name,
                                   struct config *config);

/* config_set sets one key from text, as a flag of the command line does. */
MUST_USE struct error *config_set(struct arena *arena, struct config *config, struct bytes key,
                                  struct bytes value);

/* config_check says what single keys cannot: certificate and key go together, ops.listen is
 * loopback or allowed, log.level is a level. Errors: INVALID_ARGUMENT. */
MUST_USE struct error *config_check(const struct config *config);

/* config_needs_restart appends the keys that differ between two configurations and are not taken
 * over on SIGHUP, one a line. */
void config_needs_restart(struct buf *out, const struct config *old, const struct config *new);

/* config_put_reference appends the table as Markdown; config_put_help as plain text. */
void config_put_reference(struct buf *out);
void config_put_help(struct buf *out);

#endif
