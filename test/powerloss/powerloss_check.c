/* SPDX-License-Identifier: MIT */
/*
 * powerloss_check.c - the spool after a power cut, opened by the code that opens it after any other
 * end, and what was promised held against it.
 */
#include "test/powerloss/powerloss_work.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/error.h"
#include "base/file.h"
#include "smtp/mailbox.h"
#include "spool/incoming.h"
#include "spool/spool.h"
#include "test/powerloss/powerloss_content.h"

enum { FAXES_MOST = 32, PATH_BYTES = 1024 };

static char failure[512];

static const char *__attribute__((format(printf, 1, 2))) fault(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(failure, sizeof failure, format, ap);
    va_end(ap);
    return failure;
}

static bool file_is(const char *path, const char *content, size_t length)
{
    char *data = NULL;
    size_t got = 0;
    bool same;

    if (file_read(AT_FDCWD, path, CONTENT_MAX * 4, &data, &got) < 0)
        return false;
    same = got == length && memcmp(data, content, length) == 0;
    free(data);
    return same;
}

static const char *check_database(const char *state)
{
    const char *wrong = NULL;
    sqlite3_stmt *statement = NULL;
    sqlite3 *db = NULL;
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/faxpost.db", state);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        wrong = fault("the database cannot be checked: %s", sqlite3_errmsg(db));
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        wrong = fault("the database: %s", sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return wrong;
}

/* ---- what must be so in any case ---------------------------------------------------------------
 */

static const char *check_message(const char *path, const char *fax_id)
{
    char text[CONTENT_MAX];
    size_t length = content_message(text, fax_id);

    return file_is(path, text, length) ? NULL : fault("torn or missing: %s", path);
}

/* What stands under the name of a page is that page. */
static const char *check_pages(const struct spool_fax *fax)
{
    DIR *dir = opendir(fax->folder);
    const char *wrong = NULL;
    struct dirent *entry;
    int confirmed = 0;

    if (dir == NULL)
        return fault("no folder for %s", fax->call.fax_id);
    while (wrong == NULL && (entry = readdir(dir)) != NULL) {
        char path[PATH_BYTES];
        char page[CONTENT_MAX];
        int number;

        if (sscanf(entry->d_name, "page-%d.tif", &number) == 1)
            confirmed++;
        else if (sscanf(entry->d_name, "unconfirmed-%d.tif", &number) != 1)
            continue;
        snprintf(path, sizeof path, "%s/%s", fax->folder, entry->d_name);
        if (!file_is(path, page, content_page(page, fax->call.fax_id, number)))
            wrong = fault("torn: %s", path);
    }
    closedir(dir);
    if (wrong == NULL && confirmed != fax->call.pages)
        wrong =
            fault("%s: %d pages recorded, %d there", fax->call.fax_id, fax->call.pages, confirmed);
    return wrong;
}

static const char *check_fax(struct spool *spool, const struct spool_fax *fax)
{
    struct spool_delivery deliveries[4];
    char path[PATH_BYTES];
    const char *wrong = fax->kind == SPOOL_KIND_FAX ? check_pages(fax) : NULL;
    int count = spool_delivery_list(spool, fax->call.fax_id, deliveries, 4);
    int i;

    snprintf(path, sizeof path, "%s/message.eml", fax->folder);
    if (wrong == NULL && fax->state == SPOOL_FAX_COMPOSED)
        wrong = check_message(path, fax->call.fax_id);
    if (wrong == NULL && fax->state == SPOOL_FAX_COMPOSED && count < 1)
        wrong = fault("%s has no delivery", fax->call.fax_id);
    for (i = 0; i < count && wrong == NULL; i++)
        if (deliveries[i].state == SPOOL_SENDING)
            wrong = fault("%s is still being sent", fax->call.fax_id);
    return wrong;
}

static const char *check_mailbox(const char *folder)
{
    DIR *dir = opendir(folder);
    const char *wrong = NULL;
    struct dirent *entry;

    while (dir != NULL && wrong == NULL && (entry = readdir(dir)) != NULL) {
        char path[PATH_BYTES];
        char id[FAX_ID_MAX];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%.600s/%s", folder, entry->d_name);
        snprintf(id, sizeof id, "%.*s", (int)strcspn(entry->d_name, "."), entry->d_name);
        wrong = check_message(path, id);
    }
    if (dir != NULL)
        closedir(dir);
    return wrong;
}

static const char *check_always(struct spool *spool)
{
    static const char *const names[] = {"a@example.com", "b@example.com"};
    struct spool_fax *faxes = calloc(FAXES_MOST, sizeof *faxes);
    const char *wrong = faxes == NULL ? fault("out of memory") : NULL;
    int count = wrong == NULL ? spool_fax_list(spool, NULL, faxes, FAXES_MOST) : 0;
    int i;

    if (count < 0)
        wrong = fault("no list: %s", error_text(count));
    for (i = 0; i < count && wrong == NULL; i++)
        wrong = check_fax(spool, &faxes[i]);
    for (i = 0; i < 2 && wrong == NULL; i++) {
        char path[PATH_BYTES];

        snprintf(path, sizeof path, "%.400s/mailbox/%s/new", spool_state_dir(spool), names[i]);
        wrong = check_mailbox(path);
    }
    free(faxes);
    return wrong;
}

/* ---- what was promised -------------------------------------------------------------------------
 */

static bool was_noted(const char *const *notes, int count, const char *note)
{
    int i;

    for (i = 0; i < count; i++)
        if (strcmp(notes[i], note) == 0)
            return true;
    return false;
}

/* An ended delivery is done, and never becomes due again; one that was begun and has no end says
 * that it is uncertain. */
static const char *check_delivery(struct spool *spool, const char *fax_id, const char *recipient,
                                  bool ended)
{
    struct spool_delivery deliveries[4];
    int count = spool_delivery_list(spool, fax_id, deliveries, 4);
    bool over;
    int i;

    for (i = 0; i < count; i++)
        if (strcmp(deliveries[i].recipient, recipient) == 0)
            break;
    if (i >= count)
        return fault("no delivery of %s to %s", fax_id, recipient);
    over = deliveries[i].state == SPOOL_DONE || deliveries[i].state == SPOOL_FAILED;
    if (ended && !over)
        return fault("%s to %s had ended and is begun again", fax_id, recipient);
    if (!over && !deliveries[i].uncertain)
        return fault("%s to %s was begun, has no end and is not uncertain", fax_id, recipient);
    return NULL;
}

static const char *check_filed(const char *state, const char *fax_id, const char *recipient)
{
    char name[MAILBOX_NAME_MAX];
    char path[PATH_BYTES];

    mailbox_name(name, recipient);
    snprintf(path, sizeof path, "%.300s/mailbox/%s/new/%s.faxpost", state, name, fax_id);
    return check_message(path, fax_id);
}

static const char *check_stored_page(const struct spool_fax *fax, int number)
{
    char page[CONTENT_MAX];
    char path[PATH_BYTES];
    size_t length = content_page(page, fax->call.fax_id, number);

    snprintf(path, sizeof path, "%s/page-%04d.tif", fax->folder, number);
    return file_is(path, page, length)
               ? NULL
               : fault("confirmed and lost: page %d of %s", number, fax->call.fax_id);
}

/* A fax that has gone has gone altogether. */
static const char *check_gone(const char *state, const char *fax_id)
{
    char below[128] = "";
    char path[PATH_BYTES];

    fax_id_folder(below, sizeof below, fax_id);
    snprintf(path, sizeof path, "%s/%s", state, below);
    return access(path, F_OK) < 0 ? NULL : fault("%s is gone, its folder is not", fax_id);
}

static const char *check_note(struct spool *spool, const char *note, bool expiring)
{
    char what[16];
    char id[64];
    char rest[SPOOL_ADDRESS_MAX] = "";
    struct spool_fax fax;
    int error;

    if (sscanf(note, "%15s %63s %255s", what, id, rest) < 2)
        return NULL;
    if (strcmp(what, "filed") == 0) /* the mailbox outlives the fax */
        return check_filed(spool_state_dir(spool), id, rest);
    error = spool_fax_get(spool, id, &fax);
    if (error == ERROR_NOT_FOUND && expiring)
        return check_gone(spool_state_dir(spool), id);
    if (error < 0)
        return fault("%s: %s", note, error_text(error));
    if (strcmp(what, "page") == 0)
        return check_stored_page(&fax, atoi(rest));
    if (strcmp(what, "composed") == 0)
        return fax.state == SPOOL_FAX_COMPOSED ? NULL : fault("%s: not so", note);
    return check_delivery(spool, id, rest, strcmp(what, "ended") == 0);
}

static const char *check_spool(const char *state, const char *const *notes, int count)
{
    bool expiring = was_noted(notes, count, "expiring");
    const char *wrong = NULL;
    struct spool *spool = NULL;
    int error = spool_open(&spool, state, SPOOL_OWN);
    int i;

    if (error < 0)
        return fault("the spool cannot be opened: %s", error_text(error));
    while ((error = spool_take_over(spool, 10)) > 0)
        ;
    if (error < 0)
        wrong = fault("not taken over: %s", error_text(error));
    for (i = 0; i < count && wrong == NULL; i++)
        wrong = check_note(spool, notes[i], expiring);
    if (wrong == NULL)
        wrong = check_always(spool);
    spool_close(spool);
    return wrong != NULL ? wrong : check_database(state);
}

/* ---- settings ----------------------------------------------------------------------------------
 */

/* How many sections a whole file has: 1 and 20 for each edition. -1: torn. */
static int edition_of(const char *text)
{
    static const char line[] = "host = mail.example.com\n";
    const char *at = text;
    int sections = 0;

    while ((at = strstr(at, "[server ")) != NULL) {
        sections++;
        at = strchr(at, '\n');
        if (at == NULL || strncmp(at + 1, line, sizeof line - 1) != 0)
            return -1;
    }
    return sections > 0 && sections % 20 == 1 ? sections / 20 : -1;
}

static const char *check_settings(const char *state, const char *const *notes, int count)
{
    int promised = count > 0 ? atoi(notes[count - 1] + strlen("settings ")) : -1;
    char path[PATH_BYTES];
    char *text = NULL;
    size_t length;
    int edition;

    snprintf(path, sizeof path, "%s/servers.ini", state);
    if (file_read(AT_FDCWD, path, 1000000, &text, &length) < 0)
        return promised >= 0 ? fault("no settings") : NULL;
    edition = strlen(text) == length ? edition_of(text) : -1;
    free(text);
    return edition >= promised && edition >= 0
               ? NULL
               : fault("settings torn, or older than edition %d", promised);
}

const char *check_promises(const char *state, const char *const *notes, int count)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/servers.ini", state);
    if (access(path, F_OK) == 0 || (count > 0 && strncmp(notes[0], "settings", 8) == 0))
        return check_settings(state, notes, count);
    return check_spool(state, notes, count);
}
