/* json_ranges: what the JSON forms of Timestamp and Duration can say (timestamp.proto,
 * duration.proto): years 1 to 9999, and about 10,000 years either way. */
#ifndef MSG_JSON_RANGES_H
#define MSG_JSON_RANGES_H

#include <stdint.h>

#define TIMESTAMP_SECONDS_MIN INT64_C(-62135596800)
#define TIMESTAMP_SECONDS_MAX INT64_C(253402300799)
#define DURATION_SECONDS_MAX INT64_C(315576000000)
#define NANOS_MAX 999999999

#endif
