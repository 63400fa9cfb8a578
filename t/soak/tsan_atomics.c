/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The event MPM gives the pool of a closed connection to the next one (recycled_pools), and a
 * connection that it closes of its own accord to a worker (defer_linger_chain), by a
 * compare-and-swap alone. libapr's is not instrumented: the thread sanitizer, which sees the locks
 * of libapr, would take the next use of that memory for a race. Preloaded into httpd, this one
 * does the same where the sanitizer sees it. t/TEST builds it, instrumented, for that. */
void *apr_atomic_casptr(volatile void **mem, void *with, const void *cmp)
{
    void *was = (void *)cmp;

    __atomic_compare_exchange_n((void *volatile *)mem, &was, with, 0, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
    return was;
}
