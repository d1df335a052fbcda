/* json_in: reading JSON, the part without recursion: scalars and times. Inside msg only. */
#ifndef MSG_JSON_IN_H
#define MSG_JSON_IN_H

#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "json/json.h"
#include "msg/internal.h"

struct json_in {
    const struct msg_schema *schema;
    struct arena *arena;
};

/* json_in_refuse is INVALID_ARGUMENT MALFORMED_MESSAGE; callers put the path in front. */
MUST_USE struct error *json_in_refuse(const char *what);

/* json_in_string copies a string that has no NUL. */
MUST_USE struct error *json_in_string(struct json_in *in, struct bytes string, char **out);

/* json_in_scalar reads one value of a field that is no message into its place. */
MUST_USE struct error *json_in_scalar(struct json_in *in, const ProtobufCFieldDescriptor *field,
                                      const struct json_value *json, void *member);

/* json_in_as_double gives the nearest double of a JSON number. */
double json_in_as_double(const struct json_value *number);

MUST_USE struct error *json_in_timestamp(const struct json_value *json,
                                         Google__Protobuf__Timestamp *out);
MUST_USE struct error *json_in_duration(const struct json_value *json,
                                        Google__Protobuf__Duration *out);

#endif
