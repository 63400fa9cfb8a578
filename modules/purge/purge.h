/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Private to modules/purge: what its files share. */
#ifndef PURGE_H
#define PURGE_H

#include "mod_purge.h"
#include "og_log.h"

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>

extern module AP_MODULE_DECLARE_DATA purge_module;
APLOG_USE_MODULE(purge);

/* purge_config.c: directives of the main server */

typedef struct purge_server_conf {
    apr_int64_t epochs; /* PurgeEpochs; OG_UNSET */
} purge_server_conf;

extern const command_rec purge_cmds[];
void *purge_server_create(apr_pool_t *p, server_rec *s);
void *purge_server_merge(apr_pool_t *p, void *basev, void *addv);

/* The main server's PurgeEpochs, or its default; there from post_config on. */
apr_int64_t purge_epochs_wanted(const server_rec *s);

/* purge_epoch.c: shared memory, and the optional functions */
void purge_epoch_register(apr_pool_t *p);

#endif /* PURGE_H */
