/*
 * google.rpc.Status on the wire, and its details for Connect. Writing takes no memory but the
 * buf's: a status must be writable when memory is out. Texts may quote a caller's octets, so they
 * are made UTF-8 here, and cut.
 *
 *   Status = 08 varint(code)   12 len message   (1a len Any)*
 *   Any    = 0a len type_url   12 len value
 */
#include "base/assert.h"
#include "codec/codec.h"
#include "google/protobuf/any.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "json/json.h"
#include "msg/internal.h"

#define ERROR_DOMAIN "attestd"
#define URL_PREFIX "type.googleapis.com/"
#define DETAILS_MAX 3
#define TEXT_MAX 1024
#define DETAIL_OCTETS_MAX (2 * TEXT_MAX + 64) /* two texts and their tags */
#define RETRY_MS_MAX UINT32_MAX

#define TAG_CODE 0x08
#define TAG_MESSAGE 0x12
#define TAG_DETAIL 0x1a
#define TAG_URL 0x0a
#define TAG_VALUE 0x12

/* The details of one status, packed. */
struct details {
    struct {
        const char *url;
        uint8_t octets[DETAIL_OCTETS_MAX];
        size_t len;
    } items[DETAILS_MAX];
    size_t count;
};

/* --- texts */

/* character_len is the length of the UTF-8 character that begins `in`, 0 if none does. */
static size_t character_len(struct bytes in) {
    for (size_t n = 1; n <= 4 && n <= in.len; n++) {
        if (bytes_are_utf8((struct bytes){in.data, n})) return in.data[0] == '\0' ? 0 : n;
    }
    return 0;
}

/* clean copies `in` with "?" for what is no UTF-8, and cuts it at TEXT_MAX octets. */
static size_t clean(struct bytes in, char out[TEXT_MAX + 1]) {
    size_t len = 0;
    while (in.len > 0) {
        size_t n = character_len(in);
        size_t step = n == 0 ? 1 : n;
        if (len + step > TEXT_MAX) break;
        if (n == 0) {
            out[len] = '?';
        } else {
            memcpy(out + len, in.data, n);
        }
        len += step;
        in = (struct bytes){in.data + step, in.len - step};
    }
    out[len] = '\0';
    return len;
}

static char *clean_cstr(const char *s, char out[TEXT_MAX + 1]) {
    (void)clean(bytes_of_cstr(s == NULL ? "" : s), out);
    return out;
}

static bool has(const char *s) { return s != NULL && s[0] != '\0'; }

/* --- details */

static void add(struct details *d, const char *url, const ProtobufCMessage *m) {
    ASSERT(d->count < DETAILS_MAX && protobuf_c_message_get_packed_size(m) <= DETAIL_OCTETS_MAX);
    d->items[d->count].url = url;
    d->items[d->count].len = protobuf_c_message_pack(m, d->items[d->count].octets);
    d->count++;
}

static void add_error_info(struct details *d, const char *reason) {
    char text[TEXT_MAX + 1];
    char domain[] = ERROR_DOMAIN;
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = clean_cstr(reason, text);
    info.domain = domain;
    add(d, URL_PREFIX "google.rpc.ErrorInfo", &info.base);
}

static void add_bad_request(struct details *d, const char *field, const char *description) {
    char field_text[TEXT_MAX + 1];
    char description_text[TEXT_MAX + 1];
    Google__Rpc__BadRequest__FieldViolation violation =
        GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
    violation.field = clean_cstr(field, field_text);
    violation.description = clean_cstr(description, description_text);
    Google__Rpc__BadRequest__FieldViolation *violations[] = {&violation};
    Google__Rpc__BadRequest request = GOOGLE__RPC__BAD_REQUEST__INIT;
    request.n_field_violations = 1;
    request.field_violations = violations;
    add(d, URL_PREFIX "google.rpc.BadRequest", &request.base);
}

static void add_retry_info(struct details *d, uint32_t retry_ms) {
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    delay.seconds = retry_ms / 1000;
    delay.nanos = (int32_t)(retry_ms % 1000) * 1000000;
    Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
    retry.retry_delay = &delay;
    add(d, URL_PREFIX "google.rpc.RetryInfo", &retry.base);
}

static void collect(struct details *d, const struct msg_status *status) {
    d->count = 0;
    if (has(status->reason)) add_error_info(d, status->reason);
    if (has(status->field)) add_bad_request(d, status->field, status->field_description);
    if (status->retry_ms > 0) add_retry_info(d, status->retry_ms);
}

/* --- writing */

static size_t varint_len(uint64_t v) {
    size_t n = 1;
    for (; v >= 0x80; v >>= 7) n++;
    return n;
}

static void put_field(struct buf *out, uint8_t tag, struct bytes value) {
    buf_put_u8(out, tag);
    varint_put(out, value.len);
    buf_put(out, value);
}

static void put_detail(struct buf *out, struct bytes url, struct bytes value) {
    buf_put_u8(out, TAG_DETAIL);
    varint_put(out, 1 + varint_len(url.len) + url.len + 1 + varint_len(value.len) + value.len);
    put_field(out, TAG_URL, url);
    put_field(out, TAG_VALUE, value);
}

void msg_put_status(struct buf *out, const struct msg_status *status) {
    ASSERT(status->code >= 0);
    char message[TEXT_MAX + 1];
    size_t len = clean(status->message, message);
    if (status->code != 0) {
        buf_put_u8(out, TAG_CODE);
        varint_put(out, (uint64_t)status->code);
    }
    if (len > 0) put_field(out, TAG_MESSAGE, (struct bytes){(const uint8_t *)message, len});
    struct details d;
    collect(&d, status);
    for (size_t i = 0; i < d.count; i++) {
        put_detail(out, bytes_of_cstr(d.items[i].url),
                   (struct bytes){d.items[i].octets, d.items[i].len});
    }
}

/* put_unpadded: Connect asks for base64 without padding. */
static void put_unpadded(struct buf *out, struct bytes in) {
    base64_put(out, in);
    while (!out->failed && out->len > 0 && out->data[out->len - 1] == '=') out->len--;
}

void msg_put_connect_details(struct buf *out, const struct msg_status *status) {
    struct details d;
    collect(&d, status);
    buf_put_cstr(out, "[");
    for (size_t i = 0; i < d.count; i++) {
        buf_printf(out, "%s{\"type\":\"%s\",\"value\":\"", i == 0 ? "" : ",",
                   d.items[i].url + sizeof URL_PREFIX - 1);
        put_unpadded(out, (struct bytes){d.items[i].octets, d.items[i].len});
        buf_put_cstr(out, "\"}");
    }
    buf_put_cstr(out, "]");
}

/* --- reading */

static void get_error_info(const Google__Rpc__ErrorInfo *info, struct msg_status *out) {
    if (strcmp(info->domain, ERROR_DOMAIN) == 0 && !has(out->reason)) out->reason = info->reason;
}

static void get_bad_request(const Google__Rpc__BadRequest *request, struct msg_status *out) {
    if (request->n_field_violations == 0 || has(out->field)) return;
    out->field = request->field_violations[0]->field;
    out->field_description = request->field_violations[0]->description;
}

static void get_retry_info(const Google__Rpc__RetryInfo *retry, struct msg_status *out) {
    const Google__Protobuf__Duration *delay = retry->retry_delay;
    if (delay == NULL || out->retry_ms > 0 || delay->seconds < 0 || delay->nanos < 0) return;
    if (delay->seconds > RETRY_MS_MAX / 1000 - 1 || delay->nanos > 999999999) return;
    out->retry_ms = (uint32_t)(delay->seconds * 1000 + delay->nanos / 1000000);
}

static struct error *get_detail(const struct msg_schema *s, struct arena *arena,
                                const Google__Protobuf__Any *any, struct msg_status *out) {
    const struct msg_type *type = msg_detail_type(s, bytes_of_cstr(any->type_url));
    if (type == NULL) return NULL;
    ProtobufCMessage *m = NULL;
    TRY(msg_unpack(s, arena, type->pb, (struct bytes){any->value.data, any->value.len},
                   &MSG_LIMITS_DEFAULT, &m));
    if (type->pb == &google__rpc__error_info__descriptor) {
        get_error_info((const Google__Rpc__ErrorInfo *)m, out);
    } else if (type->pb == &google__rpc__bad_request__descriptor) {
        get_bad_request((const Google__Rpc__BadRequest *)m, out);
    } else {
        get_retry_info((const Google__Rpc__RetryInfo *)m, out);
    }
    return NULL;
}

struct error *msg_get_status(const struct msg_schema *s, struct arena *arena, struct bytes wire,
                             struct msg_status *out) {
    ProtobufCMessage *m = NULL;
    TRY(msg_unpack(s, arena, &google__rpc__status__descriptor, wire, &MSG_LIMITS_DEFAULT, &m));
    const Google__Rpc__Status *status = (const Google__Rpc__Status *)m;
    struct msg_status got = {.code = status->code,
                             .message = bytes_of_cstr(status->message),
                             .reason = "",
                             .field = "",
                             .field_description = ""};
    for (size_t i = 0; i < status->n_details; i++) {
        TRY(get_detail(s, arena, status->details[i], &got));
    }
    *out = got;
    return NULL;
}
