/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  mod_edge.h
 * @brief What mod_edge offers the other modules: tags of what they answer, and whether it is kept
 *
 * Optional functions: retrieve them in an optional_fn_retrieve hook. Where they are absent nothing
 * is cached by us, so nothing needs a tag.
 */
#ifndef MOD_EDGE_H
#define MOD_EDGE_H

#include <apr_optional.h>

struct request_rec;

/** More tags than these, or more bytes of them with a blank between two, and the answer is kept by
 * nobody (http-semantics.md 4). */
#define EDGE_TAGS_MAX       50
#define EDGE_TAGS_BYTES_MAX 8192

/**
 * What r is answered with shows something that this tag (P§26.3) stands for: purging the tag
 * outdates it. From a fixups hook (any but APR_HOOK_LAST) the tag holds in the origin's cache and
 * at edges; from a handler at edges alone (decisions.md 12). Same thread as the request's.
 * @param tag  copied; something that is no tag (mod_purge.h) makes the answer one that nobody keeps
 */
APR_DECLARE_OPTIONAL_FN(void, edge_tag, (struct request_rec *r, const char *tag));

/** Whether a family (EdgeCache) says how long r's answer is kept: a handler then says nothing of
 * it, unless it forbids to keep it at all. Behind fixups. */
APR_DECLARE_OPTIONAL_FN(int, edge_keeps, (const struct request_rec *r));

#endif /* MOD_EDGE_H */
