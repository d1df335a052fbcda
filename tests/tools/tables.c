/* tables config|reasons: prints, as Markdown, what docs/operations.md shows of the code's tables,
 * so that the page cannot drift from the code (tests/tidy/docs.sh). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"

static void put_reasons(struct buf *out) {
    buf_put_cstr(out, "| reason | code | what to do |\n|---|---|---|\n");
    for (int r = 1; r < REASON_COUNT_; r++) {
        enum reason reason = (enum reason)r;
        buf_printf(out, "| `%s` | %s | %s |\n", reason_name(reason),
                   error_code_name((enum error_code)reason_code(reason)), reason_advice(reason));
    }
}

int main(int argc, char **argv) {
    struct buf out;
    buf_init(&out, (size_t)1 << 20);
    if (argc == 2 && strcmp(argv[1], "config") == 0)
        config_put_reference(&out);
    else if (argc == 2 && strcmp(argv[1], "reasons") == 0)
        put_reasons(&out);
    else
        return EXIT_FAILURE;
    struct error *err = buf_finish(&out, "table");
    if (err == NULL) (void)fwrite(out.data, 1, out.len, stdout);
    int status = err == NULL && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    error_free(err);
    buf_done(&out);
    return status;
}
