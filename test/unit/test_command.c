/* SPDX-License-Identifier: MIT */
/*
 * test_command.c - what the faxpost command shows: cells, bars, states, shortened identities; and
 * the commands themselves on a spool that nobody has open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "spool/incoming.h"
#include "src/command.h"
#include "src/control_commands.h"
#include "src/control_json.h"

static void test_cells(void **state)
{
    static const struct {
        const char *text;
        int width;
        const char *expected;
    } table[] = {
        {"abc", 5, "abc  "},
        {"abc", -5, "  abc"},
        {"abcde", 5, "abcde"},
        {"abcdef", 5, "abcd…"},
        {"", 2, "  "},
        {"äöü", 4, "äöü "},
        {"äöüß", 3, "äö…"},
        {"a\033[2Jb", 6, "a?[2Jb"},
        {"a\nb", 3, "a?b"},
        {"\xff", 2, "? "},
        {"\xe2\x80\xae"
         "abc",
         4, "?abc"},
    };
    char out[CELL_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_string_equal(cell(out, table[i].text, table[i].width), table[i].expected);
    assert_int_equal(strlen(cell(out, "x", 1000)), 60);
    assert_string_equal(line_of(out, "x "), "x");
}

static void test_progress(void **state)
{
    static const struct {
        int rows, y_per_m, percent;
        const char *bar;
    } table[] = {
        {0, 7700, 0, "[----------]"},       {-5, 7700, 0, "[----------]"},
        {1143, 7700, 50, "[#####-----]"},   {2286, 7700, 99, "[#########-]"},
        {571, 3850, 49, "[####------]"},    {99999, 3850, 99, "[#########-]"},
        {1143, 0, 50, "[#####-----]"},      {2286, 15400, 49, "[####------]"},
        {2147483647, 1, 0, "[----------]"},
    };
    char bar[BAR_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(progress_percent(table[i].rows, table[i].y_per_m), table[i].percent);
        assert_string_equal(progress_bar(bar, table[i].percent, 10), table[i].bar);
    }
    assert_int_equal(strlen(progress_bar(bar, 99, 1000)), BAR_MAX - 1);
}

static void test_states(void **state)
{
    static const struct {
        const char *fax, *expected;
    } table[] = {
        {"{'state': 'taken', 'deliveries': []}", "taken over"},
        {"{'state': 'taken', 'compose_failures': 2}", "not composed"},
        {"{'state': 'empty'}", "no page"},
        {"{'state': 'composed', 'deliveries': [{'state': 'done'}]}", "done"},
        {"{'state': 'composed', 'deliveries': [{'state': 'done'}, {'state': 'failed'}]}", "failed"},
        {"{'state': 'composed', 'deliveries': [{'state': 'done'}, {'state': 'cancelled'}]}",
         "done"},
        {"{'deliveries': [{'state': 'waiting', 'attempts': 3}]}", "waiting, 3 tried"},
        {"{'deliveries': [{'state': 'waiting', 'attempts': 0}]}", "waiting"},
        {"{'deliveries': [{'state': 'done', 'uncertain': true}]}", "done, uncertain"},
        {"{}", "taken over"},
    };
    char text[400];
    char out[CELL_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        json_t *fax;
        char *p;

        text_copy(text, sizeof text, table[i].fax);
        for (p = text; *p != '\0'; p++)
            if (*p == '\'')
                *p = '"';
        fax = json_loads(text, 0, NULL);
        assert_non_null(fax);
        assert_string_equal(fax_state(out, fax), table[i].expected);
        json_decref(fax);
    }
}

static void test_identities(void **state)
{
    static const char id[] = "20261121T101530123-k7f3a9c2d1e4";

    (void)state;
    assert_true(control_id_matches(id, id));
    assert_true(control_id_matches(id, "k7f"));
    assert_true(control_id_matches(id, "K7F3"));
    assert_true(control_id_matches(id, "20261121T"));
    assert_false(control_id_matches(id, "k7"));
    assert_false(control_id_matches(id, ""));
    assert_false(control_id_matches(id, "%"));
    assert_string_equal(control_id_short(id), "k7f3a9c2d1e4");
    assert_string_equal(control_id_short("none"), "none");
    assert_string_equal(control_id_short("x-"), "x-");
}

static void test_foreign_text_as_json(void **state)
{
    json_t *good = json_text("Grüße");
    json_t *bad = json_text("a\xff"
                            "b");

    (void)state;
    assert_string_equal(json_string_value(good), "Grüße");
    assert_string_equal(json_string_value(bad), "a?b");
    json_decref(good);
    json_decref(bad);
}

/* ---- on a spool -------------------------------------------------------------------------------
 */

static char folder[] = "/tmp/test_command.XXXXXX";

/* A fax of one page that was taken over; its identity. */
static void add_fax(struct spool *spool, char id[FAX_ID_MAX])
{
    struct call_info call = {.started_ms = 1700000000000, .verdict = CALL_COMPLETE, .pages = 1};
    struct incoming *incoming;

    fax_id_new(id, clock_wall_ms());
    text_copy(call.fax_id, sizeof call.fax_id, id);
    text_copy(call.caller, sizeof call.caller, "5551234");
    assert_int_equal(incoming_new(&incoming, spool_state_dir(spool), &call), 0);
    assert_int_equal(incoming_store_page(incoming, 1, "II*", 3), 0);
    incoming_write_info(incoming, &call, 1);
    incoming_close(incoming);
    assert_int_equal(spool_take_over(spool, 10), 1);
}

/* Runs {"command": command, "id": id}; gives the reply. */
static json_t *run(struct spool *spool, bool may_change, const char *command, const char *id)
{
    struct control_context context = {.spool = spool, .may_change = may_change};
    json_t *request = json_pack("{s:s, s:s*}", "command", command, "id", id);
    json_t *reply = control_run(&context, request);

    json_decref(request);
    assert_non_null(reply);
    return reply;
}

static void expect_failure(struct spool *spool, bool may_change, const char *command,
                           const char *id, const char *why)
{
    json_t *reply = run(spool, may_change, command, id);

    assert_true(json_is_false(json_object_get(reply, "ok")));
    if (strstr(member_text(reply, "why"), why) == NULL)
        fail_msg("%s %s: %s", command, id, member_text(reply, "why"));
    json_decref(reply);
}

static void expect_success(struct spool *spool, const char *command, const char *id)
{
    json_t *reply = run(spool, true, command, id);

    if (!json_is_true(json_object_get(reply, "ok")))
        fail_msg("%s %s: %s", command, id, member_text(reply, "why"));
    json_decref(reply);
}

static void test_commands(void **state)
{
    struct spool_recipient recipient = {"a@example.com"};
    struct spool *spool;
    char one[FAX_ID_MAX];
    char two[FAX_ID_MAX];
    char text[20];
    json_t *reply;
    const json_t *fax;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(spool_open(&spool, folder, SPOOL_OWN), 0);
    add_fax(spool, one);
    add_fax(spool, two);
    assert_int_equal(spool_fax_composed(spool, one, "sales", "x@y", "op@example.com", 10,
                                        &recipient, 1, clock_wall_ms()),
                     0);

    reply = run(spool, false, "list", NULL);
    assert_int_equal(json_array_size(json_object_get(reply, "faxes")), 2);
    json_decref(reply);
    reply = run(spool, false, "show", control_id_short(one));
    fax = json_object_get(reply, "fax");
    assert_string_equal(member_text(fax, "id"), one);
    assert_string_equal(member_text(fax, "caller"), "5551234");
    assert_string_equal(member_text(fax, "started"), "2023-11-14T22:13:20.000Z");
    assert_null(json_object_get(fax, "password"));
    assert_int_equal(json_array_size(json_object_get(fax, "deliveries")), 1);
    json_decref(reply);

    text_copy(text, 9, one); /* the day: both have it */
    expect_failure(spool, true, "show", text, "2 faxes fit");
    expect_failure(spool, true, "show", "zzz", "no fax is called");
    expect_failure(spool, true, "show", "", "at least 3");
    expect_failure(spool, true, "show", NULL, "name a fax");
    expect_failure(spool, false, "hold", one, "only root");
    expect_failure(spool, true, "hold", two, "nothing to hold");
    expect_success(spool, "hold", one);
    expect_success(spool, "release", control_id_short(one));
    expect_success(spool, "cancel", one);
    expect_failure(spool, true, "cancel", one, "nothing to cancel");
    expect_success(spool, "retry", one);
    expect_success(spool, "log", one);
    expect_success(spool, "status", NULL);
    expect_failure(spool, true, "explode", NULL, "no such command");
    spool_close(spool);
}

static int tear_down(void **state)
{
    char command[60];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_foreign_text_as_json),
        cmocka_unit_test(test_commands),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down);
}
