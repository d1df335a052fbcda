/* client/head: signed tree heads, checked by the pinned keys. Internal to client/. */
#ifndef CLIENT_HEAD_H
#define CLIENT_HEAD_H

#include "client/trust.h"
#include "merkle/merkle.h"

struct ProtobufCMessage;

struct head {
    uint64_t size;
    struct sha256 root;
    struct bytes checkpoint; /* the C2SP note; empty where it came otherwise */
};

/* head_check answers whether `checkpoint` is a C2SP note of the log that `trust` names, signed by
 * its Ed25519 key; where not, `why` says so. */
MUST_USE struct error *head_check(struct arena *arena, const struct trust *trust,
                                  struct bytes checkpoint, struct head *out, char why[256],
                                  bool *out_good);

/* head_fetch asks for the head of `size` (0: the current one) and checks both of its forms and that
 * they agree. */
MUST_USE struct error *head_fetch(struct cli *cli, const struct trust *trust, uint64_t size,
                                  struct head *out, char why[256], bool *out_good);

/* head_extends asks for a proof and answers whether `new` extends `old`: false, with `why`, for a
 * log that shrank or forked, and for a proof that does not read. `out_proof` (NULL: not wanted) is
 * the answer that held the proof, NULL where none was needed: `old` is of the empty log. */
MUST_USE struct error *head_extends(struct cli *cli, const struct head *old, const struct head *new,
                                    char why[256], bool *out_good,
                                    const struct ProtobufCMessage **out_proof);

#endif
