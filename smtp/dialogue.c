/* SPDX-License-Identifier: MIT */
/*
 * dialogue.c - commands go into a queue, replies take them out: so every reply has its stage.
 */
#include "smtp/dialogue.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

void dialogue_begin(struct dialogue *dialogue)
{
    dialogue->awaited[0] = DIALOGUE_GREETING;
    dialogue->awaited_count = 1;
}

void dialogue_tls_first(struct dialogue *dialogue)
{
    dialogue->awaited[0] = DIALOGUE_STARTTLS;
}

enum dialogue_command dialogue_awaited(const struct dialogue *dialogue)
{
    return dialogue->awaited_count > 0 ? dialogue->awaited[0] : DIALOGUE_NOTHING;
}

static enum failure_stage stage_of(const struct dialogue *dialogue, enum dialogue_command command)
{
    switch (command) {
    case DIALOGUE_GREETING: return STAGE_GREETING;
    case DIALOGUE_STARTTLS: return STAGE_STARTTLS;
    case DIALOGUE_AUTH: return STAGE_AUTH;
    case DIALOGUE_MAIL: return STAGE_MAIL;
    case DIALOGUE_RCPT: return STAGE_RCPT;
    case DIALOGUE_DATA: return STAGE_DATA;
    case DIALOGUE_FINAL: return dialogue->content_done ? STAGE_FINAL : STAGE_CONTENT;
    default: return STAGE_EHLO;
    }
}

/* Between a reply and the next command the stage is that of what will come. */
enum failure_stage dialogue_stage(const struct dialogue *dialogue)
{
    if (dialogue->awaited_count > 0)
        return stage_of(dialogue, dialogue->awaited[0]);
    if (dialogue->content)
        return dialogue->content_done ? STAGE_FINAL : STAGE_CONTENT;
    if (dialogue->recipients_judged > 0)
        return STAGE_RCPT;
    if (dialogue->starttls_offered && dialogue->need_tls && !dialogue->tls)
        return STAGE_STARTTLS;
    return dialogue->authenticated || dialogue->later ? STAGE_MAIL : STAGE_EHLO;
}

void dialogue_fail(struct dialogue *dialogue, enum failure_stage stage, enum failure_event event,
                   const char *words)
{
    if (dialogue->failed || dialogue->accepted)
        return;
    dialogue->failed = true;
    dialogue->failure = (struct failure){.stage = stage, .event = event};
    text_copy(dialogue->failure.text, sizeof dialogue->failure.text, words);
    text_printable(dialogue->failure.text);
}

void dialogue_end(struct dialogue *dialogue, enum failure_event event, const char *words)
{
    enum failure_stage stage = dialogue_stage(dialogue);

    if (event == EVENT_TLS && stage != STAGE_STARTTLS)
        event = EVENT_LOST;
    dialogue_fail(dialogue, stage, event, words);
}

void dialogue_next(struct dialogue *dialogue, int recipients, int64_t message_bytes)
{
    char words[100];

    dialogue->later = true;
    dialogue->recipients = recipients;
    dialogue->message_bytes = message_bytes;
    dialogue->content = dialogue->content_done = dialogue->accepted = false;
    dialogue->mail_sent = dialogue->mail_judged = false;
    dialogue->accepted_recipients = dialogue->recipients_judged = 0;
    dialogue->failed = false;
    dialogue->failure = (struct failure){.stage = STAGE_MAIL};
    if (dialogue->size_limit == 0 || message_bytes <= dialogue->size_limit)
        return;
    snprintf(words, sizeof words, "the server takes %lld octets, the message has %lld",
             (long long)dialogue->size_limit, (long long)message_bytes);
    dialogue_fail(dialogue, STAGE_MAIL, EVENT_TOO_LARGE, words);
}

bool dialogue_is_unbegun(const struct dialogue *dialogue)
{
    const struct failure *failure = &dialogue->failure;

    if (!dialogue->later || dialogue->mail_judged || !dialogue->failed ||
        failure->event == EVENT_TOO_LARGE)
        return false;
    return !dialogue->mail_sent || failure->event == EVENT_LOST || failure->code == 421;
}

void dialogue_content_done(struct dialogue *dialogue)
{
    dialogue->content_done = true;
}

void dialogue_tls_started(struct dialogue *dialogue)
{
    dialogue->tls = true;
    dialogue->starttls_offered = false;
    dialogue->auth_offered = false;
    dialogue->mime8_offered = false;
    dialogue->size_limit = 0;
    /* The handshake stood in the queue so that the stage was known. */
    dialogue->awaited_count = 0;
    if (!dialogue->greeted)
        dialogue_begin(dialogue); /* TLS came first */
    dialogue->line_length = 0;
    dialogue->reply_bytes = 0;
    dialogue->reply_lines = 0;
}

/* ---- what we send -----------------------------------------------------------------------------
 */

static bool await(struct dialogue *dialogue, enum dialogue_command command)
{
    if ((size_t)dialogue->awaited_count == sizeof dialogue->awaited / sizeof dialogue->awaited[0]) {
        dialogue_fail(dialogue, dialogue_stage(dialogue), EVENT_LOST, "too many commands at once");
        return false;
    }
    dialogue->awaited[dialogue->awaited_count++] = command;
    return true;
}

/* No login and no envelope before TLS and login stand, whatever the library makes of the server's
 * offers: there is no silent fall-back. */
static bool is_permitted(struct dialogue *dialogue, enum dialogue_command command)
{
    if (command != DIALOGUE_AUTH && command != DIALOGUE_MAIL)
        return true;
    if (dialogue->need_tls && !dialogue->tls) {
        dialogue_fail(dialogue, STAGE_STARTTLS, EVENT_NOT_OFFERED, "STARTTLS was not offered");
        return false;
    }
    if (command == DIALOGUE_MAIL && dialogue->need_auth && !dialogue->authenticated) {
        dialogue_fail(dialogue, STAGE_AUTH, EVENT_NOT_OFFERED, "the login was not done");
        return false;
    }
    return true;
}

/* What a client may say to a 334 (RFC 4954 4). */
static bool is_login_response(const char *line)
{
    static const char base64[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

    return strcmp(line, "*") == 0 || line[strspn(line, base64)] == '\0';
}

static bool take_command(struct dialogue *dialogue)
{
    static const struct {
        const char *verb;
        enum dialogue_command command;
    } verbs[] = {
        {"EHLO ", DIALOGUE_EHLO}, {"HELO ", DIALOGUE_HELO}, {"STARTTLS", DIALOGUE_STARTTLS},
        {"AUTH ", DIALOGUE_AUTH}, {"MAIL ", DIALOGUE_MAIL}, {"RCPT ", DIALOGUE_RCPT},
        {"DATA", DIALOGUE_DATA},  {"QUIT", DIALOGUE_QUIT},
    };
    enum dialogue_command command = DIALOGUE_OTHER;
    size_t i;

    if (strcmp(dialogue->sent_line, ".") == 0)
        return true; /* ends an empty message; its reply is awaited since the 354 */
    if (dialogue->in_auth && is_login_response(dialogue->sent_line))
        return await(dialogue, DIALOGUE_AUTH);
    for (i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strncasecmp(dialogue->sent_line, verbs[i].verb, strlen(verbs[i].verb)) == 0)
            command = verbs[i].command;
    if (!is_permitted(dialogue, command))
        return false;
    dialogue->in_auth = command == DIALOGUE_AUTH;
    dialogue->mail_sent = dialogue->mail_sent || command == DIALOGUE_MAIL;
    dialogue->quit = dialogue->quit || command == DIALOGUE_QUIT;
    return await(dialogue, command);
}

bool dialogue_sent(struct dialogue *dialogue, const char *data, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++) {
        if (data[i] == '\r')
            continue;
        if (data[i] != '\n') {
            if (dialogue->sent_length < sizeof dialogue->sent_line - 1)
                dialogue->sent_line[dialogue->sent_length++] = data[i];
            continue;
        }
        dialogue->sent_line[dialogue->sent_length] = '\0';
        dialogue->sent_length = 0;
        if (!take_command(dialogue))
            return false;
    }
    return true;
}

/* ---- what we receive --------------------------------------------------------------------------
 */

static void fail_by_reply(struct dialogue *dialogue, enum failure_stage stage)
{
    const struct dialogue_reply *reply = &dialogue->last;

    if (dialogue->failed || dialogue->accepted)
        return;
    dialogue_fail(dialogue, stage, EVENT_REPLY, reply->text);
    dialogue->failure.code = reply->code;
    memcpy(dialogue->failure.enhanced, reply->enhanced, sizeof reply->enhanced);
}

/* The end of an EHLO reply: is everything there that the settings demand? */
static bool check_offers(struct dialogue *dialogue)
{
    char words[100];

    if (dialogue->need_tls && !dialogue->tls) {
        if (dialogue->starttls_offered)
            return true;
        dialogue_fail(dialogue, STAGE_STARTTLS, EVENT_NOT_OFFERED,
                      "the server does not offer STARTTLS");
        return false;
    }
    if (dialogue->need_auth && !dialogue->auth_offered) {
        snprintf(words, sizeof words, "the server does not offer AUTH %s",
                 dialogue->mechanism != NULL ? dialogue->mechanism : "");
        dialogue_fail(dialogue, STAGE_AUTH, EVENT_NOT_OFFERED, words);
        return false;
    }
    if (dialogue->size_limit > 0 && dialogue->message_bytes > dialogue->size_limit) {
        snprintf(words, sizeof words, "the server takes %lld octets, the message has %lld",
                 (long long)dialogue->size_limit, (long long)dialogue->message_bytes);
        dialogue_fail(dialogue, STAGE_MAIL, EVENT_TOO_LARGE, words);
        return false;
    }
    return true;
}

static bool judge_recipient(struct dialogue *dialogue)
{
    const struct dialogue_reply *reply = &dialogue->last;
    struct failure *own = &dialogue->recipient[dialogue->recipients_judged];

    if (dialogue->recipients_judged == dialogue->recipients ||
        dialogue->recipients_judged == DIALOGUE_RECIPIENTS_MAX) {
        dialogue_fail(dialogue, STAGE_RCPT, EVENT_LOST, "a reply too many");
        return false;
    }
    dialogue->recipients_judged++;
    *own = (struct failure){.stage = STAGE_RCPT, .code = reply->code};
    own->event = reply->code / 100 == 2 ? EVENT_NONE : EVENT_REPLY;
    memcpy(own->enhanced, reply->enhanced, sizeof own->enhanced);
    text_copy(own->text, sizeof own->text, reply->text);
    dialogue->accepted_recipients += own->event == EVENT_NONE;
    return true;
}

/* A login that fails ends it here: the library would go on without. */
static bool judge_login(struct dialogue *dialogue)
{
    if (dialogue->last.code == 334)
        return true;
    dialogue->in_auth = false;
    if (dialogue->last.code / 100 == 2) {
        dialogue->authenticated = true;
        return true;
    }
    fail_by_reply(dialogue, STAGE_AUTH);
    return false;
}

static bool judge_final(struct dialogue *dialogue)
{
    if (!dialogue->content_done && dialogue->accepted_recipients > 0) {
        dialogue_fail(dialogue, STAGE_CONTENT, EVENT_LOST, "a reply before the message was sent");
        return false;
    }
    if (dialogue->last.code / 100 != 2 || dialogue->accepted_recipients == 0) {
        fail_by_reply(dialogue, STAGE_FINAL);
        return true;
    }
    dialogue->accepted = true;
    dialogue->final = dialogue->last;
    return true;
}

static bool judge_ehlo(struct dialogue *dialogue, enum dialogue_command command)
{
    int code = dialogue->last.code;

    if (code / 100 == 2) {
        if (command == DIALOGUE_HELO)
            dialogue->failed = false; /* the EHLO before it was not known, which is no failure */
        return check_offers(dialogue);
    }
    if (command == DIALOGUE_HELO)
        dialogue->failed = false;
    fail_by_reply(dialogue, STAGE_EHLO);
    return true;
}

/* A complete reply. */
static bool take_reply(struct dialogue *dialogue)
{
    enum dialogue_command command = dialogue_awaited(dialogue);
    int code;

    dialogue->last = dialogue->building;
    code = dialogue->last.code;
    if (command == DIALOGUE_NOTHING) {
        /* RFC 5321 3.8: 421 may come unasked; anything else would be taken for the answer to the
         * next command. */
        if (code == 421)
            fail_by_reply(dialogue, dialogue_stage(dialogue));
        else
            dialogue_fail(dialogue, dialogue_stage(dialogue), EVENT_LOST, "a reply unasked");
        return false;
    }
    dialogue->awaited_count--;
    memmove(dialogue->awaited, dialogue->awaited + 1,
            (size_t)dialogue->awaited_count * sizeof dialogue->awaited[0]);
    switch (command) {
    case DIALOGUE_GREETING:
        dialogue->greeted = true;
        if (code / 100 != 2)
            fail_by_reply(dialogue, STAGE_GREETING);
        return true;
    case DIALOGUE_EHLO:
    case DIALOGUE_HELO: return judge_ehlo(dialogue, command);
    case DIALOGUE_STARTTLS:
        if (code / 100 != 2)
            fail_by_reply(dialogue, STAGE_STARTTLS);
        else
            await(dialogue, DIALOGUE_STARTTLS); /* the handshake */
        return true;
    case DIALOGUE_AUTH: return judge_login(dialogue);
    case DIALOGUE_MAIL:
        dialogue->mail_judged = code != 421;
        if (code / 100 != 2)
            fail_by_reply(dialogue, STAGE_MAIL);
        return true;
    case DIALOGUE_RCPT: return judge_recipient(dialogue);
    case DIALOGUE_DATA:
        dialogue->content = code == 354;
        if (code != 354)
            fail_by_reply(dialogue, STAGE_DATA);
        return code != 354 || await(dialogue, DIALOGUE_FINAL);
    case DIALOGUE_FINAL: return judge_final(dialogue);
    default: return true;
    }
}

static bool reject(struct dialogue *dialogue, const char *words)
{
    dialogue_fail(dialogue, dialogue_stage(dialogue), EVENT_LOST, words);
    return false;
}

/* "5.7.1 text" → the three numbers (RFC 2034); zeros where there are none. */
static void read_enhanced(int out[3], const char *text)
{
    int end = 0;

    memset(out, 0, 3 * sizeof out[0]);
    if (sscanf(text, "%1d.%3d.%3d%n", &out[0], &out[1], &out[2], &end) != 3 || end == 0 ||
        (text[end] != ' ' && text[end] != '\0'))
        memset(out, 0, 3 * sizeof out[0]);
}

/* A line of an EHLO reply but the first: what the server offers. */
static void take_offer(struct dialogue *dialogue)
{
    const char *offer = dialogue->line + 4;

    if (strcasecmp(offer, "STARTTLS") == 0)
        dialogue->starttls_offered = true;
    else if (strcasecmp(offer, "8BITMIME") == 0)
        dialogue->mime8_offered = true;
    else if (strncasecmp(offer, "SIZE ", 5) == 0)
        dialogue->size_limit = strtoll(offer + 5, NULL, 10);
    if (dialogue->size_limit < 0)
        dialogue->size_limit = 0;
}

static bool is_ehlo_offer(const struct dialogue *dialogue)
{
    return dialogue_awaited(dialogue) == DIALOGUE_EHLO && dialogue->reply_lines > 0;
}

static bool take_line(struct dialogue *dialogue)
{
    struct dialogue_reply *reply = &dialogue->building;
    const char *line = dialogue->line;
    size_t used;
    int code;
    int i;

    for (i = 0; i < 3; i++)
        if (!isdigit((unsigned char)line[i]))
            return reject(dialogue, "a reply without a code");
    if (line[3] != '\0' && line[3] != ' ' && line[3] != '-')
        return reject(dialogue, "a reply without a code");
    code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    if (dialogue->reply_lines == 0) {
        *reply = (struct dialogue_reply){.code = code};
        if (line[3] != '\0')
            read_enhanced(reply->enhanced, line + 4);
        text_copy(reply->text, sizeof reply->text, line);
    } else {
        if (code != reply->code)
            return reject(dialogue, "a reply with two codes");
        if (is_ehlo_offer(dialogue) && line[3] != '\0')
            take_offer(dialogue);
        used = strlen(reply->text);
        snprintf(reply->text + used, sizeof reply->text - used, " / %s",
                 line[3] != '\0' ? line + 4 : "");
    }
    dialogue->reply_lines++;
    if (line[3] == '-')
        return true;
    text_printable(reply->text);
    dialogue->reply_lines = 0;
    dialogue->reply_bytes = 0;
    return take_reply(dialogue);
}

/* The login mechanisms of an AUTH line: whatever differs from ours becomes 'X', which stands in no
 * name that is ours; so the library tries no other, and loads no plugin that a server names. */
static char mask_mechanism(struct dialogue *dialogue, char c)
{
    size_t place = dialogue->line_length - dialogue->token_at;
    const char *own = dialogue->mechanism;

    if (c == ' ' || c == '=' || c == '\r' || c == '\n') {
        if (dialogue->token_fits && own != NULL && place == strlen(own))
            dialogue->auth_offered = true;
        dialogue->token_at = dialogue->line_length + 1;
        dialogue->token_fits = true;
        return c;
    }
    if (own != NULL && place < strlen(own) && toupper((unsigned char)c) == own[place])
        return c;
    dialogue->token_fits = false;
    return 'X';
}

/* Offers of an EHLO reply are masked octet by octet, for a line may come in pieces. CHUNKING: with
 * BDAT a transfer that breaks off would not be told from one that ended. The library reads more
 * than RFC 5321 4.1.1.1 has, blanks before a keyword and tabs behind it: an offer that would not
 * be known here is none there either. */
static char mask_offer(struct dialogue *dialogue, char c)
{
    static const char chunking[] = "CHUNKING";
    const char *offer = dialogue->line + 4;
    size_t n = dialogue->line_length;

    if (!is_ehlo_offer(dialogue) || n < 4)
        return c;
    if (c != '\r' && c != '\n' && (c < 0x20 || c > 0x7e || (n == 4 && !isalnum((unsigned char)c))))
        return 'X';
    if (n == 4 + strlen(chunking) - 1 && strncasecmp(offer, chunking, n - 4) == 0 &&
        toupper((unsigned char)c) == 'G')
        return 'X';
    if (n < 8 || strncasecmp(offer, "AUTH", 4) != 0)
        return c;
    if (n > 8 && offer[4] != ' ' && offer[4] != '=')
        return c;
    if (n == 8) {
        dialogue->token_at = n + 1;
        dialogue->token_fits = true;
        return c;
    }
    return mask_mechanism(dialogue, c);
}

static bool take_octet(struct dialogue *dialogue, char c)
{
    size_t *length = &dialogue->line_length;

    if (++dialogue->reply_bytes > DIALOGUE_REPLY_MAX)
        return reject(dialogue, "a reply without end");
    if (c != '\n') {
        if (*length == DIALOGUE_LINE_MAX)
            return reject(dialogue, "a line without end");
        /* For the library it is a blank, behind which another offer could stand. */
        if (c != '\r' && *length > 0 && dialogue->line[*length - 1] == '\r')
            return reject(dialogue, "a CR that ends no line");
        dialogue->line[(*length)++] = c;
        return true;
    }
    while (*length > 0 && dialogue->line[*length - 1] == '\r')
        (*length)--;
    dialogue->line[*length] = '\0';
    *length = 0;
    return take_line(dialogue);
}

bool dialogue_received(struct dialogue *dialogue, char *data, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++) {
        data[i] = mask_offer(dialogue, data[i]);
        if (!take_octet(dialogue, data[i])) {
            memset(data + i, 'X', length - i); /* what follows was not looked at */
            return false;
        }
        /* Octets after the reply to STARTTLS were not protected: someone put them there
         * (RFC 3207 4.2, CVE-2011-0411). */
        if (data[i] == '\n' && dialogue_awaited(dialogue) == DIALOGUE_STARTTLS &&
            dialogue->last.code / 100 == 2 && dialogue->reply_lines == 0 && i + 1 < length) {
            dialogue_fail(dialogue, STAGE_STARTTLS, EVENT_TLS, "data before the TLS handshake");
            return false;
        }
    }
    return true;
}
