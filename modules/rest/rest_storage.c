/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Requests that stand for no file, see rest_storage.h. */
#include "rest_storage.h"

#include <ap_expr.h>
#include <http_core.h>

const char *rest_storage_handler(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *wrong = NULL, *name;

    if (!core->expr_handler) {
        return NULL;
    }
    name = ap_expr_str_exec(r, core->expr_handler, &wrong);
    return wrong ? NULL : name;
}

int rest_storage_none(request_rec *r, const module *ours)
{
    ap_set_module_config(r->request_config, ours, r);
    return DECLINED;
}

int rest_storage_answer(const request_rec *r, const module *ours)
{
    return ap_get_module_config(r->request_config, ours) == r ? OK : DECLINED;
}
