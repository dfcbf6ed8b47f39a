/* SPDX-License-Identifier: MIT */
/*
 * serial.h - a serial port with a modem at it: its lock file, its settings, its hang-up.
 *
 * Lock and descriptor are apart: faxpostd's supervisor, as root, locks and opens, and hands the
 * descriptor over; the role that drives the modem sets the port up again when it likes.
 *
 * `why` is what people read when something fails: what, where, what to do. After success it holds
 * information ("the driver does not show CTS …"), or is "". The device's name is escaped in it.
 */
#ifndef FAXPOST_FAX_SERIAL_H
#define FAXPOST_FAX_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERIAL_WHY_MAX = 512, SERIAL_PATH_MAX = 256, SERIAL_USB_ID_MAX = 10, SERIAL_NAME_MAX = 64 };

/* In the order of the choices of [line] flow. */
enum serial_flow { SERIAL_FLOW_RTSCTS, SERIAL_FLOW_XONXOFF, SERIAL_FLOW_NONE };

struct serial_settings {
    int speed; /* bits a second between the two: 300 to 921600 */
    enum serial_flow flow;
};

/* Locks a port: LCK..NAME in the folder lock_dir (NULL: /run/lock), with our process id in it
 * (FHS 5.9). Links are followed, so that by-id paths lock the real device; a lock whose process is
 * dead is taken away. out_path is for serial_unlock(). ERROR_BUSY (why names who has it),
 * ERROR_NOT_FOUND (no such device, or no such folder), ERROR_DENIED, ERROR_IO, ERROR_LIMIT. */
int serial_lock(char out_path[SERIAL_PATH_MAX], const char *device, const char *lock_dir, char *why,
                size_t why_size);

/* Removes a lock of this process; "" is fine. */
void serial_unlock(const char *path);

/* Opens a port without waiting for a carrier, for us alone (TIOCEXCL, flock), and sets it up. The
 * caller has its lock. ERROR_NOT_FOUND (why lists the ports that are there), ERROR_DENIED,
 * ERROR_BUSY, ERROR_FORMAT (not a terminal), ERROR_UNSUPPORTED (the port refuses the settings),
 * ERROR_IO. */
int serial_open(int *out_fd, const char *device, const struct serial_settings *settings, char *why,
                size_t why_size);

/* Raw, 8N1, speed and flow control, DTR and RTS on, what was in its buffers thrown away. What the
 * driver really took is read back. Also for a port that is open already. ERROR_UNSUPPORTED,
 * ERROR_CLOSED (unplugged), ERROR_IO. */
int serial_setup(int fd, const struct serial_settings *settings, char *why, size_t why_size);

/* Closes without waiting for octets that nobody takes; DTR falls, so a modem hangs up. -1 is fine.
 */
void serial_close(int fd);

/* DTR: off hangs up (&D2, &D3). ERROR_UNSUPPORTED where the port has none (a pty). */
int serial_set_dtr(int fd, bool on);

/* What is in the port's buffers, either way, is thrown away. */
void serial_flush(int fd);

/* The device is gone (unplugged; the other end of a pty closed), going by errno of a failed read
 * or write, or by what poll() gave. */
bool serial_error_is_gone(int error_number);
bool serial_poll_is_gone(short revents);

/* "0572:1329" when the port belongs to a USB device. sys_dir: NULL for /sys. */
bool serial_usb_id(char out[SERIAL_USB_ID_MAX], const char *device, const char *sys_dir);

/* The by-id path of a port, which stays the same when the modem is plugged in elsewhere; false when
 * it has none. */
bool serial_by_id(char out[SERIAL_PATH_MAX], const char *device);

/* Ports that are there, by-id paths first, as a list for people: "/dev/ttyS0, /dev/ttyACM0"; "none"
 */
void serial_present(char *out, size_t size);

bool serial_speed_is_valid(int64_t speed);
const char *serial_flow_text(enum serial_flow flow);

#endif
