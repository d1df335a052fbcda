/*
 * A page token is base64 of: 1 octet version, u64be tree size, u64be next, 16 octets of
 * HMAC-SHA-256 over these and the query's hash, under a key that is random a process.
 */
#include "base/reader.h"
#include "codec/codec.h"
#include "service/internal.h"

#define PAGE_VERSION 1
#define PAGE_MAC_LEN 16
#define PAGE_LEN (1 + 8 + 8 + PAGE_MAC_LEN)

static struct sha256 mac_of(const struct service *s, struct bytes head,
                            const struct sha256 *query) {
    uint8_t octets[17 + 32];
    memcpy(octets, head.data, 17);
    memcpy(octets + 17, query->octets, 32);
    return hmac_sha256((struct bytes){s->page_key, sizeof s->page_key},
                       (struct bytes){octets, sizeof octets});
}

struct error *page_put(const struct service *s, struct arena *arena, const struct page *page,
                       struct text *out) {
    struct buf raw, text;
    buf_init_arena(&raw, arena, PAGE_LEN);
    buf_put_u8(&raw, PAGE_VERSION);
    buf_put_u64be(&raw, page->tree_size);
    buf_put_u64be(&raw, page->next);
    TRY(buf_finish(&raw, "page token"));
    struct sha256 mac = mac_of(s, buf_bytes(&raw), &page->query);
    buf_put(&raw, (struct bytes){mac.octets, PAGE_MAC_LEN});
    buf_init_arena(&text, arena, base64_len(PAGE_LEN));
    base64_put(&text, buf_bytes(&raw));
    TRY(buf_finish(&raw, "page token"));
    TRY(buf_finish(&text, "page token"));
    *out = (struct text){(const char *)text.data, text.len};
    return NULL;
}

static struct error *refuse(struct error *err) {
    error_ignore(err, "whatever was wrong with it, the token is not one of ours");
    return error_reason_new(REASON_PAGE_TOKEN_INVALID,
                            "the page token is not one of this server's for this query");
}

struct error *page_parse(const struct service *s, struct arena *arena, struct text token,
                         const struct sha256 *query, struct page *out) {
    struct bytes raw;
    struct error *err = base64_decode(arena, bytes_of_text(token), BASE64_STANDARD, &raw);
    if (err != NULL) return refuse(err);
    if (raw.len != PAGE_LEN || raw.data[0] != PAGE_VERSION) return refuse(NULL);
    struct sha256 mac = mac_of(s, raw, query);
    if (!secret_equal((struct bytes){mac.octets, PAGE_MAC_LEN},
                      (struct bytes){raw.data + 17, PAGE_MAC_LEN}))
        return refuse(NULL);
    struct reader r = reader_of((struct bytes){raw.data + 1, 16});
    struct page page = {.query = *query};
    page.tree_size = reader_u64be(&r, "tree size");
    page.next = reader_u64be(&r, "next");
    TRY(reader_finish(&r, "page token"));
    *out = page;
    return NULL;
}

static struct sha256 tokens_query(void) { return sha256_of(BYTES_LIT("tokens")); }

struct error *service_put_page_token(struct service *s, struct arena *arena, uint64_t after,
                                     struct text *out) {
    const struct page page = {.next = after, .query = tokens_query()};
    return page_put(s, arena, &page, out);
}

struct error *service_read_page_token(struct service *s, struct arena *arena, struct text token,
                                      uint64_t *out_after) {
    const struct sha256 query = tokens_query();
    struct page page;
    TRY(page_parse(s, arena, token, &query, &page));
    *out_after = page.next;
    return NULL;
}
