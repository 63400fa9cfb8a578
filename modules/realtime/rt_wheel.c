/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Deadlines, see rt_wheel.h. */
#include "rt_wheel.h"

#include <stddef.h>

void rt_wheel_start(rt_wheel *wheel, apr_time_t now)
{
    wheel->turned = now / RT_WHEEL_TICK;
}

void rt_wheel_add(rt_wheel *wheel, rt_wheel_item *item)
{
    apr_time_t tick = (item->at + RT_WHEEL_TICK - 1) / RT_WHEEL_TICK;
    rt_wheel_item **list;

    if (tick <= wheel->turned) {
        tick = wheel->turned + 1; /* due already: a tick that is past comes round much later */
    }
    list = &wheel->ticks[tick % RT_WHEEL_TICKS];
    item->next = *list;
    item->link = list;
    if (item->next) {
        item->next->link = &item->next;
    }
    *list = item;
}

void rt_wheel_remove(rt_wheel_item *item)
{
    if (item->link) {
        *item->link = item->next;
        if (item->next) {
            item->next->link = item->link;
        }
        item->link = NULL;
    }
}

void rt_wheel_turn(rt_wheel *wheel, apr_time_t now, void (*due)(rt_wheel_item *item))
{
    apr_time_t last = now / RT_WHEEL_TICK;
    rt_wheel_item *item, *next;

    if (last - wheel->turned > RT_WHEEL_TICKS) {
        wheel->turned = last - RT_WHEEL_TICKS; /* each list once is all of them */
    }
    while (wheel->turned < last) {
        wheel->turned++;
        for (item = wheel->ticks[wheel->turned % RT_WHEEL_TICKS]; item; item = next) {
            next = item->next;
            if (item->at <= now) {
                due(item);
            }
        }
    }
}

apr_time_t rt_wheel_next(const rt_wheel *wheel, apr_time_t until)
{
    const apr_time_t last = (until + RT_WHEEL_TICK - 1) / RT_WHEEL_TICK;
    apr_time_t tick = wheel->turned + 1;

    while (tick < last && !wheel->ticks[tick % RT_WHEEL_TICKS]) {
        tick++;
    }
    return tick * RT_WHEEL_TICK;
}
