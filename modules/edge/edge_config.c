/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Directives of mod_edge: member, create, merge, table line. */
#include "edge.h"

#include "og_number.h"
#include "rest_merge.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_core.h>

#define COMPRESS_MIN_MAX (APR_INT64_C(1) << 20)
#define MAX_BODY         (APR_INT64_C(1) << 20)
#define MAX_BODY_MIN     APR_INT64_C(1024)
#define MAX_BODY_MAX     (APR_INT64_C(64) << 20)
#define ENVELOPE_MAX     64

#define CACHE_SIZE        (APR_INT64_C(64) << 20)
#define CACHE_SIZE_MIN    (APR_INT64_C(1) << 20)
#define CACHE_SIZE_MAX    (APR_INT64_C(64) << 30)
#define MAX_ENTRY         (APR_INT64_C(1) << 20)
#define MAX_ENTRY_MIN     APR_INT64_C(1024)
#define MAX_ENTRY_MAX     (APR_INT64_C(64) << 20)
#define HOT_SIZE          (APR_INT64_C(8) << 20)
#define HOT_SIZE_MAX      (APR_INT64_C(1) << 30)
#define COLLAPSE_WAIT     apr_time_from_sec(2)
#define COLLAPSE_WAIT_MAX apr_time_from_sec(10)
#define SELFTEST_EVERY   (60 * APR_USEC_PER_SEC)
#define SELFTEST_MIN     APR_USEC_PER_SEC
#define SELFTEST_MAX     (3600 * APR_USEC_PER_SEC)

const edge_family edge_family_off = { .name = "off", .shared = EDGE_SHARED_USER, .no_store = 1 };

/* parent: name to edge_family *, of the configuration that is being read; from pconf */
static apr_hash_t *families;

static edge_server_conf effective; /* process: what edge_conf() gives */

void *edge_server_create(apr_pool_t *p, server_rec *s)
{
    edge_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->cache_size = OG_UNSET;
    conf->max_entry = OG_UNSET;
    conf->hot_size = OG_UNSET;
    conf->collapse_wait = OG_UNSET;
    conf->selftest_every = OG_UNSET;
    return conf;
}

void *edge_server_merge(apr_pool_t *p, void *basev, void *addv)
{
    const edge_server_conf *base = basev, *add = addv;
    edge_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->name = add->name ? add->name : base->name;
    conf->cache_size = og_set_or(add->cache_size, base->cache_size);
    conf->max_entry = og_set_or(add->max_entry, base->max_entry);
    conf->hot_size = og_set_or(add->hot_size, base->hot_size);
    conf->collapse_wait = og_set_or(add->collapse_wait, base->collapse_wait);
    conf->selftest = add->selftest ? add->selftest : base->selftest;
    conf->selftest_every = og_set_or(add->selftest_every, base->selftest_every);
    return conf;
}

const edge_server_conf *edge_conf(void)
{
    return &effective;
}

/* Nothing is set. */
static const edge_dir_conf blank = { .etag = OG_UNSET, .compress = OG_UNSET,
                                     .compress_min = OG_UNSET, .max_body = OG_UNSET,
                                     .fields = OG_UNSET, .fields_max = OG_UNSET };

void *edge_dir_create(apr_pool_t *p, char *dir)
{
    return apr_pmemdup(p, &blank, sizeof(blank));
}

/* What holds outside holds inside, too */
static apr_array_header_t *both(apr_pool_t *p, apr_array_header_t *base, apr_array_header_t *add)
{
    if (!base || !add) {
        return add ? add : base;
    }
    return apr_array_append(p, base, add);
}

void *edge_dir_merge(apr_pool_t *p, void *basev, void *addv)
{
    const edge_dir_conf *base = basev, *add = addv;
    edge_dir_conf *conf = rest_merge_one(basev, addv, &blank, sizeof(blank));

    if (conf) {
        return conf;
    }
    conf = apr_palloc(p, sizeof(*conf));
    conf->family = add->family ? add->family : base->family;
    conf->etag = (int)og_set_or(add->etag, base->etag);
    conf->compress = (int)og_set_or(add->compress, base->compress);
    conf->compress_min = og_set_or(add->compress_min, base->compress_min);
    conf->max_body = og_set_or(add->max_body, base->max_body);
    conf->fields = (int)og_set_or(add->fields, base->fields);
    conf->envelope = add->envelope ? add->envelope : base->envelope;
    conf->fields_max = og_set_or(add->fields_max, base->fields_max);
    conf->tags = both(p, base->tags, add->tags);
    conf->purges = both(p, base->purges, add->purges);
    return conf;
}

const edge_dir_conf *edge_dir(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &edge_module);
}

const edge_family *edge_family_of(const edge_dir_conf *conf)
{
    return conf->family == &edge_family_off ? NULL : conf->family;
}

int edge_validates(const edge_dir_conf *conf)
{
    return conf->etag != OG_UNSET ? conf->etag : edge_family_of(conf) != NULL;
}

apr_int64_t edge_max_body(const edge_dir_conf *conf)
{
    return og_set_or(conf->max_body, MAX_BODY);
}

apr_int64_t edge_fields_max(const edge_dir_conf *conf)
{
    return og_set_or(conf->fields_max, MAX_BODY);
}

const char *edge_envelope(const edge_dir_conf *conf)
{
    const char *name = conf->envelope ? conf->envelope : "data";

    return *name ? name : NULL;
}

static const char *complaint(cmd_parms *cmd, const char *problem)
{
    return problem ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", problem, NULL) : NULL;
}

/* Naming a family once more changes it wherever it is used: what is shipped can be adjusted. */
static const char *set_family(cmd_parms *cmd, void *unused, int argc, char *const argv[])
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY), *wrong;
    edge_family *family;

    if (context) {
        return context;
    }
    if (argc < 2 || !edge_family_name_ok(argv[0]) || !strcmp(argv[0], edge_family_off.name)) {
        return complaint(cmd, "expected a name of small letters, digits and '-' (but not off), and "
                              "how long its responses are kept, such as max-age=60 s-maxage=300");
    }
    family = apr_hash_get(families, argv[0], APR_HASH_KEY_STRING);
    if (!family) {
        family = apr_pcalloc(cmd->pool, sizeof(*family));
        family->name = apr_pstrdup(cmd->pool, argv[0]);
        apr_hash_set(families, family->name, APR_HASH_KEY_STRING, family);
    }
    wrong = edge_family_parse(cmd->pool, argc - 1, argv + 1, family);
    edge_family_write(cmd->pool, family);
    return complaint(cmd, wrong);
}

static const char *set_cache(cmd_parms *cmd, void *confv, const char *arg)
{
    edge_dir_conf *conf = confv;

    if (!strcmp(arg, edge_family_off.name)) {
        conf->family = &edge_family_off;
        return NULL;
    }
    conf->family = apr_hash_get(families, arg, APR_HASH_KEY_STRING);
    edge_check_note(cmd);
    return conf->family ? NULL
                        : complaint(cmd, apr_psprintf(cmd->pool, "expected off or the name of an "
                                                      "EdgeFamily above, not \"%.64s\"", arg));
}

static const char *set_expression(cmd_parms *cmd, apr_array_header_t **list, const char *arg)
{
    const char *wrong = NULL;
    const ap_expr_info_t *expr = ap_expr_parse_cmd(cmd, arg, AP_EXPR_FLAG_STRING_RESULT, &wrong,
                                                   NULL);

    if (wrong || !*arg) {
        return complaint(cmd, apr_psprintf(cmd->pool, "expected an expression for a tag, such as "
                                           "\"finance:summary:property:%%{query:propertyId}\", not "
                                           "\"%.80s\"%s%s", arg, wrong ? ": " : "",
                                           wrong ? wrong : ""));
    }
    if (!*list) {
        *list = apr_array_make(cmd->pool, 4, sizeof(const ap_expr_info_t *));
    }
    APR_ARRAY_PUSH(*list, const ap_expr_info_t *) = expr;
    edge_check_note_purger(cmd);
    return NULL;
}

static const char *set_tag(cmd_parms *cmd, void *conf, const char *arg)
{
    return set_expression(cmd, &((edge_dir_conf *)conf)->tags, arg);
}

static const char *set_purge(cmd_parms *cmd, void *conf, const char *arg)
{
    return set_expression(cmd, &((edge_dir_conf *)conf)->purges, arg);
}

static const char *set_compress_min(cmd_parms *cmd, void *conf, const char *arg)
{
    return complaint(cmd, og_arg_size(cmd->pool, arg, 0, COMPRESS_MIN_MAX,
                                      &((edge_dir_conf *)conf)->compress_min));
}

static const char *set_max_body(cmd_parms *cmd, void *conf, const char *arg)
{
    return complaint(cmd, og_arg_size(cmd->pool, arg, MAX_BODY_MIN, MAX_BODY_MAX,
                                      &((edge_dir_conf *)conf)->max_body));
}

static const char *set_envelope(cmd_parms *cmd, void *confv, const char *arg)
{
    edge_dir_conf *conf = confv;
    const char *at = arg;

    while (*at > ' ' && *at < 127) {
        at++;
    }
    if (*at || at == arg || at - arg > ENVELOPE_MAX) {
        return complaint(cmd, apr_psprintf(cmd->pool, "expected none, or a member's name of 1 to "
                                           "%d visible ASCII characters, not \"%.80s\"",
                                           ENVELOPE_MAX, arg));
    }
    conf->envelope = strcmp(arg, "none") != 0 ? arg : "";
    return NULL;
}

static const char *set_fields_max(cmd_parms *cmd, void *conf, const char *arg)
{
    return complaint(cmd, og_arg_size(cmd->pool, arg, MAX_BODY_MIN, MAX_BODY_MAX,
                                      &((edge_dir_conf *)conf)->fields_max));
}

static edge_server_conf *server_conf(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &edge_module);
}

static const char *set_cache_size(cmd_parms *cmd, void *unused, const char *arg)
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return context ? context
                   : complaint(cmd, og_arg_size(cmd->pool, arg, CACHE_SIZE_MIN, CACHE_SIZE_MAX,
                                                &server_conf(cmd)->cache_size));
}

static const char *set_max_entry(cmd_parms *cmd, void *unused, const char *arg)
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return context ? context
                   : complaint(cmd, og_arg_size(cmd->pool, arg, MAX_ENTRY_MIN, MAX_ENTRY_MAX,
                                                &server_conf(cmd)->max_entry));
}

static const char *set_hot_size(cmd_parms *cmd, void *unused, const char *arg)
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return context ? context
                   : complaint(cmd, og_arg_size(cmd->pool, arg, 0, HOT_SIZE_MAX,
                                                &server_conf(cmd)->hot_size));
}

static const char *set_collapse_wait(cmd_parms *cmd, void *unused, const char *arg)
{
    const char *context = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    return context ? context
                   : complaint(cmd, og_arg_span(cmd->pool, arg, 0, COLLAPSE_WAIT_MAX,
                                                &server_conf(cmd)->collapse_wait));
}

static const char *set_selftest(cmd_parms *cmd, void *unused, const char *url, const char *every)
{
    static const char interval[] = "every=";
    edge_server_conf *conf = server_conf(cmd);
    edge_loopback *target = apr_palloc(cmd->pool, sizeof(*target));
    const char *wrong = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (wrong) {
        return wrong;
    }
    conf->selftest = target;
    conf->selftest_every = OG_UNSET;
    wrong = edge_loopback_parse(cmd->pool, url, target);
    if (!wrong && every && strncmp(every, interval, sizeof(interval) - 1) != 0) {
        wrong = apr_psprintf(cmd->pool, "expected every=SPAN behind the URL, not \"%.40s\"", every);
    }
    if (!wrong && every) {
        wrong = og_arg_span(cmd->pool, every + sizeof(interval) - 1, SELFTEST_MIN, SELFTEST_MAX,
                            &conf->selftest_every);
    }
    return complaint(cmd, wrong);
}

#define HERE (RSRC_CONF | ACCESS_CONF)

const command_rec edge_cmds[] = {
    AP_INIT_TAKE_ARGV("EdgeFamily", set_family, NULL, RSRC_CONF,
                      "a name, and no-store or any of max-age=S, s-maxage=S, "
                      "stale-while-revalidate=S, stale-if-error=S, "
                      "shared=permissions|user|public, immutable"),
    AP_INIT_TAKE1("EdgeCache", set_cache, NULL, HERE,
                  "the family of responses here, or off (off)"),
    AP_INIT_FLAG("EdgeETag", ap_set_flag_slot, (void *)APR_OFFSETOF(edge_dir_conf, etag), HERE,
                 "On for validators and answered conditions (On where EdgeCache is)"),
    AP_INIT_FLAG("EdgeCompress", ap_set_flag_slot, (void *)APR_OFFSETOF(edge_dir_conf, compress),
                 HERE, "On to compress responses with mod_brotli or mod_deflate (Off)"),
    AP_INIT_TAKE1("EdgeCompressMinSize", set_compress_min, NULL, HERE,
                  "responses of fewer bytes are not compressed, 0 to 1M (1024)"),
    AP_INIT_TAKE1("EdgeMaxBody", set_max_body, NULL, HERE,
                  "responses of more bytes get no validator here, 1K to 64M (1M)"),
    AP_INIT_FLAG("EdgeFields", ap_set_flag_slot, (void *)APR_OFFSETOF(edge_dir_conf, fields), HERE,
                 "On to answer fields= and expand= with a part of the JSON (Off)"),
    AP_INIT_TAKE1("EdgeFieldsEnvelope", set_envelope, NULL, HERE,
                  "the member that lists have their elements in, or none (data)"),
    AP_INIT_TAKE1("EdgeFieldsMaxBody", set_fields_max, NULL, HERE,
                  "responses of more bytes keep all their fields, 1K to 64M (1M)"),
    AP_INIT_TAKE1("EdgeTag", set_tag, NULL, HERE,
                  "an expression: a tag of what is answered here"),
    AP_INIT_TAKE1("EdgePurge", set_purge, NULL, HERE,
                  "an expression: a tag that a write here outdates"),
    AP_INIT_TAKE1("EdgeCacheSize", set_cache_size, NULL, RSRC_CONF,
                  "bytes of the storage of CacheEnable orgscale, 1M to 64G (64M)"),
    AP_INIT_TAKE1("EdgeCacheMaxEntry", set_max_entry, NULL, RSRC_CONF,
                  "longer responses are not kept there, 1K to 64M (1M)"),
    AP_INIT_TAKE1("EdgeCacheHotSize", set_hot_size, NULL, RSRC_CONF,
                  "bytes of large entries that each child keeps for itself, 0 to 1G (8M)"),
    AP_INIT_TAKE1("EdgeCollapseWait", set_collapse_wait, NULL, RSRC_CONF,
                  "how long a request waits for another one's answer, 0 to 10s (2s)"),
    AP_INIT_TAKE12("EdgeSelfTest", set_selftest, NULL, RSRC_CONF,
                   "http://127.0.0.1:PORT/PATH, where SetHandler edge-canary is, and every=1s to "
                   "1h (60s)"),
    { NULL }
};

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    families = apr_hash_make(pconf);
    return OK;
}

/* Before edge_segment.c's. */
static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const edge_server_conf *conf = ap_get_module_config(s->module_config, &edge_module);

    effective.cache_size = og_set_or(conf->cache_size, CACHE_SIZE);
    effective.max_entry = og_set_or(conf->max_entry, MAX_ENTRY);
    effective.hot_size = og_set_or(conf->hot_size, HOT_SIZE);
    effective.collapse_wait = og_set_or(conf->collapse_wait, COLLAPSE_WAIT);
    effective.selftest = conf->selftest;
    effective.selftest_every = og_set_or(conf->selftest_every, SELFTEST_EVERY);
    return OK;
}

void edge_config_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
}
