/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_log.h
 * @brief How our log lines are tagged
 *
 * AHnnnnn numbers belong to httpd; ours are OGnnnn, a range a module (decisions.md 36), one tag a
 * call site. t/source/tags.t proves that none is used twice.
 */
#ifndef OG_LOG_H
#define OG_LOG_H

#define OGLOGNO(n) "OG" #n ": "

/** A directive that nobody set: what a merge looks for. */
#define OG_UNSET (-1)

#endif /* OG_LOG_H */
