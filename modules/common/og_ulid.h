/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_ulid.h
 * @brief ULIDs: 48 bits of wall time in milliseconds and 80 random bits, in Crockford's base32
 *
 * Pure; any thread. Sorts by time of making, to the millisecond.
 */
#ifndef OG_ULID_H
#define OG_ULID_H

#include <apr.h>

/** 26 characters and a NUL. */
#define OG_ULID_SIZE 27

/** @return 1, or 0 when the system has no randomness to give */
int og_ulid_make(char out[OG_ULID_SIZE]);

#endif /* OG_ULID_H */
