/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Undoing what a death cut off, see idem_journal.h. Stores are atomic so that the compiler keeps
 * their order: note, count, word. */
#include "idem_journal.h"

#include <stdlib.h>

#include "og_hooks.h"

static apr_uint64_t *word_at(idem_journal *journal, apr_uint64_t at)
{
    return (apr_uint64_t *)((char *)journal + at);
}

void idem_journal_set(idem_journal *journal, apr_uint64_t *word, apr_uint64_t value)
{
    apr_uint64_t n = journal->count;

    if (n == IDEM_JOURNAL_WORDS) {
        abort(); /* an operation that changes more than its bound: never half of it */
    }
    journal->notes[n].at = (apr_uint64_t)((char *)word - (char *)journal);
    __atomic_store_n(&journal->notes[n].was, *word, __ATOMIC_SEQ_CST);
    __atomic_store_n(&journal->count, n + 1, __ATOMIC_SEQ_CST);
    og_hooks_crash_point();
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

void idem_journal_commit(idem_journal *journal)
{
    __atomic_store_n(&journal->count, 0, __ATOMIC_SEQ_CST);
    og_hooks_crash_point();
}

int idem_journal_undo(idem_journal *journal)
{
    apr_uint64_t n = __atomic_load_n(&journal->count, __ATOMIC_SEQ_CST);
    int any = n > 0;

    /* newest first, so that a word that was set twice ends as it was; another death in here is
     * undone by the same notes */
    while (n > 0) {
        n--;
        __atomic_store_n(word_at(journal, journal->notes[n].at), journal->notes[n].was,
                         __ATOMIC_SEQ_CST);
        og_hooks_crash_point();
    }
    idem_journal_commit(journal);
    return any;
}
