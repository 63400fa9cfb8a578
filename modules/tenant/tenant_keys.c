/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The watched JWKS file, see tenant_keys.h.
 *
 * Two guards: `lock` covers the current version and the counts, never I/O; `watching` is held by
 * the one thread that reads and parses, while all others go on with the version there is. An
 * unknown kid triggers nothing, so a flood of them costs no more than one stat() a second (B05).
 */
#include "tenant.h"
#include "tenant_keys.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <mpm_common.h>

#include "og_clock.h"
#include "og_mac.h"
#include "rest_kept.h"

#define LOOK_EVERY  APR_USEC_PER_SEC
/* A file written this recently may still change without its mtime showing it */
#define UNSETTLED   (2 * APR_USEC_PER_SEC)

struct tenant_keys {
    tenant_keys *next;             /* in the list of all, which the configuration makes */
    const char *path;
    apr_thread_mutex_t *lock;
    tenant_keys_version *current;  /* under lock */
    unsigned int number;           /* atomic: of the current version */
    apr_time_t looked;             /* atomic: monotonic time of the last look */
    char watching;                 /* atomic: test-and-set by the thread that looks */
    /* the watching thread's: what was seen last */
    apr_time_t mtime, seen_at;
    apr_off_t size;
    apr_ino_t inode;
    unsigned char digest[OG_SHA256_LEN];
    int readable;
};

/* process: of this configuration */
static tenant_keys *all;
static int in_parent; /* which looks as well, for children that it makes later, and says nothing */

/* The file's bytes in p. @return NULL, or why not */
static const char *slurp(tenant_keys *keys, apr_pool_t *p, char **text, apr_size_t *len)
{
    apr_file_t *file;
    apr_finfo_t info;
    apr_status_t rv;
    char reason[120];

    rv = apr_file_open(&file, keys->path, APR_READ | APR_BINARY, APR_OS_DEFAULT, p);
    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&info, APR_FINFO_MTIME | APR_FINFO_SIZE | APR_FINFO_INODE, file);
    }
    if (rv == APR_SUCCESS) {
        keys->mtime = info.mtime;
        keys->size = info.size;
        keys->inode = info.inode;
        keys->seen_at = apr_time_now();
        *text = apr_palloc(p, TENANT_JWKS_BYTES_MAX + 1);
        rv = apr_file_read_full(file, *text, TENANT_JWKS_BYTES_MAX + 1, len);
        apr_file_close(file);
    }
    /* the end of the file before the buffer's end is what we hope for */
    return rv == APR_SUCCESS || APR_STATUS_IS_EOF(rv)
               ? NULL
               : apr_pstrdup(p, apr_strerror(rv, reason, sizeof(reason)));
}

/* A version out of a text, in a pool of its own. @return NULL, or why not (from p) */
static const char *parse(tenant_keys_version **version, apr_pool_t *p, const char *text,
                         apr_size_t len)
{
    static unsigned int numbers;
    apr_pool_t *pool;
    tenant_keyset *set;
    const char *why;

    if (apr_pool_create_unmanaged_ex(&pool, NULL, NULL) != APR_SUCCESS) {
        return "out of memory";
    }
    apr_pool_tag(pool, "tenant_keys");
    why = tenant_jwks_parse(&set, pool, text, len);
    if (why) {
        why = apr_pstrdup(p, why);
        apr_pool_destroy(pool);
        return why;
    }
    *version = apr_pcalloc(pool, sizeof(**version));
    (*version)->set = set;
    (*version)->pool = pool;
    (*version)->users = 1;
    (*version)->number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* The file's own hold on its version. */
static void let_go(tenant_keys *keys)
{
    tenant_keys_version *version = keys->current;

    keys->current = NULL;
    if (version) {
        tenant_keys_return(keys, version);
    }
}

/* The configuration goes, with all that it opened. */
static apr_status_t drop(void *data)
{
    let_go(data);
    all = NULL;
    return APR_SUCCESS;
}

/* A child ends without its configuration being cleared. No thread of it is left by now. */
static apr_status_t drop_all(void *unused)
{
    tenant_keys *keys;

    for (keys = all; keys; keys = keys->next) {
        let_go(keys);
    }
    return APR_SUCCESS;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    in_parent = 0;
    apr_pool_cleanup_register(p, NULL, drop_all, apr_pool_cleanup_null);
}

/* The first version: the file's, or the one that was kept when the file was last good.
 * @return NULL, or why there is none (from tmp) */
static const char *first_version(tenant_keys *keys, apr_pool_t *tmp, server_rec *s)
{
    char *text;
    const char *before, *why;
    apr_size_t len;

    why = slurp(keys, tmp, &text, &len);
    keys->readable = !why;
    if (!why) {
        og_sha256(keys->digest, text, len);
        why = parse(&keys->current, tmp, text, len);
        if (!why) {
            rest_kept_put(keys->path, text, len);
        }
    }
    if (why) {
        before = rest_kept_get(tmp, s, "TenantJWKS", keys->path, why, &len);
        why = before ? parse(&keys->current, tmp, before, len) : why;
    }
    keys->number = why ? 0 : keys->current->number;
    return why;
}

const char *tenant_keys_open(tenant_keys **made, apr_pool_t *pconf, server_rec *s,
                             const char *path)
{
    tenant_keys *keys = apr_pcalloc(pconf, sizeof(*keys));
    apr_pool_t *tmp;
    const char *why;

    keys->path = path;
    apr_pool_create(&tmp, pconf);
    why = first_version(keys, tmp, s);
    if (!why
        && apr_thread_mutex_create(&keys->lock, APR_THREAD_MUTEX_DEFAULT, pconf) != APR_SUCCESS) {
        why = "out of memory";
    }
    if (why) {
        why = apr_psprintf(pconf, "%s: %s", path, why);
    }
    else {
        keys->next = all;
        all = keys;
        apr_pool_cleanup_register(pconf, keys, drop, apr_pool_cleanup_null);
        *made = keys;
    }
    apr_pool_destroy(tmp);
    return why;
}

/* Whether the file may have changed since it was last read. */
static int changed(tenant_keys *keys, apr_pool_t *p)
{
    apr_finfo_t info;

    if (apr_stat(&info, keys->path, APR_FINFO_MTIME | APR_FINFO_SIZE | APR_FINFO_INODE, p)
        != APR_SUCCESS) {
        return keys->readable; /* gone: to be reported once */
    }
    return !keys->readable || info.mtime != keys->mtime || info.size != keys->size
           || info.inode != keys->inode || keys->seen_at < keys->mtime + UNSETTLED;
}

/* Read and parse what may have changed; under `watching`, without the lock. */
static void look(tenant_keys *keys, server_rec *s)
{
    tenant_keys_version *fresh = NULL, *old;
    unsigned char digest[OG_SHA256_LEN];
    apr_pool_t *tmp;
    apr_size_t len;
    char *text;
    const char *why;

    if (apr_pool_create_unmanaged_ex(&tmp, NULL, NULL) != APR_SUCCESS) {
        return;
    }
    if (!changed(keys, tmp)) {
        apr_pool_destroy(tmp);
        return;
    }
    why = slurp(keys, tmp, &text, &len);
    if (why) {
        if (keys->readable && !in_parent) {
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                         OGLOGNO(1000) "%s: %s, the keys read before stay in use (TenantJWKS)",
                         keys->path, why);
        }
        keys->readable = 0;
    }
    else if (og_sha256(digest, text, len)
             && (!keys->readable || memcmp(digest, keys->digest, sizeof(digest)) != 0)) {
        int same = !memcmp(digest, keys->digest, sizeof(digest));

        keys->readable = 1;
        memcpy(keys->digest, digest, sizeof(digest));
        why = same ? NULL : parse(&fresh, tmp, text, len);
        if (why && !in_parent) {
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                         OGLOGNO(1001) "%s: %s, the keys read before stay in use (TenantJWKS)",
                         keys->path, why);
        }
    }
    if (fresh) {
        if (in_parent) {
            rest_kept_put(keys->path, text, len);
        }
        apr_thread_mutex_lock(keys->lock);
        old = keys->current;
        keys->current = fresh;
        __atomic_store_n(&keys->number, fresh->number, __ATOMIC_RELEASE);
        apr_thread_mutex_unlock(keys->lock);
        tenant_keys_return(keys, old);
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, s, OGLOGNO(1002) "%s: %d keys read (TenantJWKS)",
                     keys->path, fresh->set->keys->nelts);
    }
    apr_pool_destroy(tmp);
}

unsigned int tenant_keys_number(tenant_keys *keys, server_rec *s)
{
    apr_time_t now = og_clock_mono();

    if (now - __atomic_load_n(&keys->looked, __ATOMIC_RELAXED) >= LOOK_EVERY
        && !__atomic_test_and_set(&keys->watching, __ATOMIC_ACQUIRE)) {
        __atomic_store_n(&keys->looked, now, __ATOMIC_RELAXED);
        look(keys, s);
        __atomic_clear(&keys->watching, __ATOMIC_RELEASE);
    }
    return __atomic_load_n(&keys->number, __ATOMIC_ACQUIRE);
}

tenant_keys_version *tenant_keys_borrow(tenant_keys *keys)
{
    tenant_keys_version *version;

    apr_thread_mutex_lock(keys->lock);
    version = keys->current;
    version->users++;
    apr_thread_mutex_unlock(keys->lock);
    return version;
}

/* The parent, every few seconds: a child that it makes when the file is bad starts with the keys
 * that its siblings have, and so does the next generation. */
static int monitor(apr_pool_t *p, server_rec *s)
{
    tenant_keys *keys;

    in_parent = 1;
    for (keys = all; keys; keys = keys->next) {
        look(keys, s);
    }
    return OK;
}

void tenant_keys_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(monitor, NULL, NULL, APR_HOOK_MIDDLE);
}

void tenant_keys_return(tenant_keys *keys, tenant_keys_version *version)
{
    int users;

    apr_thread_mutex_lock(keys->lock);
    users = --version->users;
    apr_thread_mutex_unlock(keys->lock);
    if (!users) {
        apr_pool_destroy(version->pool);
    }
}
