/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  mod_purge.h
 * @brief What mod_purge offers the other modules: the epochs of tags
 *
 * A tag is a surrogate key (P§26.3), such as "finance:expenses:property:12". Its epoch is a number
 * that a purge moves: what was cached while it had another value is outdated. Optional functions;
 * retrieve them in an optional_fn_retrieve hook. Where they are absent nothing is ever purged.
 */
#ifndef MOD_PURGE_H
#define MOD_PURGE_H

#include <apr.h>
#include <apr_optional.h>

/** Bounds of a tag: visible ASCII without blanks and commas, so that every CDN takes it. */
#define PURGE_TAG_MAX 255

/** 1 when text can be a tag. Whoever makes tags of what came from outside asks first (B28). */
APR_DECLARE_OPTIONAL_FN(int, purge_tag_ok, (const char *text));

/** The epoch of a tag now, in all processes of this host. Any thread; never blocks. */
APR_DECLARE_OPTIONAL_FN(apr_uint64_t, purge_epoch, (const char *tag));

/**
 * What was cached under these tags until now is outdated, in all processes of this host, when it
 * returns: call it behind the commit and before the write is answered. Any thread; never blocks;
 * repeating it does no harm. Texts that are no tags are passed over.
 */
APR_DECLARE_OPTIONAL_FN(void, purge_move, (const char *const *tags, int n));

#endif /* MOD_PURGE_H */
