/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Private header of mod_orgscale_redis: what its directives say, and the parts that the record
 * names. */
#ifndef OG_REDIS_H
#define OG_REDIS_H

#include "og_redis_link.h"

#include <http_config.h>
#include <http_log.h>

#include "og_log.h"

#define OG_REDIS_SERVERS_MAX 8

/** Of the main server; the process has one link. From pconf. */
typedef struct og_redis_conf {
    og_redis_address *servers; /* OG_REDIS_SERVERS_MAX; NULL: off */
    int server_count;
    const char *password; /* NULL: none */
    apr_size_t password_len;
    const char *user;
    apr_int64_t database;
    apr_interval_time_t timeout;
    apr_int64_t connections;
    const char *prefix;
} og_redis_conf;

extern const command_rec og_redis_cmds[];

void *og_redis_server_create(apr_pool_t *p, server_rec *s);
void *og_redis_server_merge(apr_pool_t *p, void *basev, void *addv);
const og_redis_conf *og_redis_conf_of(const server_rec *s);

/** Of all processes of this host; NULL before post_config. */
og_redis_shared *og_redis_counts_shared(void);

void og_redis_child_register(apr_pool_t *p);
void og_redis_config_register(apr_pool_t *p);
void og_redis_counts_register(apr_pool_t *p);

#endif /* OG_REDIS_H */
