/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Files as they were when they were good, see rest_kept.h. */
#include "rest_kept.h"

#include "og_log.h"
#include "og_shm.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>
#include <openssl/crypto.h>

#define MAGIC 0x6b657074 /* "kept" */

/* A mapping of its own: a pool that lives as long as the process would keep every version there
 * ever was */
typedef struct kept {
    og_shm_head *map;
    apr_size_t len;
} kept;

static char *bytes_of(const kept *file)
{
    return (char *)(file->map + 1);
}

static const char *name_of(char *name, apr_size_t size, const char *path)
{
    apr_snprintf(name, size, "orgscale-kept:%s", path);
    return name;
}

void rest_kept_put(const char *path, const char *bytes, apr_size_t len)
{
    char name[APR_PATH_MAX + 32];
    kept *file, fresh = { NULL, len };

    if (og_shm_make(&fresh.map, MAGIC, 1, sizeof(og_shm_head) + len) != APR_SUCCESS) {
        return; /* the version before stays */
    }
    memcpy(bytes_of(&fresh), bytes, len);
    file = ap_retained_data_get(name_of(name, sizeof(name), path));
    if (!file) {
        file = ap_retained_data_create(name, sizeof(*file));
    }
    if (file->map) {
        OPENSSL_cleanse(bytes_of(file), file->len);
        og_shm_drop(file->map);
    }
    *file = fresh;
}

const char *rest_kept_get(apr_pool_t *p, server_rec *s, const char *who, const char *path,
                          const char *why, apr_size_t *len)
{
    char name[APR_PATH_MAX + 32];
    const kept *file = ap_retained_data_get(name_of(name, sizeof(name), path));

    if (!file || !file->map) {
        return NULL;
    }
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, OGLOGNO(2206)
                 "%s: %s: %s, what was read before stays in use", who, path, why);
    *len = file->len;
    return apr_pmemdup(p, bytes_of(file), file->len);
}

const char *rest_kept_path(cmd_parms *cmd, const char *arg, const char **path)
{
    *path = strncmp(arg, "file:", 5) != 0 || !arg[5] ? NULL
                                                     : ap_server_root_relative(cmd->pool, arg + 5);
    return *path ? NULL
                 : apr_psprintf(cmd->pool, "%s: expected file:PATH, not \"%.80s\"", cmd->cmd->name,
                                arg);
}

/* What the file holds now. @return NULL, or what is wrong with it */
static const char *read_secret(cmd_parms *cmd, const char *path, const rest_kept_shape *shape,
                               const char **bytes, apr_size_t *len)
{
    char *text = apr_palloc(cmd->pool, REST_KEPT_SECRET_MAX + 1), reason[120];
    apr_file_t *file;
    apr_status_t rv;

    rv = apr_file_open(&file, path, APR_READ | APR_BINARY, APR_OS_DEFAULT, cmd->temp_pool);
    if (rv == APR_SUCCESS) {
        rv = apr_file_read_full(file, text, REST_KEPT_SECRET_MAX + 1, len);
        apr_file_close(file);
    }
    if (rv == APR_SUCCESS) {
        return apr_psprintf(cmd->pool, "expected at most %d bytes", REST_KEPT_SECRET_MAX);
    }
    if (!APR_STATUS_IS_EOF(rv)) {
        return apr_pstrdup(cmd->pool, apr_strerror(rv, reason, sizeof(reason)));
    }
    if (shape->is_line && *len && text[*len - 1] == '\n') {
        --*len;
    }
    *bytes = text;
    return *len >= shape->least
               ? NULL
               : apr_psprintf(cmd->pool, "expected a secret of at least %" APR_SIZE_T_FMT
                              " bytes, not %" APR_SIZE_T_FMT, shape->least, *len);
}

const char *rest_kept_secret(cmd_parms *cmd, const char *arg, const rest_kept_shape *shape,
                             const char **bytes, apr_size_t *len)
{
    const char *path, *wrong = rest_kept_path(cmd, arg, &path), *why;

    if (wrong) {
        return wrong;
    }
    why = read_secret(cmd, path, shape, bytes, len);
    if (!why) {
        rest_kept_put(path, *bytes, *len);
        return NULL;
    }
    *bytes = rest_kept_get(cmd->pool, cmd->server, cmd->cmd->name, path, why, len);
    return *bytes ? NULL : apr_psprintf(cmd->pool, "%s: %s: %s", cmd->cmd->name, path, why);
}
