/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Algorithms of a child, see rest_mac.h. */
#include "rest_mac.h"

#include "og_mac.h"

#include <httpd.h>

#include <http_config.h>

static void child_init(apr_pool_t *p, server_rec *s)
{
    og_mac_fetch();
}

void rest_mac_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_FIRST);
}
