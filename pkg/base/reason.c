#include "base/reason.h"

static const struct {
    const char *name;
    int code;
    const char *todo;
} reasons[REASON_COUNT_] = {[REASON_NONE] = {"", 2, ""},
#define REASON_ROW(name, code, todo) [REASON_##name] = {#name, code, todo},
                            REASON_TABLE(REASON_ROW)
#undef REASON_ROW
};

const char *reason_name(enum reason reason) { return reasons[reason].name; }
int reason_code(enum reason reason) { return reasons[reason].code; }
const char *reason_todo(enum reason reason) { return reasons[reason].todo; }
