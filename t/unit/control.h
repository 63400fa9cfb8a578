/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Have the Perl that runs this program do something, and wait until it has: t/lib/My/Control.pm. */
#ifndef CONTROL_H
#define CONTROL_H

#include "unit.h"

#include <stdio.h>
#include <unistd.h>

static inline void control(const char *what)
{
    int fd = atoi(getenv("TEST_CONTROL"));
    char answer = 0;

    assert_true(dprintf(fd, "%s\n", what) > 0);
    while (answer != '\n') {
        assert_int_equal(read(fd, &answer, 1), 1);
    }
}

#endif /* CONTROL_H */
