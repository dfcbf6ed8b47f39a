/* SPDX-License-Identifier: MIT */
/*
 * test_settings.c - the checks across keys and files, the parts that roles get, and what a reload
 * may change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "message/message.h"
#include "src/settings.h"

#define GATEWAY "[gateway]\nstate_dir = s\nrun_dir = r\noperator = op@example.com\n"
#define SERVER  "[server one]\nrank = 1\nhost = mail.example.com\n"

static char folder[] = "/tmp/test_settings.XXXXXX";
static const char *const names[SETTINGS_FILES] = {"faxpost.ini", "servers.ini", "bypass.ini",
                                                  "modems.ini"};

struct problems {
    char text[8192];
    int count;
};

static void note(void *user, const char *file, int line, const char *what)
{
    struct problems *p = user;
    const char *slash = strrchr(file, '/');
    size_t used = strlen(p->text);

    snprintf(p->text + used, sizeof p->text - used, "%s:%d: %s\n", slash != NULL ? slash + 1 : file,
             line, what);
    p->count++;
}

/* Loads the three texts (NULL: no such file). */
static int load(struct settings **out, const char *const texts[SETTINGS_FILES], struct problems *p)
{
    char path[100];
    int i;

    *p = (struct problems){0};
    for (i = 0; i < SETTINGS_FILES; i++) {
        FILE *f;

        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
        if (texts[i] == NULL)
            continue;
        f = fopen(path, "w");
        fputs(texts[i], f);
        fclose(f);
    }
    snprintf(path, sizeof path, "%s/faxpost.ini", folder);
    return settings_load(out, path, note, p);
}

static void test_faults(void **state)
{
    static const struct {
        const char *texts[SETTINGS_FILES];
        const char *expect;
    } table[] = {
        {{NULL}, "faxpost.ini:0: there is no such file"},
        {{GATEWAY "hostname = a b\n"}, "faxpost.ini:5: hostname"},
        {{"[gateway]\noperator = a@b, c\n"}, NULL},
        {{"[gateway]\noperator = a@b@c\n"}, "faxpost.ini:2: "},
        {{GATEWAY "[line a]\nstation = 012345678901234567890\n"},
         "faxpost.ini:6: [line a] station"},
        {{GATEWAY "[line a]\nstation = ACME Corp\n"}, "T.30 knows only digits"},
        {{GATEWAY "[line a]\nstation = +1 555 2000\n"}, NULL},
        {{GATEWAY "[line a]\nmedia_address = host\n"}, "is no IP address"},
        {{GATEWAY "[line a]\nmedia_ports = 20000-20001\n"}, "too few"},
        {{GATEWAY "[line a]\n[line b]\n"}, "[line b] listens on 0.0.0.0:5060 as [line a] does"},
        {{GATEWAY "[line a]\ntransport = udp\n[line b]\ntransport = tcp\n"}, NULL},
        {{GATEWAY "[line a]\ntype = modem\n"}, "faxpost.ini:6: [line a] has no device"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = /dev/ttyX9\n"}, NULL},
        {{GATEWAY "[line a]\ndevice = /dev/ttyX9\n"}, "device is for type = modem"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = /dev/ttyX9\nt38 = never\n"},
         "faxpost.ini:8: [line a] t38 is for type = sip"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = /dev/ttyX9\nt38 = ask\n"}, NULL},
        {{GATEWAY "[line a]\ntype = modem\ndevice = /dev/null\n[line b]\ntype = modem\n"
                  "device = /dev/../dev/null\n"},
         "faxpost.ini:10: [line b] device = \"/dev/../dev/null\" is that of [line a] too"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\nspeed = 115000\n"}, "none that ports have"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\nspeed = 0\n"}, "out of range"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\nflow = cts\n"}, "write rtscts, xonxoff"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\nclass = 3\n"}, "auto, 1, 1.0, 2, 2.0 or"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\nclass = 1.0\ninit = &D2|\\N0\n"}, NULL},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\ninit = \xc3\xa4\n"}, "no modem takes"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\ncaller_id = none\nrings = 3\n"}, NULL},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\nrings = 0\n"}, "out of range"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\ndeny = 555*, anonymous\n"}, NULL},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\ndeny = 555*, 192.0.2.0/24\n"},
         "faxpost.ini:8: [line a] deny = \"555*, 192.0.2.0/24\" has a net"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\nallow = 192.0.2.0/99\n"},
         "faxpost.ini:8: [line a] allow = \"192.0.2.0/99\" is no list"},
        {{GATEWAY "[line a]\ntype = modem\ndevice = m\ncaller_id = none\nallow = 5\n"},
         "faxpost.ini:9: [line a] allow needs the numbers"},
        {{GATEWAY "[line a]\n[line b]\ntype = modem\ndevice = m\n"},
         NULL}, /* no listen of its own */
        {{GATEWAY "[mail]\nsubject = {colour}\n"}, "faxpost.ini:6: [mail] subject: "},
        {{GATEWAY "[mail]\nfrom = nobody\n"}, "faxpost.ini:6: [mail] from: "},
        {{GATEWAY "[mail]\nenvelope_from = nobody\n"}, "envelope_from = \"nobody\" is no mail"},
        {{GATEWAY "[mail]\nhello = a b\n"}, "hello"},
        {{GATEWAY "[retry]\nwait = 2h\n"}, "wait_max is less than wait"},
        {{GATEWAY "[route a]\nto = not an address\n"}, "faxpost.ini:6: "},
        {{GATEWAY "[mail]\nmailbox = no\n"}, NULL},
        {{GATEWAY, SERVER "port = x\n"}, "servers.ini:4: port"},
        {{GATEWAY, SERVER "[server two]\nrank = 1\nhost = b\n"}, "servers.ini:5: "},
        {{GATEWAY, SERVER "auth = plain\n"}, "servers.ini:"},
        {{GATEWAY, SERVER, "[sender]\ntrunk = maybe\n"}, "bypass.ini:2: "},
        {{GATEWAY, SERVER, "[sender]\ntrunk = allow 2\n"}, NULL},
        {{GATEWAY, NULL, NULL, "[model a]\nmatch = *ACME*\n"}, NULL},
        {{GATEWAY, NULL, NULL, "[model a]\nmach = *ACME*\n"}, "modems.ini:2: no such key"},
        {{GATEWAY, NULL, NULL, "[model a]\nmatch = *\n"}, "modems.ini:2: [model a] match"},
        {{GATEWAY, NULL, NULL, "[model a]\nusb = 0572-1329\n"}, "modems.ini:2: [model a] usb"},
        {{GATEWAY, NULL, NULL, "[model a]\nclasses = 1, 1.0, 3\n"}, "modems.ini:2: classes: "},
        {{GATEWAY, SERVER "x = 1\n", "[sendr]\n"}, "bypass.ini:1: "}, /* both files are told */
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct problems p;
        struct settings *settings = NULL;
        int error = load(&settings, table[i].texts, &p);

        if (table[i].expect == NULL && error < 0)
            fail_msg("row %zu is refused: %s", i, p.text);
        if (table[i].expect != NULL &&
            (error != ERROR_CONFIG || strstr(p.text, table[i].expect) == NULL))
            fail_msg("row %zu gives %d: %s without: %s", i, error, p.text, table[i].expect);
        settings_free(settings);
    }
}

static const char whole[] =
    GATEWAY "[line a]\nstation = 123\n[route x]\nto = a@b\n[mail]\nsubject = s\n";

static void test_parts(void **state)
{
    static const char *const texts[SETTINGS_FILES] = {whole, SERVER, "[bypass]\n", "[model x]\n"};
    static const struct {
        enum role role;
        const char *has[3];
        const char *lacks[4];
        bool tables;
    } table[] = {
        {ROLE_RECEIVE,
         {"[line a]", "[limits]", "state_dir"},
         {"[route", "[mail]", "[retry]"},
         false},
        {ROLE_COMPOSE, {"[gateway]"}, {"[line", "[route", "[mail]"}, false},
        {ROLE_DELIVER, {"[route x]", "[mail]", "[retry]"}, {"[line"}, true},
    };
    struct problems p;
    struct settings *settings;
    size_t i;
    size_t j;

    (void)state;
    if (load(&settings, texts, &p) != 0)
        fail_msg("%s", p.text);
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *parts[SETTINGS_FILES];
        struct settings *again;

        for (j = 0; j < SETTINGS_FILES; j++)
            assert_int_equal(
                settings_part(settings, table[i].role, (enum settings_file)j, &parts[j]), 0);
        for (j = 0; j < 3 && table[i].has[j] != NULL; j++)
            assert_non_null(strstr(parts[0], table[i].has[j]));
        for (j = 0; j < 4 && table[i].lacks[j] != NULL; j++)
            assert_null(strstr(parts[0], table[i].lacks[j]));
        assert_int_equal(parts[1] != NULL, table[i].tables);
        assert_int_equal(parts[2] != NULL, table[i].tables);
        assert_int_equal(parts[3] != NULL, table[i].role == ROLE_RECEIVE);
        assert_int_equal(settings_from_parts(&again, parts), 0);
        settings_free(again);
        for (j = 0; j < SETTINGS_FILES; j++)
            free(parts[j]);
    }
    settings_free(settings);
}

static void test_restart(void **state)
{
    static const char *const before[SETTINGS_FILES] = {GATEWAY};
    static const struct {
        const char *texts[SETTINGS_FILES];
        const char *reason;
    } table[] = {
        {{GATEWAY "[limits]\nworkers = 3\n"}, NULL},
        {{GATEWAY "user = root\n"}, "user cannot change"},
        {{"[gateway]\nstate_dir = t\nrun_dir = r\n"}, "state_dir cannot change"},
        {{"[gateway]\nstate_dir = s\nrun_dir = t\n"}, "run_dir cannot change"},
    };
    struct problems p;
    struct settings *old;
    size_t i;

    (void)state;
    assert_int_equal(load(&old, before, &p), 0);
    for (i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct settings *new;
        const char *reason;

        assert_int_equal(load(&new, table[i].texts, &p), 0);
        reason = settings_restart_reason(old, new);
        if (table[i].reason == NULL)
            assert_null(reason);
        else if (reason == NULL || strstr(reason, table[i].reason) == NULL)
            fail_msg("row %zu: %s", i, reason != NULL ? reason : "no reason");
        settings_free(new);
    }
    settings_free(old);
}

static void test_warnings(void **state)
{
    static const char *const bare[SETTINGS_FILES] = {"[gateway]\nstate_dir = s\nrun_dir = r\n"};
    struct problems p;
    struct settings *settings;

    (void)state;
    assert_int_equal(load(&settings, bare, &p), 0);
    settings_warn(settings, note, &p);
    assert_non_null(strstr(p.text, "no [line NAME]"));
    assert_non_null(strstr(p.text, "operator is not set"));
    settings_free(settings);
}

/* The table cannot include message/: its defaults must say the same. */
static void test_templates_are_the_composers(void **state)
{
    static const char *const texts[SETTINGS_FILES] = {GATEWAY};
    struct problems p;
    struct settings *settings;
    const struct conf *conf;

    (void)state;
    assert_int_equal(load(&settings, texts, &p), 0);
    conf = settings->file[SETTINGS_FAXPOST];
    assert_string_equal(conf_text(conf, "mail", NULL, "from"), MESSAGE_FROM_DEFAULT);
    assert_string_equal(conf_text(conf, "mail", NULL, "subject"), MESSAGE_SUBJECT_DEFAULT);
    assert_string_equal(conf_text(conf, "mail", NULL, "file_name"), MESSAGE_FILE_NAME_DEFAULT);
    settings_free(settings);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    char path[100];
    int i;

    (void)state;
    for (i = 0; i < SETTINGS_FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_templates_are_the_composers),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
