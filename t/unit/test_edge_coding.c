/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Accept-Encoding: weights, wildcards and what is no list. */
#include "unit.h"

#include "edge_coding.h"

#define ALL (1U << EDGE_GZIP | 1U << EDGE_BR)

static void choice(void **state)
{
    static const struct {
        const char *accept;
        unsigned available;
        edge_coding coding;
        int no_identity;
    } cases[] = {
        { NULL, ALL, EDGE_IDENTITY, 0 },
        { "", ALL, EDGE_IDENTITY, 0 },
        { "br", ALL, EDGE_BR, 0 },
        { "gzip, deflate, br", ALL, EDGE_BR, 0 },
        { "gzip, deflate, br", 1U << EDGE_GZIP, EDGE_GZIP, 0 },
        { "gzip, deflate, br", 0, EDGE_IDENTITY, 0 },
        { "br;q=0.1, gzip;q=1", ALL, EDGE_GZIP, 0 },
        { "br;q=0.5, gzip;q=0.5", ALL, EDGE_BR, 0 },
        { "gzip;q=0.501 , br;q=0.5", ALL, EDGE_GZIP, 0 },
        { "br;q=0", ALL, EDGE_IDENTITY, 0 },
        { "br;q=0.000, gzip;q=0.0", ALL, EDGE_IDENTITY, 0 },
        { "*", ALL, EDGE_BR, 0 },
        { "*;q=0.3", ALL, EDGE_BR, 0 },
        { "br;q=0, *", ALL, EDGE_GZIP, 0 },
        { "*;q=0", ALL, EDGE_IDENTITY, 1 },
        { "identity;q=0", ALL, EDGE_IDENTITY, 1 },
        { "identity;q=0, br", ALL, EDGE_BR, 1 },
        { "identity;q=0, *;q=0.1", ALL, EDGE_BR, 1 },
        { "identity, *;q=0", ALL, EDGE_IDENTITY, 0 },
        { "identity;q=1, br;q=0.5", ALL, EDGE_IDENTITY, 0 },
        { "identity;q=0.5, br;q=0.5", ALL, EDGE_BR, 0 },
        { "identity;q=0.4, br;q=0.5", ALL, EDGE_BR, 0 },
        { "BR;Q=1", ALL, EDGE_BR, 0 },
        { "x-gzip", ALL, EDGE_GZIP, 0 },
        { "deflate", ALL, EDGE_IDENTITY, 0 },
        { " \t br \t;\tq=0.9 ,", ALL, EDGE_BR, 0 },
        { ",,,br,,", ALL, EDGE_BR, 0 },
        { "br;q=1.001", ALL, EDGE_IDENTITY, 0 },
        { "br;q=2", ALL, EDGE_IDENTITY, 0 },
        { "br;q=-1", ALL, EDGE_IDENTITY, 0 },
        { "br;q=", ALL, EDGE_IDENTITY, 0 },
        { "br;q=0.5x", ALL, EDGE_IDENTITY, 0 },
        { "br;level=5", ALL, EDGE_IDENTITY, 0 },
        { "br gzip", ALL, EDGE_IDENTITY, 0 },
        { "brotli", ALL, EDGE_IDENTITY, 0 },
        { "b", ALL, EDGE_IDENTITY, 0 },
        { "br;q=0.99999999999999999999999999999", ALL, EDGE_BR, 0 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int no_identity = -1;
        edge_coding coding = edge_coding_choose(cases[i].accept, cases[i].available, &no_identity);

        if (coding != cases[i].coding || no_identity != cases[i].no_identity) {
            fail_msg("\"%s\": %s, %d", cases[i].accept, edge_coding_name(coding), no_identity);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(choice) };

    return unit_run(tests);
}
