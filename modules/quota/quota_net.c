/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Networks, see quota_net.h. */
#include "quota_net.h"

#include <apr_strings.h>
#include <arpa/inet.h>
#include <string.h>

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

void quota_net(char out[QUOTA_SUBJECT_SIZE], const unsigned char *bytes, apr_size_t len)
{
    unsigned char net[16] = { 0 };
    char text[INET6_ADDRSTRLEN] = "";

    if (len == sizeof(net) && !memcmp(bytes, mapped, sizeof(mapped))) {
        bytes += sizeof(mapped);
        len = 4;
    }
    memcpy(net, bytes, len == 4 ? 3 : 7);
    inet_ntop(len == 4 ? AF_INET : AF_INET6, net, text, sizeof(text));
    apr_snprintf(out, QUOTA_SUBJECT_SIZE, "net:%s/%d", text, len == 4 ? 24 : 56);
}
