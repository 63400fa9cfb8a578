/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_mac.h
 * @brief Children look the algorithms of og_mac.h up once
 */
#ifndef REST_MAC_H
#define REST_MAC_H

#include <apr_pools.h>

/** For register_hooks of a module that hashes or signs as it serves. */
void rest_mac_register(apr_pool_t *p);

#endif /* REST_MAC_H */
