/* fuzz_checkpoint: a body without extensions that is accepted is laid out as the very octets that
 * were read; with extensions allowed, everything else that was accepted still is. */
#include <stdlib.h>

#include "note/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    struct checkpoint plain;
    struct checkpoint loose;
    CLEANUP(error_freep) struct error *err = checkpoint_parse(in, false, &plain);
    CLEANUP(error_freep) struct error *loose_err = checkpoint_parse(in, true, &loose);
    struct buf out;
    buf_init(&out, size + 128);
    if (loose_err == NULL) {
        checkpoint_put_body(&out, loose.origin, loose.size, &loose.root);
        CHECK(bytes_start_with(in, buf_bytes(&out)) && loose.origin.len > 0);
    }
    if (err == NULL) CHECK(loose_err == NULL && bytes_equal(buf_bytes(&out), in));
    buf_done(&out);
    return 0;
}
