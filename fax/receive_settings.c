/* SPDX-License-Identifier: MIT */
/*
 * receive_settings.c - from the table of settings to plain fields.
 */
#include "fax/receive_settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

static int complain(const struct conf *conf, const char *line, const char *key, const char *what)
{
    log_error("settings wrong file=%s line=%d section=\"line %s\" key=%s: %s", conf_file(conf),
              conf_line(conf, "line", line, key), LOG_ESCAPED(line), key, what);
    return ERROR_CONFIG;
}

int receive_ports_parse(unsigned *out_least, unsigned *out_most, const char *text)
{
    char first[16];
    const char *dash = strchr(text, '-');
    int64_t least;
    int64_t most;

    if (dash == NULL || (size_t)(dash - text) >= sizeof first)
        return ERROR_FORMAT;
    memcpy(first, text, (size_t)(dash - text));
    first[dash - text] = '\0';
    if (text_number(&least, text_trim(first)) != 0)
        return ERROR_FORMAT;
    for (dash++; *dash == ' ' || *dash == '\t'; dash++)
        ;
    if (text_number(&most, dash) != 0)
        return ERROR_FORMAT;
    /* One even port at least. */
    if (least < 1024 || most > 65535 || ((least + 1) & ~1LL) > most)
        return ERROR_FORMAT;
    *out_least = (unsigned)least;
    *out_most = (unsigned)most;
    return 0;
}

static int read_transport(struct line_settings *line, const char *text)
{
    const char *rest = text;
    char word[16];

    while (rest != NULL && text_list_next(&rest, word, sizeof word)) {
        if (strcasecmp(word, "udp") == 0)
            line->udp = true;
        else if (strcasecmp(word, "tcp") == 0)
            line->tcp = true;
        else
            return ERROR_FORMAT;
    }
    return line->udp || line->tcp ? 0 : ERROR_FORMAT;
}

static int read_callers(struct caller_list *list, const struct conf *conf, const char *name,
                        const char *key)
{
    return caller_list_parse(list, conf_text(conf, "line", name, key)) == 0
               ? 0
               : complain(conf, name, key, "write networks and numbers, as 192.0.2.0/24, +1555*");
}

static int line_read_network(struct line_settings *line, const struct conf *conf, const char *name)
{
    const char *listen = conf_text(conf, "line", name, "listen");
    const char *media = conf_text(conf, "line", name, "media_address");
    const char *ports = conf_text(conf, "line", name, "media_ports");
    const char *peers = conf_text(conf, "line", name, "peers");

    if (listen == NULL || net_parse_pair(&line->listen, listen) != 0)
        return complain(conf, name, "listen", "write an address and a port, as 192.0.2.1:5060");
    if (read_transport(line, conf_text(conf, "line", name, "transport")) != 0)
        return complain(conf, name, "transport", "write udp, tcp or both");
    if (media != NULL && *media != '\0') {
        if (net_parse(&line->media_address, media, 0) != 0)
            return complain(conf, name, "media_address", "write an IP address");
        line->has_media_address = true;
    }
    if (ports == NULL || receive_ports_parse(&line->port_least, &line->port_most, ports) != 0)
        return complain(conf, name, "media_ports", "write a range above 1023, as 20000-29999");
    if (net_list_parse(&line->peers, peers == NULL ? "" : peers) != 0)
        return complain(conf, name, "peers", "write networks, as 192.0.2.0/24, 2001:db8::/32");
    if (read_callers(&line->allow, conf, name, "allow") != 0 ||
        read_callers(&line->deny, conf, name, "deny") != 0)
        return ERROR_CONFIG;
    return 0;
}

static int line_read(struct line_settings *line, const struct conf *conf, const char *name)
{
    if (!text_copy(line->name, sizeof line->name, name))
        return complain(conf, name, "type", "the name of the line is too long");
    line->t38 = (enum t38_policy)conf_choice(conf, "line", name, "t38");
    line->ecm = conf_bool(conf, "line", name, "ecm");
    line->trace = conf_bool(conf, "line", name, "trace");
    line->calls_max = (int)conf_number(conf, "line", name, "max_calls");
    if (!text_copy(line->station, 21, conf_text(conf, "line", name, "station")))
        return complain(conf, name, "station", "an identity has at most 20 characters");
    return line_read_network(line, conf, name);
}

static int modem_read_callers(struct modem_line_settings *line, const struct conf *conf,
                              const char *name)
{
    if (read_callers(&line->allow, conf, name, "allow") != 0 ||
        read_callers(&line->deny, conf, name, "deny") != 0)
        return ERROR_CONFIG;
    if (line->allow.networks.count > 0 || line->deny.networks.count > 0)
        return complain(conf, name, line->allow.networks.count > 0 ? "allow" : "deny",
                        "a modem knows no addresses: write numbers, as +1555*");
    return 0;
}

/* The names of choices stand in the order of their enums in base/conf_keys.c. */
static int modem_read(struct modem_line_settings *line, const struct conf *conf, const char *name)
{
    if (!text_copy(line->name, sizeof line->name, name))
        return complain(conf, name, "type", "the name of the line is too long");
    if (!text_copy(line->device, sizeof line->device, conf_text(conf, "line", name, "device")) ||
        line->device[0] != '/')
        return complain(conf, name, "device", "write the path of a serial port, as /dev/ttyS0");
    if (!text_copy(line->station, 21, conf_text(conf, "line", name, "station")))
        return complain(conf, name, "station", "an identity has at most 20 characters");
    if (!text_copy(line->called, sizeof line->called, conf_text(conf, "line", name, "called")))
        return complain(conf, name, "called", "a number has at most 63 characters");
    if (!text_copy(line->init, sizeof line->init, conf_text(conf, "line", name, "init")))
        return complain(conf, name, "init", "the commands are too long");
    if (!text_copy(line->caller_id, sizeof line->caller_id,
                   conf_text(conf, "line", name, "caller_id")))
        return complain(conf, name, "caller_id", "the command is too long");
    line->port.speed = (int)conf_number(conf, "line", name, "speed");
    line->port.flow = (enum serial_flow)conf_choice(conf, "line", name, "flow");
    line->class = (enum modem_class)conf_choice(conf, "line", name, "class");
    line->rings = (int)conf_number(conf, "line", name, "rings");
    line->ecm = conf_bool(conf, "line", name, "ecm");
    line->trace = conf_bool(conf, "line", name, "trace");
    return modem_read_callers(line, conf, name);
}

enum line_type { LINE_TYPE_SIP, LINE_TYPE_MODEM };

static int lines_read(struct receive_settings *settings, const struct conf *conf)
{
    const char *name;
    size_t count = 0;
    int rc;

    while (conf_section_name(conf, "line", count) != NULL)
        count++;
    settings->lines = calloc(count + 1, sizeof *settings->lines);
    settings->modems = calloc(count + 1, sizeof *settings->modems);
    if (settings->lines == NULL || settings->modems == NULL)
        return ERROR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        name = conf_section_name(conf, "line", i);
        if (conf_choice(conf, "line", name, "type") == LINE_TYPE_SIP)
            rc = line_read(&settings->lines[settings->line_count++], conf, name);
        else
            rc = modem_read(&settings->modems[settings->modem_count++], conf, name);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* 0 in the file: as many as the machine has cores, within bounds. */
static int thread_count(int64_t wanted, int least, int most)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (wanted > 0)
        return (int)wanted;
    return cores < least ? least : cores > most ? most : (int)cores;
}

int receive_settings_read(struct receive_settings **out, const struct conf *conf)
{
    struct receive_settings *settings = calloc(1, sizeof *settings);
    const char *state_dir = conf_text(conf, "gateway", NULL, "state_dir");
    int rc;

    if (settings == NULL)
        return ERROR_MEMORY;
    settings->state_dir = strdup(state_dir == NULL ? "" : state_dir);
    if (settings->state_dir == NULL) {
        rc = ERROR_MEMORY;
        goto out;
    }
    settings->sessions_max = (int)conf_number(conf, "limits", NULL, "sessions");
    settings->requests_max = (int)conf_number(conf, "limits", NULL, "requests");
    settings->sessions_per_source = (int)conf_number(conf, "limits", NULL, "sessions_per_source");
    settings->connections_max = (int)conf_number(conf, "limits", NULL, "connections");
    settings->connections_per_source =
        (int)conf_number(conf, "limits", NULL, "connections_per_source");
    settings->media_packets_max = (int)conf_number(conf, "limits", NULL, "media_packets");
    settings->media_octets_max = conf_number(conf, "limits", NULL, "media_bytes");
    settings->limits.session_ms_max = conf_number(conf, "limits", NULL, "session_seconds");
    settings->limits.pages_max = (int)conf_number(conf, "limits", NULL, "pages");
    settings->limits.rows_max = (int)conf_number(conf, "limits", NULL, "rows");
    settings->limits.stall_ms_max = conf_number(conf, "limits", NULL, "stall");
    settings->limits.free_bytes_min = conf_number(conf, "spool", NULL, "min_free");
    settings->media_threads =
        thread_count(conf_number(conf, "limits", NULL, "media_threads"), 1, 8);
    settings->page_workers = thread_count(conf_number(conf, "limits", NULL, "page_workers"), 2, 4);
    rc = lines_read(settings, conf);
out:
    if (rc != 0)
        receive_settings_free(settings);
    else
        *out = settings;
    return rc;
}

int line_settings_copy(struct line_settings *out, const struct line_settings *from)
{
    struct line_settings copy = *from;
    int rc;

    memset(&copy.peers, 0, sizeof copy.peers);
    memset(&copy.allow, 0, sizeof copy.allow);
    memset(&copy.deny, 0, sizeof copy.deny);
    rc = net_list_copy(&copy.peers, &from->peers);
    if (rc == 0)
        rc = caller_list_copy(&copy.allow, &from->allow);
    if (rc == 0)
        rc = caller_list_copy(&copy.deny, &from->deny);
    if (rc != 0)
        line_settings_clear(&copy);
    else
        *out = copy;
    return rc;
}

void line_settings_clear(struct line_settings *line)
{
    net_list_free(&line->peers);
    caller_list_free(&line->allow);
    caller_list_free(&line->deny);
}

int modem_line_settings_copy(struct modem_line_settings *out,
                             const struct modem_line_settings *from)
{
    struct modem_line_settings copy = *from;
    int rc;

    memset(&copy.deny, 0, sizeof copy.deny);
    rc = caller_list_copy(&copy.allow, &from->allow);
    if (rc != 0)
        return rc;
    rc = caller_list_copy(&copy.deny, &from->deny);
    if (rc != 0)
        modem_line_settings_clear(&copy);
    else
        *out = copy;
    return rc;
}

void modem_line_settings_clear(struct modem_line_settings *line)
{
    caller_list_free(&line->allow);
    caller_list_free(&line->deny);
}

void receive_settings_free(struct receive_settings *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < settings->line_count; i++)
        line_settings_clear(&settings->lines[i]);
    for (size_t i = 0; i < settings->modem_count; i++)
        modem_line_settings_clear(&settings->modems[i]);
    free(settings->lines);
    free(settings->modems);
    free(settings->state_dir);
    free(settings);
}
