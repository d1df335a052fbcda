/* decide: the gate's own parts, between decide.c (the question), evidence.c (what is known) and
 * vsa.c (the record). */
#ifndef SERVICE_DECIDE_H
#define SERVICE_DECIDE_H

#include "service/internal.h"

#define DECIDE_EVIDENCE_OCTETS_MAX ((size_t)8 << 20) /* of statements read for one: memory */

/* Indexes in the order of the log. */
struct decide_indexes {
    const uint64_t *items;
    size_t count;
};

struct decide_found {
    struct decide_indexes trusted; /* submitted by somebody whom a rule about their type trusts */
    struct decide_indexes others;  /* a few of the rest */
    bool cut;                      /* not all of the trusted ones are listed */
};

/* decide_find lists, in the request's arena, the evidence below the tree size of `req`. Runs on a
 * reactor: no entry is read. */
MUST_USE struct error *decide_find(struct service *s, const struct service_decide *req,
                                   const struct policy_set *set,
                                   const struct policy_question *question,
                                   struct decide_found *out);

/* What a decision stands on: of the others, then of the trusted, each in the order of the log. */
struct decide_evidence {
    struct policy_evidence *items;
    struct sha256 *envelope_hashes; /* of each item's bare envelope; VSA inputAttestations */
    size_t count;
    bool cut; /* more than evidence_max of one type and submitter, or too large: not all read */
};

/* decide_read reads what was found into `arena`, as far as DECIDE_EVIDENCE_OCTETS_MAX reach. */
MUST_USE struct error *decide_read(struct service *s, struct arena *arena,
                                   const struct decide_found *found, struct decide_evidence *out);

/* decide_put_vsa builds the statement of the decision in the request's arena. */
MUST_USE struct error *decide_put_vsa(struct service *s, const struct service_decide *req,
                                      const struct policy_set *set,
                                      const struct decide_evidence *evidence, struct bytes *out);

/* decide_content is what makes two decisions the same: who asked what, under which policies, on
 * which evidence, with which result rule by rule. */
struct sha256 decide_content(const struct service_decide *req, const struct policy_set *set,
                             const struct decide_evidence *evidence, struct bytes subject_jcs);

#endif
