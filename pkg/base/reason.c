#include "base/reason.h"

static const struct {
    const char *name;
    int code;
    const char *advice;
} reasons[REASON_COUNT_] = {[REASON_NONE] = {"", 2, ""},
#define REASON_ROW(name, code, advice) [REASON_##name] = {#name, code, advice},
                            REASON_TABLE(REASON_ROW)
#undef REASON_ROW
};

const char *reason_name(enum reason reason) { return reasons[reason].name; }
int reason_code(enum reason reason) { return reasons[reason].code; }
const char *reason_advice(enum reason reason) { return reasons[reason].advice; }
