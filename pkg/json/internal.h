/* internal: what the C++ shim (shim.cc) gives to the rest of json/, and takes from it. Included by
 * both languages, inside extern "C". */
#ifndef JSON_INTERNAL_H
#define JSON_INTERNAL_H

#include "json/json.h"

enum json_shim_result {
    JSON_SHIM_MALFORMED = 0,
    JSON_SHIM_DUPLICATE, /* out_why is the name, in the arena */
    JSON_SHIM_NO_MEMORY,
    JSON_SHIM_OK,
};

/* json_shim_parse builds the tree of `text` in `arena`. Where it is MALFORMED or DUPLICATE,
 * *out_why says what, for a person; `*out` is written on OK alone. */
enum json_shim_result json_shim_parse(struct arena *arena, struct bytes text, size_t depth_max,
                                      struct json_value *out, struct bytes *out_why);

#define JSON_SHORTEST_MAX 32

/* json_shim_shortest writes the fewest digits that read back as the finite `v`, nearest first, as
 * "[-]d[.ddd]e±dd", and returns how many octets that are. No NUL. */
size_t json_shim_shortest(double v, char out[JSON_SHORTEST_MAX]);

/* json_find_duplicate answers whether two members have one name. False where memory is out. */
MUST_USE bool json_find_duplicate(const struct json_member *members, size_t count,
                                  const struct json_member **out_duplicate);

/* json_compare_utf16 orders UTF-8 strings by their UTF-16 code units (RFC 8785, 3.2.3). */
int json_compare_utf16(struct bytes a, struct bytes b);

#endif
