/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What other modules offer. Without mod_tenant nobody is verified and no peer is trusted, without
 * mod_purge nothing is ever purged. */
#include "edge.h"

static APR_OPTIONAL_FN_TYPE(tenant_identity_get) *identity_get;
static APR_OPTIONAL_FN_TYPE(tenant_trusted) *trusted;
static APR_OPTIONAL_FN_TYPE(purge_tag_ok) *tag_ok;
static APR_OPTIONAL_FN_TYPE(purge_epoch) *epoch;
static APR_OPTIONAL_FN_TYPE(purge_move) *move;

static void retrieve(void)
{
    static const char *const names[] = { "ETag", "Age", "Cache-Status", NULL };
    APR_OPTIONAL_FN_TYPE(tenant_exposes) *exposes = APR_RETRIEVE_OPTIONAL_FN(tenant_exposes);
    int i;

    identity_get = APR_RETRIEVE_OPTIONAL_FN(tenant_identity_get);
    trusted = APR_RETRIEVE_OPTIONAL_FN(tenant_trusted);
    tag_ok = APR_RETRIEVE_OPTIONAL_FN(purge_tag_ok);
    epoch = APR_RETRIEVE_OPTIONAL_FN(purge_epoch);
    move = APR_RETRIEVE_OPTIONAL_FN(purge_move);
    for (i = 0; exposes && names[i]; i++) {
        exposes(names[i]);
    }
}

const tenant_identity *edge_identity(const request_rec *r)
{
    const tenant_identity *canary = edge_canary_identity(r);

    return canary ? canary : identity_get ? identity_get(r) : NULL;
}

int edge_trusted(const request_rec *r)
{
    return trusted && trusted(r);
}

int edge_tag_ok(const char *tag)
{
    return tag_ok ? tag_ok(tag) : 1;
}

apr_uint64_t edge_epoch(const char *tag)
{
    return epoch ? epoch(tag) : 0;
}

void edge_move(const char *const *tags, int n)
{
    if (move) {
        move(tags, n);
    }
}

void edge_peers_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
}
