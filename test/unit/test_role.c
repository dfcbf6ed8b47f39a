/* SPDX-License-Identifier: MIT */
/*
 * test_role.c - messages between supervisor and roles, how a death is told, and the back-off.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "src/child.h"
#include "src/loop.h"
#include "src/role.h"

static int pair[2];

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static void test_message(void **state)
{
    static struct role_message message;
    int pipes[2];
    char octet = 0;

    (void)state;
    assert_int_equal(role_receive(pair[1], &message), ERROR_TIMEOUT);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(role_send(pair[0], ROLE_COMPOSE_SOCKET, -7, "words", &pipes[1], 1), 0);
    close(pipes[1]);
    assert_int_equal(role_receive(pair[1], &message), 0);
    assert_int_equal(message.type, ROLE_COMPOSE_SOCKET);
    assert_int_equal(message.number, -7);
    assert_string_equal(message.text, "words");
    assert_int_equal(message.fd_count, 1);
    assert_int_equal(write(message.fd[0], "x", 1), 1);
    close(message.fd[0]);
    assert_int_equal(read(pipes[0], &octet, 1), 1);
    assert_int_equal(read(pipes[0], &octet, 1), 0); /* no other copy is left open */
    close(pipes[0]);
}

static void test_long_text_is_cut(void **state)
{
    static struct role_message message;
    static char text[3 * ROLE_TEXT_MAX];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(role_send(pair[0], ROLE_FAILED, 0, text, NULL, 0), 0);
    assert_int_equal(role_receive(pair[1], &message), 0);
    assert_int_equal(strlen(message.text), ROLE_TEXT_MAX - 1);
}

static void test_nonsense(void **state)
{
    static const struct {
        const char *octets;
        size_t length;
    } table[] = {
        {"x", 1},
        {"0123456789012345", 16},
        {"\0\0\0\0\0\0\0\0\x01\0\0\0pxa?", 16},
        {"\0\0\0\0\0\0\0\0\xff\xff\0\0pxaf", 16},
    };
    static char large[20000];
    static struct role_message message;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        send(pair[0], table[i].octets, table[i].length, 0);
        assert_int_equal(role_receive(pair[1], &message), ERROR_FORMAT);
    }
    send(pair[0], large, sizeof large, 0);
    assert_int_equal(role_receive(pair[1], &message), ERROR_FORMAT);
    shutdown(pair[0], SHUT_RDWR);
    assert_int_equal(role_receive(pair[1], &message), ERROR_CLOSED);
    assert_int_equal(role_send(pair[0], ROLE_PING, 0, NULL, NULL, 0), ERROR_CLOSED);
}

static void test_full_channel_does_not_block(void **state)
{
    int error = 0;
    int i;

    (void)state;
    for (i = 0; i < 100000 && error == 0; i++)
        error = role_send(pair[0], ROLE_PING, i, NULL, NULL, 0);
    assert_int_equal(error, ERROR_FULL);
}

static void test_settings_go_over(void **state)
{
    static struct role_message message;
    static const char text[] = "[gateway]\nhostname = fax.example.com\n[mail]\nsubject = s\n";
    struct settings settings = {{NULL}};
    struct settings *out;

    (void)state;
    assert_int_equal(
        conf_parse(&settings.file[SETTINGS_FAXPOST], text, "t", "/", conf_keys_faxpost, NULL, NULL),
        0);
    assert_int_equal(conf_parse(&settings.file[SETTINGS_BYPASS], "[sender]\nx = allow\n", "t", "/",
                                conf_keys_bypass, NULL, NULL),
                     0);
    assert_int_equal(role_send_settings(pair[0], ROLE_DELIVER, &settings), 0);
    assert_int_equal(role_receive(pair[1], &message), 0);
    assert_int_equal(role_take_settings(&out, &message), 0);
    assert_int_equal(message.fd_count, 0);
    assert_string_equal(conf_text(out->file[SETTINGS_FAXPOST], "gateway", NULL, "hostname"),
                        "fax.example.com");
    assert_null(out->file[SETTINGS_SERVERS]);
    assert_non_null(out->file[SETTINGS_BYPASS]);
    settings_free(out);
    assert_int_equal(role_send(pair[0], ROLE_SETTINGS, 7, NULL, NULL, 0), 0);
    assert_int_equal(role_receive(pair[1], &message), 0);
    assert_int_equal(role_take_settings(&out, &message), ERROR_FORMAT);
    conf_free(settings.file[SETTINGS_FAXPOST]);
    conf_free(settings.file[SETTINGS_BYPASS]);
}

static void test_backoff(void **state)
{
    static const struct {
        int before;
        int64_t life_ms;
        int after;
    } table[] = {
        {0, 0, 100},       {100, 5, 200},     {200, 59999, 400},   {12800, 0, 25600},
        {25600, 0, 30000}, {30000, 0, 30000}, {30000, 60000, 100},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(child_backoff(table[i].before, table[i].life_ms), table[i].after);
}

/* Who was told to end, and did, is wanted again at once, however often; who died is waited for. */
static void test_next_start(void **state)
{
    static const struct {
        bool is_told;
        int status;
        int64_t after_ms;
    } table[] = {
        {true, 0, 0}, {true, 0, 0},    {true, SIGKILL, 100},
        {true, 0, 0}, {false, 0, 100}, {false, 0, 200},
    };
    struct child child = {.role = ROLE_DELIVER, .channel = -1};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        child.pid = 1;
        child.state = CHILD_READY;
        child.is_told = false;
        child.started_ms = 1000;
        if (table[i].is_told)
            child_stop(&child, 5000);
        else
            child.state = CHILD_STOPPING; /* it closed its channel */
        child_ended(&child, table[i].status, 2000);
        assert_int_equal(child.state, CHILD_DOWN);
        assert_int_equal(child.pid, 0);
        assert_int_equal(child.start_at_ms, 2000 + table[i].after_ms);
    }
}

static void test_status_text(void **state)
{
    char text[80];

    (void)state;
    assert_string_equal(child_status_text(SIGKILL, text, sizeof text), "signal 9 (Killed)");
    assert_string_equal(child_status_text(3 << 8, text, sizeof text), "exit code 3");
    assert_string_equal(child_status_text(SIGSEGV | 0x80, text, sizeof text),
                        "signal 11 (Segmentation fault), core dumped");
}

/* A handler may remove the watch of another that is ready too. */
struct both {
    struct loop *loop;
    struct loop_watch watch[2];
    int calls;
};

static void remove_other(void *user, uint32_t events)
{
    struct both *both = user;

    (void)events;
    both->calls++;
    loop_remove(both->loop, &both->watch[0]);
    loop_remove(both->loop, &both->watch[1]);
}

static void test_loop(void **state)
{
    struct both both = {0};
    int i;

    (void)state;
    assert_int_equal(loop_new(&both.loop), 0);
    for (i = 0; i < 2; i++) {
        both.watch[i] = (struct loop_watch){pair[i], remove_other, &both};
        assert_int_equal(loop_add(both.loop, &both.watch[i], EPOLLOUT), 0);
    }
    assert_int_equal(loop_wait(both.loop, 1000), 0);
    assert_int_equal(both.calls, 1);
    assert_int_equal(loop_wait(both.loop, 0), 0);
    assert_int_equal(both.calls, 1);
    loop_free(both.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_text_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_channel_does_not_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings_go_over, set_up, tear_down),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_next_start),
        cmocka_unit_test(test_status_text),
        cmocka_unit_test_setup_teardown(test_loop, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
