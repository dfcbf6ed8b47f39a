/* SPDX-License-Identifier: MIT */
/*
 * command_export.c - faxpost export: the document of a fax as PDF or TIFF, made from its pages, or
 * its mail. It reads the spool itself, so only root and faxpost's own account can.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "message/folder.h"
#include "message/message.h"
#include "message/pdf.h"
#include "message/tiff_f.h"
#include "message/tiff_page.h"
#include "src/command.h"
#include "src/settings.h"

enum format { FORMAT_PDF, FORMAT_TIFF, FORMAT_EML, FORMAT_COUNT };

struct export
{
    const struct command_options *options;
    enum format format;
    const char *fax_id;
    int64_t started_ms;
    int dir_fd; /* of the fax */
    int out_fd;
    struct folder_list pages, unconfirmed;
    char what[200]; /* what went wrong */
};

static const char *const formats[FORMAT_COUNT] = {"pdf", "tiff", "eml"};

/* By --format, else by the ending of the name, else PDF. -1: there is no such format. */
static int choose_format(const struct command_options *options)
{
    const char *dot = strrchr(options->output, '.');
    const char *word = options->format != NULL ? options->format : dot != NULL ? dot + 1 : "";
    int i;

    for (i = 0; i < FORMAT_COUNT; i++)
        if (strcasecmp(formats[i], word) == 0)
            return i;
    if (strcasecmp(word, "tif") == 0)
        return FORMAT_TIFF;
    return options->format != NULL ? -1 : FORMAT_PDF;
}

static int copy_message(struct export *e)
{
    char chunk[65536];
    int fd = openat(e->dir_fd, MESSAGE_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int error = 0;
    ssize_t n;

    if (fd < 0) {
        snprintf(e->what, sizeof e->what, "this fax has no message yet");
        return error_from_errno(errno);
    }
    while (error == 0 && (n = read(fd, chunk, sizeof chunk)) != 0)
        error = n < 0 ? ERROR_IO : file_write_all(e->out_fd, chunk, (size_t)n);
    close(fd);
    return error;
}

/* Every page, in order, to one of the writers. */
static int add_pages(struct export *e, int (*add)(void *document, struct tiff_page *page),
                     void *document)
{
    char name[FOLDER_NAME_MAX];
    struct tiff_page *page;
    int error = 0;

    for (int i = 0; i < e->pages.count && error == 0; i++) {
        int number = e->pages.numbers[i];

        error = tiff_page_open(&page, e->dir_fd, folder_page_name(name, number));
        if (error < 0) {
            snprintf(e->what, sizeof e->what,
                     "page %d cannot be read; --format eml has it as stored", number);
            return error;
        }
        error = add(document, page);
        tiff_page_close(page);
    }
    return error;
}

static int add_to_pdf(void *document, struct tiff_page *page)
{
    return pdf_add_page(document, page);
}

static int add_to_tiff(void *document, struct tiff_page *page)
{
    return tiff_f_add_page(document, page);
}

static int write_pdf(struct export *e)
{
    struct pdf *pdf;
    int64_t bytes;
    int error = pdf_new(&pdf, e->out_fd, e->fax_id, e->started_ms);

    if (error < 0)
        return error;
    error = add_pages(e, add_to_pdf, pdf);
    if (error == 0)
        error = pdf_finish(pdf, &bytes);
    pdf_free(pdf);
    return error;
}

static int write_tiff(struct export *e)
{
    struct tiff_f *tiff;
    int64_t bytes;
    int error = tiff_f_new(&tiff, e->out_fd, TIFF_PROFILE_F, e->pages.count);

    if (error < 0)
        return error;
    error = add_pages(e, add_to_tiff, tiff);
    if (error == 0)
        error = tiff_f_finish(tiff, &bytes);
    tiff_f_free(tiff);
    return error;
}

static int write_document(struct export *e)
{
    int error;

    if (e->format == FORMAT_EML)
        return copy_message(e);
    tiff_page_library_init();
    error = folder_scan(e->dir_fd, &e->pages, &e->unconfirmed);
    if (error == 0 && e->pages.count == 0) {
        snprintf(e->what, sizeof e->what, "this fax has no page");
        error = ERROR_NOT_FOUND;
    }
    if (error == 0)
        error = e->format == FORMAT_PDF ? write_pdf(e) : write_tiff(e);
    folder_list_free(&e->pages);
    folder_list_free(&e->unconfirmed);
    return error;
}

/* From the record of the fax to the written document. */
static int export_fax(struct export *e, const json_t *fax)
{
    const char *folder = member_text(fax, "folder");
    int error;

    e->fax_id = member_text(fax, "id");
    e->started_ms = member_number(fax, "started_ms");
    if (folder[0] == '\0') {
        snprintf(e->what, sizeof e->what, "this call has not ended: export it afterwards");
        return ERROR_STATE;
    }
    error = command_become_account(e->options);
    e->dir_fd = error == 0 ? file_open_folder(AT_FDCWD, folder) : error;
    if (e->dir_fd < 0) {
        snprintf(e->what, sizeof e->what,
                 "the folder of this fax cannot be opened: run this as root or as the account that "
                 "faxpost runs as");
        return e->dir_fd;
    }
    error = write_document(e);
    close(e->dir_fd);
    if (error == 0 && e->out_fd != STDOUT_FILENO && fsync(e->out_fd) < 0)
        error = error_from_errno(errno);
    return error;
}

/* In a process of its own, which may give up root's rights: the other one needs them to put the
 * file in its place. Writes the identity of the fax to id_fd. */
static int export_child(struct export *e, int id_fd)
{
    json_t *reply = command_ask(e->options, "show", json_pack("{s:s}", "id", e->options->id));
    int error = ERROR_IO;

    if (!command_failed(e->options, reply)) {
        error = export_fax(e, json_object_get(reply, "fax"));
        if (error < 0)
            fprintf(stderr, "faxpost: %s: %s\n", e->what[0] != '\0' ? e->what : "export",
                    error_text(error));
        else if (file_write_all(id_fd, e->fax_id, strlen(e->fax_id)) < 0)
            error = ERROR_IO;
    }
    json_decref(reply);
    command_ask_end();
    return fflush(NULL) == 0 && error == 0 ? EXIT_FINE : EXIT_TROUBLE;
}

static int export_apart(struct export *e, char id[FAX_ID_MAX])
{
    int pipes[2];
    int status = 0;
    ssize_t n;
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        fprintf(stderr, "faxpost: %s\n", strerror(errno));
        return ERROR_IO;
    }
    if (pid == 0)
        _exit(export_child(e, pipes[1]));
    close(pipes[1]);
    n = read(pipes[0], id, FAX_ID_MAX - 1);
    id[n > 0 ? n : 0] = '\0';
    close(pipes[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ERROR_IO;
}

static void print_result(const struct command_options *options, const char *fax_id, int64_t bytes)
{
    json_t *result;

    if (strcmp(options->output, "-") == 0)
        return;
    if (!options->json) {
        printf("%s: %lld bytes of %s\n", options->output, (long long)bytes, fax_id);
        return;
    }
    result = json_pack("{s:b, s:s, s:s, s:I}", "ok", 1, "id", fax_id, "file", options->output,
                       "bytes", (json_int_t)bytes);
    command_print_json(result);
    json_decref(result);
}

/* Into a file beside the wanted one, which takes its place when it is whole. */
static int export_to_file(struct export *e, char id[FAX_ID_MAX], int64_t *out_bytes)
{
    const char *output = e->options->output;
    struct stat st = {0};
    char *part;
    int error = 0;

    if (asprintf(&part, "%s.part", output) < 0)
        return ERROR_MEMORY;
    e->out_fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (e->out_fd < 0) {
        fprintf(stderr, "faxpost: %s: %s\n", part, strerror(errno));
        free(part);
        return ERROR_IO;
    }
    error = export_apart(e, id);
    fstat(e->out_fd, &st);
    close(e->out_fd);
    if (error == 0 && rename(part, output) < 0) {
        fprintf(stderr, "faxpost: %s: %s\n", output, strerror(errno));
        error = ERROR_IO;
    }
    if (error < 0)
        unlink(part);
    free(part);
    *out_bytes = st.st_size;
    return error;
}

int command_export(const struct command_options *options)
{
    struct export e = {.options = options, .out_fd = STDOUT_FILENO};
    int format = choose_format(options);
    char id[FAX_ID_MAX] = "";
    int64_t bytes = 0;
    int error;

    if (format < 0) {
        fprintf(stderr, "faxpost: no such format: %s; write pdf, tiff or eml\n", options->format);
        return EXIT_USAGE;
    }
    e.format = (enum format)format;
    if (strcmp(options->output, "-") == 0)
        error = export_apart(&e, id);
    else
        error = export_to_file(&e, id, &bytes);
    if (error == 0)
        print_result(options, id, bytes);
    return error == 0 ? EXIT_FINE : EXIT_TROUBLE;
}
