/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "og_json.h"

#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static json_t *load(apr_pool_t *p, const char *text)
{
    char *copy = exact(text, strlen(text));
    json_t *value = og_json_load(p, copy, strlen(text), NULL);

    free(copy);
    return value;
}

static void reads_what_is_json(void **state)
{
    json_t *value = load(*state, "{\"a\":[1,true,null,\"\\u00e9\"]}");

    assert_non_null(value);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(value, "a"), 0)), 1);
    assert_non_null(load(*state, "7"));
}

static void refuses_what_is_not(void **state)
{
    static const char *const bad[] = { "", "{", "{\"a\":1,\"a\":2}", "[1,]", "{\"a\":1} x",
                                       "\xef\xbb\xbf{}",
                                       "\"\xff\"", "\"\\ud800\"", "\"\\u0000\"", "[1e400]", "01",
                                       "{'a':1}",
                                       "[18446744073709551616]", "nul", "\"a\nb\"" };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(load(*state, bad[i]));
    }
}

static void depth_is_bounded(void **state)
{
    char text[2 * 33 + 1];
    const char *why = NULL;

    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    assert_null(og_json_load(*state, text, 66, &why));
    assert_string_equal(why, "nested deeper than 32 levels");
    assert_non_null(og_json_load(*state, text + 1, 64, &why));
    assert_non_null(load(*state, "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]"));
}

static void writes_commas_and_escapes(void **state)
{
    og_jsonw w;

    og_jsonw_init(&w, *state, 0);
    og_jsonw_begin(&w, '{');
    og_jsonw_name(&w, "s");
    og_jsonw_string(&w, "a\"\\\n\x01\x7f\xc3\xa9\xff\xed\xa0\x80z");
    og_jsonw_name(&w, "n");
    og_jsonw_int(&w, -9007199254740991);
    og_jsonw_name(&w, "l");
    og_jsonw_begin(&w, '[');
    og_jsonw_bool(&w, 1);
    og_jsonw_null(&w);
    og_jsonw_string(&w, NULL);
    og_jsonw_raw(&w, "{}", 2);
    og_jsonw_end(&w, ']');
    og_jsonw_name(&w, "e");
    og_jsonw_begin(&w, '[');
    og_jsonw_end(&w, ']');
    og_jsonw_end(&w, '}');
    assert_string_equal(
        og_jsonw_text(&w),
        "{\"s\":\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
        "\xef\xbf\xbdz\",\"n\":-9007199254740991,\"l\":[true,null,null,{}],\"e\":[]}");
}

static void what_it_writes_it_reads(void **state)
{
    char bytes[256];
    og_jsonw w;
    int i;

    for (i = 0; i < 256; i++) {
        bytes[i] = (char)(i ? i : 1);
    }
    og_jsonw_init(&w, *state, 0);
    for (i = 0; i < 40; i++) {
        og_jsonw_init(&w, *state, 0);
        og_jsonw_string_n(&w, bytes + i, sizeof(bytes) - (size_t)i);
        assert_non_null(og_json_load(*state, w.text, w.len, NULL));
    }
}

/* The hash by which jansson places a key, of the 12 bytes that ours have */
static apr_uint32_t rotate(apr_uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static apr_uint32_t hash(const char key[12], apr_uint32_t seed)
{
    static const int by[] = { 14, 11, 25, 16, 4, 14, 24 };
    apr_uint32_t v[3], words[3]; /* v: c, a, b */
    int i;

    memcpy(words, key, 12);
    v[0] = 0xdeadbeef + 12 + seed + words[2];
    v[1] = 0xdeadbeef + 12 + seed + words[0];
    v[2] = 0xdeadbeef + 12 + seed + words[1];
    for (i = 0; i < 7; i++) {
        v[i % 3] ^= v[(i + 2) % 3];
        v[i % 3] -= rotate(v[(i + 2) % 3], by[i]);
    }
    return v[0];
}

#define KEYS 4000
#define SEED 12345

/* An object of keys that all have one place under SEED, or of just as many others */
static char *object_of(int colliding)
{
    char *text = malloc(20 * KEYS), *to = text;
    int n = 0, found = 0;

    for (; found < KEYS; n++) {
        char key[16];

        snprintf(key, sizeof(key), "%012d", n);
        if (!colliding || hash(key, SEED) % 4096 == 1) {
            to += sprintf(to, "%c\"%s\":1", found++ ? ',' : '{', key);
        }
    }
    strcpy(to, "}");
    return text;
}

/* Nanoseconds of this thread, the least of some turns: what others do meanwhile does not count. */
static double cost_of(const char *text)
{
    double least = 1e18;
    int i;

    for (i = 0; i < 7; i++) {
        struct timespec from, to;
        apr_pool_t *p;
        double took;

        apr_pool_create(&p, NULL);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        assert_non_null(og_json_load(p, text, strlen(text), NULL));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        apr_pool_destroy(p);
        took = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
        least = took < least ? took : least;
    }
    return least;
}

/* How many times as long keys that collide under SEED take, in a process that has this seed, or in
 * one that drew its own; in tenths, at most 255 */
static int slowdown(const char *colliding, const char *others, int guessed)
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        double ratio;

        if (guessed) {
            json_object_seed(SEED);
        }
        ratio = 10 * cost_of(colliding) / cost_of(others);
        _exit(ratio < 255 ? (int)ratio : 255);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* B35: jansson draws a seed a process, and finds duplicates through the same table. First in
 * main(): the seed is drawn with a process's first object. */
static void members_that_collide_under_one_seed_do_not_under_another(void **state)
{
    char *colliding = object_of(1), *others = object_of(0);

    assert_in_range(slowdown(colliding, others, 1), 40, 255);
    assert_in_range(slowdown(colliding, others, 0), 0, 30);
    free(colliding);
    free(others);
}

static void no_nul(void **state)
{
    static const struct {
        const char *text;
        apr_size_t len;
    } cases[] = { { "{\"a\":2\0}", 8 }, { "[1\0]", 4 }, { "1\0", 2 }, { "\0", 1 },
                  { "{\"a\":\"\0\"}", 9 }, { "[true\0]", 7 } };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *why = NULL;

        assert_null(og_json_load(*state, cases[i].text, cases[i].len, &why));
        assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_nul, pool_up, pool_down),
        cmocka_unit_test(members_that_collide_under_one_seed_do_not_under_another),
        unit_pool_test(reads_what_is_json),
        unit_pool_test(refuses_what_is_not),
        unit_pool_test(depth_is_bounded),
        unit_pool_test(writes_commas_and_escapes),
        unit_pool_test(what_it_writes_it_reads),
    };

    return unit_run(tests);
}
