/* Days are counted by the proleptic Gregorian calendar from 1970-01-01, in 400-year eras that begin
 * on 1 March, so that the leap day is the last day of its year. */
#include "codec/codec.h"

#define SECONDS_MIN (-62135596800LL) /* 0001-01-01T00:00:00Z */
#define SECONDS_MAX 253402300799LL   /* 9999-12-31T23:59:59Z */

struct civil {
    int64_t year;
    unsigned month, day, hour, minute, second;
};

static int64_t days_of(int64_t year, unsigned month, unsigned day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct civil civil_of(int64_t seconds) {
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    int64_t rest = seconds - days * 86400;
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    struct civil c = {
        .year = year + era * 400 + (month >= 10),
        .month = (unsigned)(month < 10 ? month + 3 : month - 9),
        .day = (unsigned)(of_year - (153 * month + 2) / 5 + 1),
        .hour = (unsigned)(rest / 3600),
        .minute = (unsigned)(rest / 60 % 60),
        .second = (unsigned)(rest % 60),
    };
    return c;
}

static void put_digits(struct buf *out, uint64_t v, size_t digits) {
    uint8_t text[9];
    for (size_t i = digits; i > 0; i--, v /= 10) text[i - 1] = (uint8_t)('0' + v % 10);
    buf_put(out, (struct bytes){text, digits});
}

void time_put_nanos(struct buf *out, int64_t seconds, int32_t nanos) {
    if (seconds < SECONDS_MIN) seconds = SECONDS_MIN;
    if (seconds > SECONDS_MAX) seconds = SECONDS_MAX;
    if (nanos < 0 || nanos > 999999999) nanos = 0;
    struct civil c = civil_of(seconds);
    put_digits(out, (uint64_t)c.year, 4);
    buf_put_u8(out, '-');
    put_digits(out, c.month, 2);
    buf_put_u8(out, '-');
    put_digits(out, c.day, 2);
    buf_put_u8(out, 'T');
    put_digits(out, c.hour, 2);
    buf_put_u8(out, ':');
    put_digits(out, c.minute, 2);
    buf_put_u8(out, ':');
    put_digits(out, c.second, 2);
    if (nanos != 0) {
        buf_put_u8(out, '.');
        if (nanos % 1000000 == 0)
            put_digits(out, (uint64_t)(nanos / 1000000), 3);
        else if (nanos % 1000 == 0)
            put_digits(out, (uint64_t)(nanos / 1000), 6);
        else
            put_digits(out, (uint64_t)nanos, 9);
    }
    buf_put_u8(out, 'Z');
}

void time_put(struct buf *out, int64_t unix_ms) {
    int64_t seconds = unix_ms / 1000 - (unix_ms % 1000 < 0);
    time_put_nanos(out, seconds, (int32_t)(unix_ms - seconds * 1000) * 1000000);
}

/* Takes exactly `digits` decimal digits off `*in`; false if they are not there. */
static bool take_digits(struct bytes *in, size_t digits, unsigned *out) {
    unsigned v = 0;
    if (in->len < digits) return false;
    for (size_t i = 0; i < digits; i++) {
        if (in->data[i] < '0' || in->data[i] > '9') return false;
        v = v * 10 + (unsigned)(in->data[i] - '0');
    }
    *in = (struct bytes){in->data + digits, in->len - digits};
    *out = v;
    return true;
}

static bool take_octet(struct bytes *in, uint8_t want) {
    if (in->len == 0 || in->data[0] != want) return false;
    *in = (struct bytes){in->data + 1, in->len - 1};
    return true;
}

static bool take_fraction(struct bytes *in, int32_t *nanos) {
    *nanos = 0;
    if (!take_octet(in, '.')) return true;
    int32_t scale = 100000000;
    size_t digits = 0;
    for (unsigned d; take_digits(in, 1, &d); digits++, scale /= 10) *nanos += (int32_t)d * scale;
    return digits > 0 && digits <= 9; /* finer ones would be lost without a word */
}

static bool take_offset(struct bytes *in, int64_t *seconds) {
    *seconds = 0;
    if (take_octet(in, 'Z') || take_octet(in, 'z')) return true;
    bool minus = take_octet(in, '-');
    unsigned hour, minute;
    if (!minus && !take_octet(in, '+')) return false;
    if (!take_digits(in, 2, &hour) || !take_octet(in, ':') || !take_digits(in, 2, &minute))
        return false;
    if (hour > 23 || minute > 59) return false;
    *seconds = (minus ? -1 : 1) * (int64_t)(hour * 3600 + minute * 60);
    return true;
}

static bool date_exists(unsigned year, unsigned month, unsigned day) {
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year < 1 || month < 1 || month > 12 || day < 1) return false;
    return day <= days[month - 1] + (leap && month == 2);
}

/* SPEC rfc3339 5.6: "date-time = full-date "T" full-time". */
bool time_parse(struct bytes in, int64_t *out_unix_seconds, int32_t *out_nanos) {
    unsigned year, month, day, hour, minute, second;
    int32_t nanos;
    int64_t offset;
    if (!take_digits(&in, 4, &year) || !take_octet(&in, '-')) return false;
    if (!take_digits(&in, 2, &month) || !take_octet(&in, '-')) return false;
    if (!take_digits(&in, 2, &day)) return false;
    if (!take_octet(&in, 'T') && !take_octet(&in, 't')) return false;
    if (!take_digits(&in, 2, &hour) || !take_octet(&in, ':')) return false;
    if (!take_digits(&in, 2, &minute) || !take_octet(&in, ':')) return false;
    if (!take_digits(&in, 2, &second)) return false;
    if (!take_fraction(&in, &nanos) || !take_offset(&in, &offset) || in.len != 0) return false;
    if (!date_exists(year, month, day) || hour > 23 || minute > 59 || second > 59) return false;

    int64_t seconds = days_of(year, month, day) * 86400 - offset;
    seconds += (int64_t)hour * 3600 + (int64_t)minute * 60 + (int64_t)second;
    if (seconds < SECONDS_MIN || seconds > SECONDS_MAX) return false;
    *out_unix_seconds = seconds;
    *out_nanos = nanos;
    return true;
}

bool duration_parse(struct bytes in, int64_t *out_ms) {
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const uint64_t max_ms = 100ULL * 366 * 86400000;
    uint64_t value = 0;
    size_t digits = 0;
    while (digits < in.len && in.data[digits] >= '0' && in.data[digits] <= '9') {
        value = value * 10 + (uint64_t)(in.data[digits++] - '0');
        if (value > max_ms) return false;
    }
    if (digits == 0) return false;
    struct bytes unit = {in.data + digits, in.len - digits};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!bytes_equal(unit, bytes_of_cstr(units[i].unit))) continue;
        if (value > max_ms / units[i].ms) return false;
        *out_ms = (int64_t)(value * units[i].ms);
        return true;
    }
    return false;
}
