/* decide: the gate's own parts, between decide.c (the question) and vsa.c (the record). */
#ifndef SERVICE_DECIDE_H
#define SERVICE_DECIDE_H

#include "service/internal.h"

/* What a decision stands on, in the order of the log. */
struct decide_evidence {
    struct policy_evidence *items;
    struct sha256 *envelope_hashes; /* of each item's bare envelope; VSA inputAttestations */
    size_t count;
    bool cut; /* more than evidence_max of one type, or too large: not all read */
};

/* decide_put_vsa builds the statement of the decision in the request's arena. */
MUST_USE struct error *decide_put_vsa(struct service *s, const struct service_decide *req,
                                      const struct policy_set *set,
                                      const struct decide_evidence *evidence, struct bytes *out);

/* decide_content is what makes two decisions the same: who asked what, under which policies, on
 * which evidence, with which result rule by rule. */
struct sha256 decide_content(const struct service_decide *req, const struct policy_set *set,
                             const struct decide_evidence *evidence, struct bytes subject_jcs);

#endif
