/*
 * Verifying is a list of checks, each of which must hold; the first that does not is the reason.
 * They go from the outside in: what the log signed is established before anything is believed that
 * rests on it (the time of logging, for instance, counts only once the SET has been checked).
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/reader.h"
#include "codec/codec.h"
#include "internal.h"
#include "note/note.h"

struct check {
    struct arena *arena;
    const struct trust *trust;
    const struct sha256 *subject;  /* NULL: any */
    struct bytes predicate_type;   /* empty: any */
    struct bytes text;             /* the receipt as given */
    struct bundle_receipt receipt; /* from here on set by the checks, in their order */
    const struct trust_log *log;
    struct note note;
    const struct trust_key *key;
    struct intoto_statement statement;
    bool refused;
    char reason[sizeof((struct bundle_verification){0}.reason)];
};

static void refuse(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct check *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->reason, sizeof c->reason, fmt, ap);
    va_end(ap);
    c->refused = true;
}

/* What a parser found wrong with the receipt is an answer; that it could not work is not. */
static struct error *refuse_if_malformed(struct check *c, const char *what, struct error *err) {
    if (err == NULL || error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    char text[160];
    error_text(err, text, sizeof text);
    refuse(c, "%s: %s", what, text);
    error_ignore(err, "it became the reason of the refusal");
    return NULL;
}

static struct error *check_form(struct check *c) {
    if (c->text.len > BUNDLE_OCTETS_MAX) {
        refuse(c, "the receipt is larger than %zu octets", BUNDLE_OCTETS_MAX);
        return NULL;
    }
    return refuse_if_malformed(c, "not a receipt of this form",
                               bundle_read_receipt(c->arena, c->text, &c->receipt));
}

static bool inside(int64_t at_s, int64_t from_s, int64_t until_s) {
    return from_s <= at_s && at_s <= until_s;
}

static struct error *check_log(struct check *c) {
    for (size_t i = 0; i < c->trust->log_count && c->log == NULL; i++) {
        if (sha256_equal(&c->trust->logs[i].log_id, &c->receipt.log_id))
            c->log = &c->trust->logs[i];
    }
    if (c->log == NULL) {
        refuse(c, "the log is not among the trusted ones");
    } else if (public_key_algorithm(c->log->key) != KEY_P256) {
        refuse(c, "the log's key does not sign entries of this form");
    } else if (!inside(c->receipt.integrated_s, c->log->valid_from_s, c->log->valid_until_s)) {
        refuse(c, "the log's key was not valid when the entry was logged");
    }
    return NULL;
}

static struct error *check_set(struct check *c) {
    const struct bundle_receipt *r = &c->receipt;
    CLEANUP(buf_done) struct buf signed_octets;
    buf_init(&signed_octets, 2 * BUNDLE_OCTETS_MAX);
    bundle_put_set_payload(&signed_octets, r->leaf, r->integrated_s, &r->log_id, r->index);
    TRY(buf_finish(&signed_octets, "the signed entry timestamp"));
    bool valid = false;
    TRY(public_key_verify(c->log->key, buf_bytes(&signed_octets), r->set, &valid));
    if (!valid) refuse(c, "the signed entry timestamp is not the log's");
    return NULL;
}

static struct error *check_time(struct check *c) {
    if (c->receipt.integrated_s > c->trust->now_s)
        refuse(c, "the entry was logged in the future, by this machine's clock");
    return NULL;
}

static struct error *check_checkpoint_signature(struct check *c) {
    const struct bundle_receipt *r = &c->receipt;
    TRY(refuse_if_malformed(c, "checkpoint", note_parse(c->arena, r->checkpoint_v1, &c->note)));
    if (c->refused) return NULL;
    if (c->note.signature_count != 1) {
        refuse(c, "the checkpoint does not have exactly one signature");
        return NULL;
    }
    bool valid = false;
    TRY(note_verify(&c->note, c->trust->origin, c->log->key, &valid));
    if (!valid) refuse(c, "the checkpoint's signature is not the log's");
    return NULL;
}

/* The origin line of a v1-form checkpoint: "<host> - <tree id>". */
static bool is_origin_line(struct bytes line, struct bytes host) {
    const struct bytes dash = BYTES_LIT(" - ");
    if (!bytes_start_with(line, host)) return false;
    struct bytes rest = {line.data + host.len, line.len - host.len};
    if (!bytes_start_with(rest, dash)) return false;
    uint64_t tree_id = 0;
    return bytes_to_u64((struct bytes){rest.data + dash.len, rest.len - dash.len}, &tree_id);
}

static struct error *check_checkpoint_text(struct check *c) {
    struct checkpoint cp = {0};
    TRY(refuse_if_malformed(c, "checkpoint", checkpoint_parse(c->note.text, false, &cp)));
    if (c->refused) return NULL;
    if (!is_origin_line(cp.origin, c->trust->origin)) {
        refuse(c, "the checkpoint is of another log");
    } else if (cp.size != c->receipt.tree_size) {
        refuse(c, "the checkpoint is of another tree size than the inclusion proof");
    } else if (!sha256_equal(&cp.root, &c->receipt.root)) {
        refuse(c, "the checkpoint has another root hash than the inclusion proof");
    }
    return NULL;
}

static struct error *check_inclusion(struct check *c) {
    const struct bundle_receipt *r = &c->receipt;
    struct sha256 leaf_hash = merkle_leaf_hash(r->leaf);
    if (!merkle_verify_inclusion(r->index, r->tree_size, &leaf_hash, r->proof.hashes,
                                 r->proof.count, &r->root))
        refuse(c, "the inclusion proof does not lead to the checkpoint's root hash");
    return NULL;
}

static struct error *check_key(struct check *c) {
    for (size_t i = 0; i < c->trust->key_count && c->key == NULL; i++) {
        if (strcmp(c->trust->keys[i].hint, c->receipt.key_hint) == 0) c->key = &c->trust->keys[i];
    }
    if (c->key == NULL) {
        refuse(c, "the signing key is not among the trusted ones");
    } else if (!inside(c->receipt.integrated_s, c->key->valid_from_s, c->key->valid_until_s)) {
        refuse(c, "the signing key was not valid when the entry was logged");
    }
    return NULL;
}

static struct error *check_signature(struct check *c) {
    CLEANUP(buf_done) struct buf pae;
    buf_init(&pae, 2 * BUNDLE_OCTETS_MAX);
    dsse_put_pae(&pae, BYTES_LIT(DSSE_INTOTO_TYPE), c->receipt.payload);
    TRY(buf_finish(&pae, "the signed octets"));
    bool valid = false;
    TRY(public_key_verify(c->key->key, buf_bytes(&pae), c->receipt.signature, &valid));
    if (!valid) refuse(c, "the signature is not the signing key's");
    return NULL;
}

/* The leaf is made anew from the envelope and the key: so its payload hash, envelope hash,
 * signature and verifier are all checked, and nothing else can stand in it. */
static struct error *check_leaf(struct check *c) {
    CLEANUP(buf_done) struct buf leaf;
    buf_init(&leaf, BUNDLE_OCTETS_MAX);
    struct dsse_envelope env = envelope_of(&c->receipt);
    TRY(bundle_put_leaf(&leaf, &env, c->key->key));
    if (!bytes_equal(buf_bytes(&leaf), c->receipt.leaf))
        refuse(c, "the log entry is not of this envelope and key");
    return NULL;
}

static struct error *check_statement(struct check *c) {
    struct json_limits limits = {.depth_max = INTOTO_STATEMENT_DEPTH_MAX,
                                 .octets_max = BUNDLE_OCTETS_MAX};
    return refuse_if_malformed(
        c, "statement",
        intoto_statement_parse(c->arena, c->receipt.payload, &limits, &c->statement));
}

static struct error *check_submitter(struct check *c) {
    if (c->statement.submitter_principal.len == 0 || c->statement.submitter_method.len == 0)
        refuse(c, "the statement does not say who submitted it");
    return NULL;
}

/* Summaries are the gate's: a submitter must not be able to have one signed as evidence, nor the
 * gate's key to vouch for anything else. */
static struct error *check_purpose(struct check *c) {
    bool summary = text_equal(c->statement.predicate_type, TEXT_LIT(INTOTO_VSA_V1));
    enum trust_purpose wanted = summary ? TRUST_PURPOSE_DECISION : TRUST_PURPOSE_ATTESTATION;
    if (c->key->purpose != wanted)
        refuse(c, "the signing key is not for statements of this predicate type");
    return NULL;
}

static bool has_sha256(const struct intoto_resource *subject, struct bytes hex) {
    for (size_t i = 0; i < subject->digest_count; i++) {
        const struct intoto_digest *d = &subject->digests[i];
        if (text_equal(d->algorithm, TEXT_LIT("sha256")) &&
            bytes_equal(bytes_of_text(d->value), hex))
            return true;
    }
    return false;
}

static struct error *check_subject(struct check *c) {
    if (c->subject == NULL) return NULL;
    CLEANUP(buf_done) struct buf hex;
    buf_init(&hex, 2 * sizeof c->subject->octets);
    hex_put(&hex, sha256_bytes(c->subject));
    TRY(buf_finish(&hex, "a digest"));
    for (size_t i = 0; i < c->statement.subject_count; i++) {
        if (has_sha256(&c->statement.subjects[i], buf_bytes(&hex))) return NULL;
    }
    refuse(c, "the statement is about other subjects");
    return NULL;
}

static struct error *check_predicate_type(struct check *c) {
    struct bytes is = bytes_of_text(c->statement.predicate_type);
    if (c->predicate_type.len > 0 && !bytes_equal(c->predicate_type, is))
        refuse(c, "the predicate type is " BYTES_FMT, BYTES_ARG(is));
    return NULL;
}

static struct error *(*const checks[])(struct check *) = {
    check_form,
    check_log,
    check_set,
    check_time,
    check_checkpoint_signature,
    check_checkpoint_text,
    check_inclusion,
    check_key,
    check_signature,
    check_leaf,
    check_statement,
    check_submitter,
    check_purpose,
    check_subject,
    check_predicate_type,
};

static void fill(const struct check *c, struct bundle_verification *out) {
    *out = (struct bundle_verification){.verdict = BUNDLE_REFUSED};
    if (c->refused) {
        memcpy(out->reason, c->reason, sizeof out->reason);
        return;
    }
    out->index = c->receipt.index;
    out->tree_size = c->receipt.tree_size;
    out->root = c->receipt.root;
    out->integrated_s = c->receipt.integrated_s;
    out->purpose = c->key->purpose;
    out->statement = c->statement;
    out->checkpoint = c->receipt.checkpoint_v1;
    out->verdict = BUNDLE_VERIFIED;
}

struct error *bundle_verify(struct arena *arena, struct bytes receipt, const struct trust *trust,
                            const struct sha256 *subject_sha256, struct bytes predicate_type,
                            struct bundle_verification *out) {
    struct check c = {.arena = arena,
                      .trust = trust,
                      .subject = subject_sha256,
                      .predicate_type = predicate_type,
                      .text = receipt};
    for (size_t i = 0; i < sizeof checks / sizeof *checks && !c.refused; i++) TRY(checks[i](&c));
    fill(&c, out);
    return NULL;
}
