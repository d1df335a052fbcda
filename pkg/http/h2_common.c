#include "http/h2_common.h"

#include "base/alloc.h"

nghttp2_nv h2_nv(struct bytes name, struct bytes value, bool once) {
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.data, /* only read; nghttp2's type lacks the const */
        .value = (uint8_t *)(uintptr_t)value.data,
        .namelen = name.len,
        .valuelen = value.len,
        .flags = once ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
    };
}

static void *mem_malloc(size_t size, void *user) {
    (void)user;
    return alloc_resize(NULL, size == 0 ? 1 : size);
}

static void mem_free(void *p, void *user) {
    (void)user;
    alloc_free(p);
}

static void *mem_calloc(size_t count, size_t size, void *user) {
    (void)user;
    return alloc_zero(count, size);
}

static void *mem_realloc(void *p, size_t size, void *user) {
    (void)user;
    return alloc_resize(p, size == 0 ? 1 : size);
}

nghttp2_mem h2_mem(void) {
    return (nghttp2_mem){NULL, mem_malloc, mem_free, mem_calloc, mem_realloc};
}
