/* Descriptors and their digests, written. */
#include "base/assert.h"
#include "intoto/internal.h"

struct text intoto_sha256(const struct intoto_resource *r) {
    for (size_t i = 0; i < r->digest_count; i++)
        if (text_equal(r->digests[i].algorithm, TEXT_LIT("sha256"))) return r->digests[i].value;
    return (struct text){0};
}

static void put_text(struct json_writer *w, const char *key, struct text value) {
    if (value.len == 0) return;
    json_key(w, key);
    json_put_string(w, bytes_of_text(value));
}

/* Algorithms are ASCII (intoto_check), so memcmp's order is UTF-16's. */
static bool comes_before(const struct intoto_digest *a, const struct intoto_digest *b) {
    return bytes_compare(bytes_of_text(a->algorithm), bytes_of_text(b->algorithm)) < 0;
}

static void put_digests(struct json_writer *w, const struct intoto_resource *r) {
    const struct intoto_digest *sorted[INTOTO_DIGESTS_MAX];
    ASSERT(r->digest_count <= INTOTO_DIGESTS_MAX);
    for (size_t i = 0; i < r->digest_count; i++) {
        size_t at = i;
        for (; at > 0 && comes_before(&r->digests[i], sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &r->digests[i];
    }
    json_key(w, "digest");
    json_object_begin(w);
    for (size_t i = 0; i < r->digest_count; i++) {
        json_key_bytes(w, bytes_of_text(sorted[i]->algorithm));
        json_put_string(w, bytes_of_text(sorted[i]->value));
    }
    json_object_end(w);
}

static void put_name(struct json_writer *w, const struct intoto_resource *r, bool by_digest) {
    struct text sha256 = intoto_sha256(r);
    if (r->name.len > 0 || !by_digest || sha256.len == 0) {
        put_text(w, "name", r->name);
        return;
    }
    json_key(w, "name"); /* its digest: an algorithm and hexadecimal digits need no escapes */
    buf_put_cstr(w->out, "\"sha256:");
    buf_put_text(w->out, sha256);
    buf_put_u8(w->out, '"');
    w->comma = true;
}

void put_resource(struct json_writer *w, const struct intoto_resource *r,
                  const struct resource_extras *extras) {
    json_object_begin(w);
    if (r->annotations != NULL || extras->member != NULL) {
        json_key(w, "annotations");
        json_put_jcs_with(w, r->annotations, extras->member);
    }
    if (r->has_content) {
        json_key(w, "content");
        json_put_base64(w, r->content);
    }
    if (r->digest_count > 0) put_digests(w, r);
    put_text(w, "downloadLocation", r->download_location);
    put_text(w, "mediaType", r->media_type);
    put_name(w, r, extras->name_by_digest);
    put_text(w, "uri", r->uri);
    json_object_end(w);
}

void intoto_put_resource(struct buf *out, const struct intoto_resource *resource) {
    struct json_writer w = json_writer_of(out);
    const struct resource_extras none = {0};
    put_resource(&w, resource, &none);
}

void submitter_init(struct submitter *s, struct text principal, struct text method) {
    s->fields[0] = (struct json_member){BYTES_LIT("method"), json_of_string(bytes_of_text(method))};
    s->fields[1] =
        (struct json_member){BYTES_LIT("principal"), json_of_string(bytes_of_text(principal))};
    s->member = (struct json_member){BYTES_LIT("attestd_submitter"), json_of_object(s->fields, 2)};
}
