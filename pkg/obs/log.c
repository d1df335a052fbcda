/* One write(2) a line, so that lines of several threads do not mix. The rate limit is a fixed
 * table by event name (pointer of the literal): a flood of one event cannot hide the others. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/codec.h"
#include "json/json.h"
#include "obs/obs.h"

#define LINE_MAX_OCTETS ((size_t)4096)
#define FIELD_MAX_OCTETS ((size_t)512)
#define EVENTS_MAX 64
#define LINES_PER_SECOND 100

static _Atomic int min_level = LOG_INFO;
static _Atomic int log_fd = STDERR_FILENO;

/* guarded by: rate_lock (held for a table look-up, never across I/O) */
static pthread_mutex_t rate_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *event;
    uint64_t second;
    uint32_t lines;
    uint64_t dropped; /* since the last line that went out */
} rates[EVENTS_MAX];

/* Whether a line of `event` may go out now; *dropped is how many did not since the last one. */
static bool may_write(const char *event, uint64_t *dropped) {
    uint64_t second = clock_mono_us(&clock_system) / 1000000;
    bool may = true;
    *dropped = 0;
    (void)pthread_mutex_lock(&rate_lock);
    for (size_t i = 0; i < EVENTS_MAX; i++) {
        if (rates[i].event != NULL && rates[i].event != event) continue;
        if (rates[i].event == NULL || rates[i].second != second) rates[i].lines = 0;
        rates[i].event = event;
        rates[i].second = second;
        may = rates[i].lines < LINES_PER_SECOND;
        if (may) {
            rates[i].lines++;
            *dropped = rates[i].dropped;
            rates[i].dropped = 0;
        } else {
            rates[i].dropped++;
        }
        break;
    }
    (void)pthread_mutex_unlock(&rate_lock);
    return may;
}

static struct bytes cut(struct bytes b) {
    if (b.len <= FIELD_MAX_OCTETS) return b;
    size_t len = FIELD_MAX_OCTETS; /* not inside a UTF-8 sequence */
    while (len > 0 && (b.data[len] & 0xC0) == 0x80) len--;
    return (struct bytes){b.data, len};
}

static void put_text(struct json_writer *w, struct bytes b) {
    b = cut(b);
    if (bytes_are_utf8(b))
        json_put_string(w, b);
    else
        json_put_base64(w, b);
}

static void put_error(struct json_writer *w, const struct error *err) {
    char text[FIELD_MAX_OCTETS];
    error_text(err, text, sizeof text);
    json_object_begin(w);
    json_key(w, "code");
    json_put_cstr(w, error_code_name(error_code(err)));
    json_key(w, "text");
    put_text(w, bytes_of_cstr(text));
    if (error_reason(err) != REASON_NONE) {
        json_key(w, "reason");
        json_put_cstr(w, reason_name(error_reason(err)));
    }
    json_key(w, "file");
    json_put_cstr(w, error_file(err));
    json_key(w, "line");
    json_put_int(w, error_line(err));
    json_object_end(w);
}

static void put_fields(struct json_writer *w, const struct log_field *f) {
    for (; f->type != LOG_FIELD_END; f++) {
        if (f->type == LOG_FIELD_ERR && f->err == NULL) continue;
        json_key(w, f->name);
        switch (f->type) {
            case LOG_FIELD_STR:
                put_text(w, f->str);
                break;
            case LOG_FIELD_U64:
                json_put_uint(w, f->u64);
                break;
            case LOG_FIELD_ERR:
                put_error(w, f->err);
                break;
            case LOG_FIELD_END:
                break;
        }
    }
}

static void write_line(struct bytes line) {
    size_t done = 0;
    while (done < line.len) {
        ssize_t n = write(atomic_load(&log_fd), line.data + done, line.len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* nowhere to say that the log cannot be written */
        done += (size_t)n;
    }
}

void log_event_fields(enum log_level level, const char *event, const struct log_field *fields) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    uint64_t dropped;
    if ((int)level < atomic_load_explicit(&min_level, memory_order_relaxed)) return;
    if (!may_write(event, &dropped)) {
        metric_add(METRIC_LOG_LINES_DROPPED, 1);
        return;
    }
    struct buf line;
    buf_init(&line, LINE_MAX_OCTETS);
    struct json_writer w = json_writer_of(&line);
    json_object_begin(&w);
    json_key(&w, "time");
    buf_put_u8(&line, '"');
    time_put(&line, clock_unix_ms(&clock_system));
    buf_put_cstr(&line, "\"");
    w.comma = true;
    json_key(&w, "level");
    json_put_cstr(&w, names[level]);
    json_key(&w, "event");
    json_put_cstr(&w, event);
    put_fields(&w, fields);
    if (dropped > 0) {
        json_key(&w, "lines_dropped");
        json_put_uint(&w, dropped);
    }
    json_object_end(&w);
    buf_put_u8(&line, '\n');
    struct error *err = buf_finish(&line, "log line");
    if (err == NULL)
        write_line(buf_bytes(&line));
    else
        error_ignore(err, "a line over its bound cannot be logged; fields are cut before");
    buf_done(&line);
}

void log_set_level(enum log_level level) { atomic_store(&min_level, (int)level); }
void log_set_fd(int fd) { atomic_store(&log_fd, fd); }
