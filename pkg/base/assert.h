/* assert: for our own mistakes only, never for input. On in release: a broken invariant in a
 * signing service must stop the process, not limp on. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

/* assert_fail prints one line to standard error and aborts. */
_Noreturn void assert_fail(const char *expr, const char *file, int line);

#define ASSERT(expr) ((expr) ? (void)0 : assert_fail(#expr, __FILE__, __LINE__))

#endif
