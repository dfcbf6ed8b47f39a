/* SPDX-License-Identifier: MIT */
/*
 * test_mailbox.c - messages between threads: order, bounds, wake-ups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "fax/mailbox.h"

static void count_wake(void *user)
{
    ++*(int *)user;
}

static void test_order_and_bounds(void **state)
{
    struct mailbox *box;
    int wakes = 0;
    int got;

    (void)state;
    assert_int_equal(mailbox_new(&box, sizeof(int), 50, count_wake, &wakes), 0);
    assert_false(mailbox_take(box, &got));
    /* Three rounds, so that the ring turns over while it grows. */
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 7; i++)
            assert_int_equal(mailbox_post(box, &i), 0);
        for (int i = 0; i < 7; i++) {
            assert_true(mailbox_take(box, &got));
            assert_int_equal(got, i);
        }
    }
    assert_int_equal(wakes, 3); /* one for each burst */
    for (int i = 0; i < 50; i++)
        assert_int_equal(mailbox_post(box, &i), 0);
    assert_int_equal(mailbox_post(box, &wakes), ERROR_FULL);
    for (int i = 0; i < 50; i++) {
        assert_true(mailbox_take(box, &got));
        assert_int_equal(got, i);
    }
    assert_false(mailbox_take(box, &got));
    mailbox_free(box);
    mailbox_free(NULL);
}

enum { POSTERS = 4, EACH = 5000 };

struct post {
    struct mailbox *box;
    int who;
};

static void *post_run(void *arg)
{
    struct post *post = arg;

    for (int i = 0; i < EACH; i++) {
        int message = post->who * EACH + i;

        while (mailbox_post(post->box, &message) != 0)
            sched_yield();
    }
    return NULL;
}

static void wake_fd(void *user)
{
    thread_wake(*(int *)user);
}

/* Each poster's messages arrive once and in its order. */
static void test_threads(void **state)
{
    struct mailbox *box;
    struct post posts[POSTERS];
    pthread_t threads[POSTERS];
    int next[POSTERS] = {0};
    int fd = thread_wake_new();
    int got;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(mailbox_new(&box, sizeof(int), 64, wake_fd, &fd), 0);
    for (int i = 0; i < POSTERS; i++) {
        posts[i] = (struct post){box, i};
        assert_int_equal(thread_start(&threads[i], "post", post_run, &posts[i]), 0);
    }
    for (int count = 0; count < POSTERS * EACH;) {
        if (!mailbox_take(box, &got)) {
            sched_yield();
            continue;
        }
        assert_int_equal(got % EACH, next[got / EACH]);
        next[got / EACH]++;
        count++;
    }
    for (int i = 0; i < POSTERS; i++)
        thread_join(threads[i]);
    assert_false(mailbox_take(box, &got));
    mailbox_free(box);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_bounds),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
