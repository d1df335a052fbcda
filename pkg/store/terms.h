/* terms: what an entry is found by, read from its signed octets: by who writes an entry and by who
 * checks it (fsck), so that both see the same. Pure. */
#ifndef STORE_TERMS_H
#define STORE_TERMS_H

#include "base/arena.h"
#include "base/error.h"
#include "store/store.h"

/* store_terms_of_payload reads the statement in `payload` and lists its terms in `arena`: every
 * "alg:value" of its subjects, and of what its edges lead to but for descriptions, each once and
 * sorted; its edges; its predicate type and submitter. They borrow from `arena` alone.
 * Errors: INVALID_ARGUMENT if it is no statement; RESOURCE_EXHAUSTED. */
MUST_USE struct error *store_terms_of_payload(struct arena *arena, struct bytes payload,
                                              struct store_terms *out);

#endif
