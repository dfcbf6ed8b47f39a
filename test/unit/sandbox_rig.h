/* SPDX-License-Identifier: MIT */
/*
 * sandbox_rig.h - a spool to be shut out of, and everything that a hijacked role might try. An
 * attempt gives 0 when it went well, else its errno.
 */
#ifndef FAXPOST_TEST_UNIT_SANDBOX_RIG_H
#define FAXPOST_TEST_UNIT_SANDBOX_RIG_H

#include <sys/types.h>

#include "src/settings.h"

extern char sandbox_top[];
extern struct settings *plain;    /* no programs */
extern struct settings *programs; /* with alarm_command */
extern pid_t sandbox_parent;      /* the test itself */
extern int sandbox_terminal;      /* a serial port, opened by somebody else */
extern int sandbox_listener;      /* to be connected to; made before the sandbox */
extern const char one_server[];

enum { EXIT_BROKEN = 202 }; /* of attempts that prove nothing */

/* A path in the folder of the test; good for some calls. */
const char *in_top(const char *name);
struct settings *settings_of(const char *more, const char *servers);

int sandbox_set_up(void **state);
int sandbox_tear_down(void **state);

/* errno of a system call that failed, else 0; the same for opening a path. */
int done(long result);
int opened(const char *path, int flags);

typedef int attempt(void);

/* sandbox_tries_files.c */
attempt read_database, write_database, cut_database_by_opening, cut_database,
    change_mode_of_database, change_time_of_database, change_owner_of_database,
    set_attribute_of_database, read_password, write_password, read_other, read_passwd, write_etc,
    write_tmp, list_state, read_fax, read_incoming, make_in_state, out_of_incoming,
    link_the_password, point_to_the_password, make_device, memory_of_parent, environment_of_parent,
    terminal_by_name, store_in_incoming, store_in_fax, between_folders, memory_file_by_name,
    random_device, zone, write_through_link;

/* sandbox_tries_calls.c */
attempt run_program, fork_self, vfork_self, start_program, trace_parent, end_parent, end_all,
    signal_parent_thread, limit_parent, read_memory_of_parent, mount_something, new_namespace,
    change_root, load_kernel, load_module, load_bpf, use_ring, add_key, start_thread, make_code,
    make_data_code, abort_self, give_name, become_dumpable, socket_udp, socket_tcp, socket_local,
    socket_raw, socket_packet, socket_audit, socket_virtual, make_pair, list_addresses, bind_udp,
    bind_and_listen, only_listen, connect_tcp, several_datagrams, resolve_name, wait_in_many_ways,
    watch_folder, use_serial_port, type_for_others, signal_by_descriptor, choose_signal,
    be_told_by_signal, change_flags, take_lease, linger, cut_an_open_file, stop_terminal;

#endif
