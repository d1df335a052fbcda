/*
 * Filling an empty DATA, so that a stop at any point leaves it empty or whole:
 *
 *   1 everything is built and synced in DATA/staging.tmp     if we stop: no instance.json in it, so
 *                                                            the next one wipes it and begins anew
 *   2 staging.tmp/instance.json is written, the last file    if we stop: it is whole, and whoever
 *                                                            comes next moves it out
 *   3 the entries move to DATA, instance.json the last       the same: what has moved is not there
 *                                                            to be moved any more
 *   4 staging.tmp is removed                                 the next open removes it
 *
 * So DATA/instance.json says that all the rest is there.
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>

#include "instance/internal.h"

#define STAGE "staging.tmp"

/* In the order of moving. A folder that may be there already was mounted there by the operator. */
static const struct {
    const char *name;
    bool is_folder;
    bool may_be_there;
} entries[] = {{SECRET_FILE, false, false}, {"keys", true, false},     {"tls", true, false},
               {"client", true, false},     {"policies", true, true},  {"anchor", false, false},
               {"db", true, false},         {FACTS_FILE, false, false}};

#define ENTRY_COUNT (sizeof entries / sizeof *entries)

struct error *stage_look(const char *data, enum stage_state *out) {
    struct file_path stage, facts;
    bool exists = false, whole = false;
    TRY(file_path_join(data, STAGE, &stage));
    TRY(file_path_join(stage.text, FACTS_FILE, &facts));
    TRY(file_exists(stage.text, &exists));
    TRY(file_exists(facts.text, &whole));
    *out = whole ? STAGE_WHOLE : exists ? STAGE_UNFINISHED : STAGE_NONE;
    return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

struct error *tree_remove(const char *path) {
    const int descriptors = 16;
    if (nftw(path, remove_one, descriptors, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 &&
        errno != ENOENT)
        return file_errno(errno, "remove", path);
    return NULL;
}

struct error *stage_begin(const char *data, struct file_path *out) {
    struct file_path stage, path;
    TRY(file_path_join(data, STAGE, &stage));
    TRY(tree_remove(stage.text));
    TRY(file_make_dir(stage.text, 0700));
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        if (!entries[i].is_folder) continue;
        TRY(file_path_join(stage.text, entries[i].name, &path));
        TRY(file_make_dir(path.text, 0700));
    }
    *out = stage;
    return NULL;
}

static struct error *move_out(const char *data, const char *stage, size_t i) {
    struct file_path from, to;
    bool is_here = false, is_there = false;
    TRY(file_path_join(stage, entries[i].name, &from));
    TRY(file_path_join(data, entries[i].name, &to));
    TRY(file_exists(from.text, &is_here));
    TRY(file_exists(to.text, &is_there));
    if (!is_here || (is_there && entries[i].may_be_there)) return NULL;
    if (is_there) return error_new(ERROR_FAILED_PRECONDITION, "%s is in the way", to.text);
    return rename(from.text, to.text) == 0 ? NULL : file_errno(errno, "move", from.text);
}

struct error *stage_finish(const char *data) {
    struct file_path stage;
    TRY(file_path_join(data, STAGE, &stage));
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        bool last = i + 1 == ENTRY_COUNT;
        if (last) TRY(file_sync_dir(data)); /* the others are there before it says so */
        TRY(move_out(data, stage.text, i));
    }
    TRY(file_sync_dir(data));
    return stage_discard(data);
}

struct error *stage_discard(const char *data) {
    struct file_path stage;
    TRY(file_path_join(data, STAGE, &stage));
    TRY(tree_remove(stage.text));
    return file_sync_dir(data);
}

/* --- what else is there */

/* What an empty DATA may hold: a file system's own, and folders that the operator put there. */
static bool is_harmless(const char *name) {
    static const char *const names[] = {".",          "..",       "lock",   STAGE,
                                        "lost+found", "policies", "backups"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static void dir_closep(DIR **dir) {
    if (*dir != NULL) (void)closedir(*dir);
}

struct error *data_is_foreign(const char *data, bool *out) {
    CLEANUP(dir_closep) DIR *dir = opendir(data);
    if (dir == NULL && errno != ENOENT) return file_errno(errno, "open", data);
    bool foreign = false;
    const struct dirent *e = NULL;
    do {
        errno = 0;
        e = dir == NULL ? NULL : readdir(dir);
        if (e == NULL && errno != 0) return file_errno(errno, "list", data);
        if (e != NULL) foreign = foreign || !is_harmless(e->d_name);
    } while (e != NULL);
    *out = foreign;
    return NULL;
}

struct error *instance_look(const char *data, enum instance_state *out) {
    struct file_path facts;
    bool present = false, foreign = false;
    enum stage_state stage = STAGE_NONE;
    TRY(file_path_join(data, FACTS_FILE, &facts));
    TRY(file_exists(facts.text, &present));
    TRY(stage_look(data, &stage));
    if (present || stage == STAGE_WHOLE) {
        *out = INSTANCE_PRESENT;
        return NULL;
    }
    TRY(data_is_foreign(data, &foreign));
    *out = foreign ? INSTANCE_FOREIGN : INSTANCE_EMPTY;
    return NULL;
}

struct error *data_must_be_empty(const char *data) {
    enum instance_state state = INSTANCE_EMPTY;
    TRY(instance_look(data, &state));
    if (state == INSTANCE_EMPTY) return NULL;
    return error_new(ERROR_FAILED_PRECONDITION, "%s %s: give an empty directory", data,
                     state == INSTANCE_FOREIGN ? "holds files that are not attestd's"
                                               : "holds an instance already");
}
