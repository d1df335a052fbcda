/*
 * Where SLSA provenance says what it was built from. Producers do not agree; these places are read,
 * in this order (P is buildDefinition.externalParameters):
 *
 *   P.repository, P.ref                              ours; also with the ref in the repository
 *   P.source: "<uri>", or {uri | repository, ref}    GitLab; slsa-github-generator
 *   P.workflow.{repository, ref}                     GitHub Actions
 *   P.buildConfigSource.{repository, ref}            Google Cloud Build
 *   P.configSource.{uri, ref}                        BuildKit
 *   resolvedDependencies[].uri beginning "git+"      everyone
 *
 * A uri is "<repository>@<ref>[#<path>]" (SPDX) or "<repository>#<ref>[:<path>]" (BuildKit). The
 * first place that names a repository decides; the ref is the first one given for that repository
 * or for none. Dependencies alone decide only if they name one repository (and one ref): a
 * dependency is not a source, so among several we cannot tell: ambiguous.
 *
 * All of it is the submitter's word until identities prove it: assurance "declared".
 */
#include "policy/internal.h"

struct claim {
    struct text repository;
    struct text ref;
};

static struct text string_at(const struct json_value *in, const char *name) {
    struct text t = {0};
    (void)text_of_bytes(json_string(json_get(in, name)), &t); /* octets with NUL: not given */
    return t;
}

static struct text before(struct text t, size_t at) { return (struct text){t.data, at}; }

static struct text behind(struct text t, size_t at) {
    return (struct text){t.data + at + 1, t.len - at - 1};
}

static bool find(struct text t, char c, size_t from, size_t *out) {
    const char *p = from >= t.len ? NULL : memchr(t.data + from, c, t.len - from);
    if (p == NULL) return false;
    *out = (size_t)(p - t.data);
    return true;
}

/* Where the path begins: an "@" before it belongs to "git@host". */
static size_t path_begin(struct text uri) {
    size_t colon = 0, slash = 0;
    bool scheme = find(uri, ':', 0, &colon) && uri.len - colon > 3 && uri.data[colon + 1] == '/' &&
                  uri.data[colon + 2] == '/';
    return find(uri, '/', scheme ? colon + 3 : 0, &slash) ? slash : uri.len;
}

static struct claim split(struct text uri) {
    struct claim c = {.repository = uri};
    struct text fragment = {0};
    size_t at = 0, last = 0;
    if (find(uri, '#', 0, &at)) {
        fragment = behind(uri, at);
        c.repository = before(uri, at);
    }
    bool found = false;
    for (size_t from = path_begin(c.repository); find(c.repository, '@', from, &at);
         from = at + 1) {
        last = at;
        found = true;
    }
    if (found) {
        c.ref = behind(c.repository, last);
        c.repository = before(c.repository, last);
    } else if (fragment.len > 0) {
        c.ref = find(fragment, ':', 0, &at) ? before(fragment, at) : fragment;
    }
    return c;
}

static struct claim claim_of(struct text repository, struct text ref) {
    struct claim c = {0};
    if (repository.len > 0) c = split(repository);
    if (ref.len > 0) c.ref = ref;
    return c;
}

static struct text without_git(struct text repository) {
    if (!bytes_start_with(bytes_of_text(repository), BYTES_LIT("git+"))) return repository;
    return (struct text){repository.data + 4, repository.len - 4};
}

static bool same_repository(struct text a, struct text b) {
    return text_equal(without_git(a), without_git(b));
}

bool source_repository_matches(struct text glob, struct text repository) {
    return policy_glob_match(bytes_of_text(without_git(glob)),
                             bytes_of_text(without_git(repository)));
}

/* Takes what `c` adds to what earlier places said. */
static void take(struct declared_source *s, struct claim c) {
    if (s->repository.len == 0) s->repository = c.repository;
    bool same = c.repository.len == 0 || same_repository(c.repository, s->repository);
    if (s->ref.len == 0 && same) s->ref = c.ref;
}

static struct claim claim_at(const struct json_value *parameters, const char *name) {
    const struct json_value *v = json_get(parameters, name);
    struct text whole = {0};
    (void)text_of_bytes(json_string(v), &whole);
    if (whole.len > 0) return split(whole);
    struct text uri = string_at(v, "uri");
    return claim_of(uri.len > 0 ? uri : string_at(v, "repository"), string_at(v, "ref"));
}

static void take_dependencies(struct declared_source *s, const struct json_value *list) {
    if (list == NULL || list->type != JSON_ARRAY) return;
    bool named = s->repository.len > 0, has_ref = s->ref.len > 0;
    for (size_t i = 0; i < list->array.count; i++) {
        struct text uri = string_at(&list->array.items[i], "uri");
        if (!bytes_start_with(bytes_of_text(uri), BYTES_LIT("git+"))) continue;
        struct claim c = split(uri);
        bool other = s->repository.len > 0 && !same_repository(c.repository, s->repository);
        if (other && named) continue; /* a dependency, not the source */
        bool other_ref = !has_ref && s->ref.len > 0 && c.ref.len > 0 && !text_equal(c.ref, s->ref);
        if (other || other_ref) s->ambiguous = true;
        take(s, c);
    }
}

struct declared_source source_of(const struct json_value *predicate) {
    const struct json_value *p =
        json_at(predicate, BYTES_LIT("buildDefinition.externalParameters"));
    struct declared_source s = {0};
    take(&s, claim_of(string_at(p, "repository"), string_at(p, "ref")));
    take(&s, claim_at(p, "source"));
    take(&s, claim_at(p, "workflow"));
    take(&s, claim_at(p, "buildConfigSource"));
    take(&s, claim_at(p, "configSource"));
    take_dependencies(&s, json_at(predicate, BYTES_LIT("buildDefinition.resolvedDependencies")));
    if (s.repository.len == 0) s.ref = (struct text){0};
    return s;
}
