/* attest model digest|manifest: what a model SUBJECT is. */
#include <stdio.h>

#include "client/internal.h"
#include "codec/codec.h"
#include "modeldir/modeldir.h"

#define MANIFEST_OCTETS_MAX ((size_t)512 << 20)

struct error *run_model_digest(struct cli *cli, int *out_exit) {
    const struct modeldir_options options = {0};
    struct model model;
    struct buf hex, json;
    TRY(modeldir_digest(&cli->arena, cli->args.words[0], &options, &model));
    buf_init_arena(&hex, &cli->arena, 128);
    buf_put_cstr(&hex, "sha256:");
    hex_put(&hex, sha256_bytes(&model.root));
    buf_init_arena(&json, &cli->arena, 1024);
    struct json_writer w = json_writer_of(&json);
    json_object_begin(&w);
    json_key(&w, "digest");
    json_put_string(&w, buf_bytes(&hex));
    json_key(&w, "files");
    json_put_u64_string(&w, model.count);
    json_key(&w, "bytes");
    json_put_u64_string(&w, model.octets);
    json_object_end(&w);
    TRY(buf_finish(&hex, "digest"));
    TRY(buf_finish(&json, "answer"));
    if (cli->json)
        cli_json(cli, buf_bytes(&json));
    else
        cli_say(cli, BYTES_FMT "  %s (%zu files, %llu octets)\n", BYTES_ARG(buf_bytes(&hex)),
                cli->args.words[0], model.count, (unsigned long long)model.octets);
    *out_exit = CLI_EXIT_YES;
    return NULL;
}

static void buf_donep(struct buf **b) { buf_done(*b); }

struct error *run_model_manifest(struct cli *cli, int *out_exit) {
    const struct modeldir_options options = {0};
    struct model model;
    struct buf b;
    CLEANUP(buf_donep) struct buf *json = &b;
    buf_init(json, MANIFEST_OCTETS_MAX);
    TRY(modeldir_digest(&cli->arena, cli->args.words[0], &options, &model));
    model_put_predicate(json, &model);
    TRY(buf_finish(json, "manifest"));
    cli_json(cli, buf_bytes(json));
    *out_exit = CLI_EXIT_YES;
    return NULL;
}
