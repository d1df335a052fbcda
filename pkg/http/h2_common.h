/* What the server's and the client's side of HTTP/2 share. */
#ifndef HTTP_H2_COMMON_H
#define HTTP_H2_COMMON_H

#include <nghttp2/nghttp2.h>

#include "http/http.h"

/* h2_nv views a field for nghttp2, which copies it. */
nghttp2_nv h2_nv(struct bytes name, struct bytes value, bool once);

/* h2_mem makes nghttp2 take its memory from base/alloc, so that tests can make it run out. */
nghttp2_mem h2_mem(void);

#endif
