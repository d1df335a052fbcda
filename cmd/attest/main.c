/* attest: the command line of attestd. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "file/file.h"

static bool shows_colours(int fd) {
    const char *term = getenv("TERM");
    const char *no = getenv("NO_COLOR");
    if (no != NULL && no[0] != '\0') return false;
    return isatty(fd) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

int main(int argc, char **argv) {
    struct error *err = file_hold_standard();
    if (err != NULL) {
        error_ignore(err, "there may be nowhere to say it");
        return 2;
    }
    const struct client_io io = {.in = stdin,
                                 .out = stdout,
                                 .err = stderr,
                                 .out_colour = shows_colours(STDOUT_FILENO),
                                 .err_colour = shows_colours(STDERR_FILENO)};
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error that is reported, exit 2 */
    return client_main(argc, argv, &io);
}
