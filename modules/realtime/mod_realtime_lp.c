/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mod_realtime_lp: the module record and its hooks, nothing else. */
#include <httpd.h>
#include <http_config.h>

static void hooks(apr_pool_t *p)
{
}

AP_DECLARE_MODULE(realtime_lp) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, hooks
};
