/* SPDX-License-Identifier: MIT */
/*
 * smtp_script.h - a scripted SMTP server for tests: a thread that serves one connection after the
 * other on a loopback port of its own, by a list of words.
 *
 *   "S:text"    sends a line          "C:verb"     expects a line that begins so
 *   "R:text"    sends octets as is    "DATA"       reads the message up to its dot
 *   "SOME n"    reads n octets        "SLEEP ms"   waits
 *   "CLOSE"     closes                "RESET"      closes with a TCP reset
 *   "HANG"      reads until the client is gone     "STALL" reads nothing until it is stopped
 *   "TRICKLE text"  sends a line, an octet each 20 ms
 *   "MEGA"      sends a megabyte without a line end    "LINES" sends 250-lines without end
 *   "MAILS"     takes all mails that come, until QUIT or the end
 *   "TLS name"  shakes hands with the certificate of that name (see smtp_script_certificates())
 */
#ifndef FAXPOST_TEST_SMTP_SCRIPT_H
#define FAXPOST_TEST_SMTP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

struct smtp_script;

/* Certificates made on the fly in folder: ca.pem; good (localhost, 127.0.0.1), wrong (another
 * name), expired, self (signed by itself), each NAME.pem with its key. */
void smtp_script_certificates(const char *folder);

/* Serves `connections` connections by the same script, which ends with NULL and stays the
 * caller's. SMTP_SCRIPT_ANY: as many as come until smtp_script_stop(). */
enum { SMTP_SCRIPT_ANY = -1 };
struct smtp_script *smtp_script_start(const char *const *script, int connections,
                                      const char *certificates);
/* One connection by each script; the second may be empty. */
struct smtp_script *smtp_script_start_two(const char *const *first, const char *const *second);
int smtp_script_port(const struct smtp_script *script);

/* So far: mails taken by "MAILS", their recipients, and connections. */
void smtp_script_counts(struct smtp_script *script, int *mails, int *recipients, int *connections);

/* Joins. The message of the last connection without dot-stuffing is given where out is not NULL
 * (malloced), and what went wrong in the script ("" when all was as expected). */
void smtp_script_stop(struct smtp_script *script, char **out_message, size_t *out_length,
                      char *complaint, size_t complaint_size, char *server_name, size_t name_size);

#endif
