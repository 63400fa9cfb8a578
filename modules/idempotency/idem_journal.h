/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  idem_journal.h
 * @brief Changes to words of shared memory that a death in the middle undoes
 *
 * Pure. Whoever changes a structure under a lock writes each word through idem_journal_set(), which
 * notes the word's old value first, and ends with idem_journal_commit(). Who takes the lock after a
 * holder that died calls idem_journal_undo(): what was not committed is as it was before. Only
 * words that nobody can reach yet may be written past the journal.
 *
 * Guarded by the lock of the structure that it belongs to. Deaths are of processes, not of
 * machines: program order is what others see.
 */
#ifndef IDEM_JOURNAL_H
#define IDEM_JOURNAL_H

#include <apr.h>

#define IDEM_JOURNAL_WORDS 160

typedef struct idem_journal {
    apr_uint64_t count; /* notes that hold; 0 is the commit word */
    struct {
        apr_uint64_t at; /* offset from the journal */
        apr_uint64_t was;
    } notes[IDEM_JOURNAL_WORDS];
} idem_journal;

/** word is behind the journal, in the same block. */
void idem_journal_set(idem_journal *journal, apr_uint64_t *word, apr_uint64_t value);

void idem_journal_commit(idem_journal *journal);

/** @return 1 when there was something to undo */
int idem_journal_undo(idem_journal *journal);

#endif /* IDEM_JOURNAL_H */
