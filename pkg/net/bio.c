/* OpenSSL's socket BIO writes with write(2), which raises SIGPIPE on a closed connection; a library
 * has no business changing how the process treats signals, so this BIO uses MSG_NOSIGNAL. */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

#include "net/internal.h"

static struct bio_socket *socket_of(BIO *bio) { return BIO_get_data(bio); }

static int bio_write(BIO *bio, const char *data, int len) {
    BIO_clear_retry_flags(bio);
    if (len <= 0) return 0;
    ssize_t n = send(socket_of(bio)->fd, data, (size_t)len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    return (int)n;
}

static int bio_read(BIO *bio, char *data, int len) {
    BIO_clear_retry_flags(bio);
    if (len <= 0) return 0;
    struct bio_socket *s = socket_of(bio);
    if (s->left == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t n = recv(s->fd, data, (size_t)len < s->left ? (size_t)len : s->left, 0);
    if (n > 0) s->left -= (size_t)n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
    if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr) {
    (void)num;
    (void)ptr;
    switch (cmd) {
        case BIO_CTRL_FLUSH:
        case BIO_CTRL_DUP:
            return 1;
        case BIO_CTRL_EOF:
            return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
        default:
            return 0;
    }
}

BIO_METHOD *bio_method_new(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    if (m == NULL) return NULL;
    if (!BIO_meth_set_write(m, bio_write) || !BIO_meth_set_read(m, bio_read) ||
        !BIO_meth_set_ctrl(m, bio_ctrl)) {
        BIO_meth_free(m);
        return NULL;
    }
    return m;
}

BIO *bio_of_socket(const BIO_METHOD *method, struct bio_socket *socket) {
    BIO *bio = BIO_new(method);
    if (bio == NULL) return NULL;
    BIO_set_data(bio, socket);
    BIO_set_init(bio, 1);
    return bio;
}
