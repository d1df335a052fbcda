/* notify: tells the service manager about the process's state (sd_notify(3)'s protocol). */
#ifndef ATTESTD_NOTIFY_H
#define ATTESTD_NOTIFY_H

/* notify sends `state` ("READY=1") to $NOTIFY_SOCKET; does nothing where that is not set. What goes
 * wrong is passed over: nobody waits for an answer. */
void notify(const char *state);

#endif
