/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  quota_net.h
 * @brief The network that an address is of: /24 of IPv4, /56 of IPv6
 *
 * Pure. Who has one address of a household or a rack has them all.
 */
#ifndef QUOTA_NET_H
#define QUOTA_NET_H

#include "mod_quota.h"

/**
 * "net:192.0.2.0/24", "net:2001:db8:0:100::/56"; an IPv4 address in IPv6's clothes is IPv4.
 * @param bytes  4 or 16, network order
 */
void quota_net(char out[QUOTA_SUBJECT_SIZE], const unsigned char *bytes, apr_size_t len);

#endif /* QUOTA_NET_H */
