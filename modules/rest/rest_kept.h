/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_kept.h
 * @brief Files of keys and secrets, as they were when they were good
 *
 * A file may be half written in the very moment of a reload, and a parent process that finds its
 * configuration bad in a reload ends, and its site with it. So what a file held when it was last
 * taken is kept in the parent, over reloads, and used until the file is good again (F35). A start
 * and a config test have nothing to fall back to: there a bad file is an error.
 *
 * For the parent, which reads its configuration with one thread: no lock. Bounded by the number of
 * files that the configurations of one run ever named.
 */
#ifndef REST_KEPT_H
#define REST_KEPT_H

#include <httpd.h>
#include <http_config.h>

/** Keep a copy of what the file holds, in place of the one before. Its old bytes are wiped. */
void rest_kept_put(const char *path, const char *bytes, apr_size_t len);

/**
 * What was kept of the file, to be used in place of what is wrong with it now, which is logged.
 * @param why  what is wrong, as the log shall say it
 * @param who  the directive that names the file
 * @return a copy in p, or NULL when nothing is kept
 */
const char *rest_kept_get(apr_pool_t *p, server_rec *s, const char *who, const char *path,
                          const char *why, apr_size_t *len);

/** A secret in a file has at most so many bytes. */
#define REST_KEPT_SECRET_MAX 4096

/** How long a secret must be, and whether a line end behind it is an editor's, and no part
 * of it. */
typedef struct rest_kept_shape {
    apr_size_t least;
    int is_line;
} rest_kept_shape;

/**
 * A directive's argument "file:PATH", read: the file's bytes, or those that were kept.
 * @param bytes  from cmd->pool
 * @return NULL, or what to tell the administrator
 */
const char *rest_kept_secret(cmd_parms *cmd, const char *arg, const rest_kept_shape *shape,
                             const char **bytes, apr_size_t *len);

/** "file:PATH" to a path. @return NULL, or what to tell the administrator */
const char *rest_kept_path(cmd_parms *cmd, const char *arg, const char **path);

#endif /* REST_KEPT_H */
