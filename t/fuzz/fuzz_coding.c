/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The coding that is chosen is one that can be made and that the client names, or covers by "*",
 * and does not refuse; none that it names likes another better. A plain second reader finds the
 * weights. */
#include "fuzz.h"

#include "edge_coding.h"

#include <ctype.h>
#include <stdio.h>

/* Thousandths that a list gives to a name, the last one counts; -1: none */
static int weight_of(const char *list, const char *name)
{
    int found = -1;

    while (*list) {
        char item[64], rest[8];
        size_t len = strcspn(list, ","), from = 0, to = len, i;
        int whole = 0, at = 0, q = 1000;

        while (from < to && strchr(" \t", list[from])) {
            from++;
        }
        while (to > from && strchr(" \t", list[to - 1])) {
            to--;
        }
        if (to - from < sizeof(item)) {
            size_t word;

            for (i = from; i < to; i++) {
                item[i - from] = (char)tolower((unsigned char)list[i]);
            }
            item[to - from] = '\0';
            word = strcspn(item, " \t;");
            if (item[word]) {
                size_t blank = word + strspn(item + word, " \t");

                if (item[blank] != ';') {
                    q = -1;
                }
                else {
                    blank++;
                    blank += strspn(item + blank, " \t");
                    q = -1;
                    if (sscanf(item + blank, "q=%1[01]%n", rest, &at) == 1 && at) {
                        whole = rest[0] - '0';
                        q = whole * 1000;
                        if (item[blank + (size_t)at] == '.') {
                            const char *digits = item + blank + (size_t)at + 1;
                            size_t n = strspn(digits, "0123456789");
                            static const int tens[] = { 100, 10, 1 };

                            for (i = 0; i < n && i < 3; i++) {
                                q += (digits[i] - '0') * tens[i];
                            }
                            at += 1 + (int)n;
                        }
                        if (item[blank + (size_t)at] || q > 1000) {
                            q = -1;
                        }
                    }
                }
            }
            item[word] = '\0';
            if (q >= 0
                && (!strcmp(item, name) || (!strcmp(name, "gzip") && !strcmp(item, "x-gzip")))) {
                found = q;
            }
        }
        list += len + (list[len] == ',');
    }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned available = size ? data[0] & 7U : 0;
    char *text = text_of(data + (size > 0), size - (size > 0));
    int no_identity = 2, any = weight_of(text, "*"), identity = weight_of(text, "identity");
    edge_coding coding = edge_coding_choose(text, available, &no_identity);
    int weight, i, longest = 0, run = 0;
    const char *at;

    /* the second reader takes no item of 64 characters or more */
    for (at = text; *at; at++) {
        run = *at == ',' ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }
    must(no_identity == 0 || no_identity == 1);
    must(coding == EDGE_IDENTITY || (available & 1U << coding));
    if (longest < 60) {
        must(no_identity == (identity == 0 || (identity < 0 && any == 0)));
        weight = weight_of(text, edge_coding_name(coding));
        weight = weight < 0 && coding != EDGE_IDENTITY ? any : weight;
        must(coding == EDGE_IDENTITY || weight > 0);
        must(coding == EDGE_IDENTITY || identity <= weight);
        for (i = EDGE_IDENTITY + 1; i < EDGE_CODINGS; i++) {
            int other = weight_of(text, edge_coding_name((edge_coding)i));

            other = other < 0 ? any : other;
            must(!(available & 1U << i) || other <= 0 || other <= weight
                 || (coding == EDGE_IDENTITY && identity > 0));
        }
    }
    free(text);
    return 0;
}
