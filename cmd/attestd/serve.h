/* serve: `attestd serve`. */
#ifndef ATTESTD_SERVE_H
#define ATTESTD_SERVE_H

/* serve_main runs the server; argv[0] is "serve". Returns the exit code (INTERFACE: 0 clean, 2
 * usage or configuration, 3 refuses what is in the data directory, 1 anything else). */
int serve_main(int argc, char **argv);

#endif
