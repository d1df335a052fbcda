/* internal: what the files of intoto/ share. */
#ifndef INTOTO_INTERNAL_H
#define INTOTO_INTERNAL_H

#include "intoto/intoto.h"

/* intoto_sha256 is the sha256 of `r`, or empty. */
struct text intoto_sha256(const struct intoto_resource *r);

/* How a descriptor is written beyond what it holds itself. */
struct resource_extras {
    bool name_by_digest;              /* where it has no name: "sha256:<hex>" */
    const struct json_member *member; /* one annotation more, or NULL */
};

/* put_resource writes `r` in JCS form. */
void put_resource(struct json_writer *w, const struct intoto_resource *r,
                  const struct resource_extras *extras);

/* struct submitter holds attestd_submitter = {"method","principal"} as a member to be written. */
struct submitter {
    struct json_member fields[2];
    struct json_member member;
};
void submitter_init(struct submitter *s, struct text principal, struct text method);

#endif
