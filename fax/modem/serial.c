/* SPDX-License-Identifier: MIT */
/*
 * serial.c - opens a port with a modem at it, sets it up, and lets go of it. Its lock file is in
 * serial_lock.c.
 *
 * A pty takes any setting and has no wires. USB modems (ttyACM) take CRTSCTS and show CTS always
 * on, because USB itself holds data back. A port on the board shows by CTS whether a modem is
 * there.
 */
#include "fax/modem/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include <linux/serial.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

enum {
    TTY_ACM_MAJOR = 166, /* Linux: admin-guide/devices.txt */
    CTS_WAIT_MS = 50,    /* for a modem to say by CTS that it is there */
};

/* ---- speeds --------------------------------------------------------------------------------- */

static const struct {
    int speed;
    speed_t code;
} speeds[] = {
    {300, B300},       {600, B600},       {1200, B1200},     {2400, B2400},     {4800, B4800},
    {9600, B9600},     {19200, B19200},   {38400, B38400},   {57600, B57600},   {115200, B115200},
    {230400, B230400}, {460800, B460800}, {500000, B500000}, {576000, B576000}, {921600, B921600},
};

static bool speed_code(speed_t *out, int64_t speed)
{
    size_t i;

    for (i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
        if (speeds[i].speed == speed) {
            *out = speeds[i].code;
            return true;
        }
    return false;
}

bool serial_speed_is_valid(int64_t speed)
{
    speed_t code;

    return speed_code(&code, speed);
}

const char *serial_flow_text(enum serial_flow flow)
{
    static const char *const texts[] = {"rtscts", "xonxoff", "none"};

    return texts[flow];
}

/* ---- what ports there are ------------------------------------------------------------------- */

/* Linux has names for ports that no hardware stands behind: their type is 0. */
static bool port_is_real(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    char type_path[128];
    char type[8] = "";
    FILE *file;

    if (strncmp(name, "ttyS", 4) != 0)
        return true;
    snprintf(type_path, sizeof type_path, "/sys/class/tty/%.40s/type", name);
    file = fopen(type_path, "re");
    if (file == NULL)
        return false;
    if (fgets(type, sizeof type, file) == NULL)
        type[0] = '\0';
    fclose(file);
    return type[0] != '\0' && type[0] != '0';
}

/* A by-id path and the device behind it are one port. */
static bool port_is_named(const glob_t *ports, size_t i)
{
    char one[PATH_MAX];
    char two[PATH_MAX];
    size_t j;

    for (j = 0; j < i && strncmp(ports->gl_pathv[j], "/dev/serial/", 12) == 0; j++)
        if (realpath(ports->gl_pathv[j], one) != NULL &&
            realpath(ports->gl_pathv[i], two) != NULL && strcmp(one, two) == 0)
            return true;
    return false;
}

void serial_present(char *out, size_t size)
{
    static const char *const patterns[] = {"/dev/serial/by-id/*", "/dev/ttyACM*", "/dev/ttyUSB*",
                                           "/dev/ttyS[0-9]*"};
    glob_t ports = {0};
    size_t used = 0;
    size_t i;

    text_copy(out, size, "none");
    for (i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, &ports);
    for (i = 0; i < ports.gl_pathc && used < size; i++)
        if (!port_is_named(&ports, i) && port_is_real(ports.gl_pathv[i]))
            used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "",
                                     ports.gl_pathv[i]);
    globfree(&ports);
}

bool serial_by_id(char out[SERIAL_PATH_MAX], const char *device)
{
    char one[PATH_MAX];
    char two[PATH_MAX];
    glob_t ports = {0};
    bool found = false;
    size_t i;

    if (realpath(device, one) == NULL || glob("/dev/serial/by-id/*", 0, NULL, &ports) != 0)
        return false;
    for (i = 0; i < ports.gl_pathc && !found; i++)
        found = realpath(ports.gl_pathv[i], two) != NULL && strcmp(one, two) == 0 &&
                text_copy(out, SERIAL_PATH_MAX, ports.gl_pathv[i]);
    globfree(&ports);
    return found;
}

static bool read_word(const char *folder, const char *name, char out[5])
{
    char path[PATH_MAX + 16];
    FILE *file;
    bool fine;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    fine = fread(out, 1, 4, file) == 4 && strspn(out, "0123456789abcdef") == 4;
    out[4] = '\0';
    fclose(file);
    return fine;
}

bool serial_usb_id(char out[SERIAL_USB_ID_MAX], const char *device, const char *sys_dir)
{
    char real[PATH_MAX];
    char path[PATH_MAX + 64];
    char vendor[5] = "";
    char product[5] = "";
    char *slash;

    if (realpath(device, real) == NULL)
        return false;
    snprintf(path, sizeof path, "%s/class/tty/%s/device", sys_dir != NULL ? sys_dir : "/sys",
             strrchr(real, '/') + 1);
    if (realpath(path, real) == NULL)
        return false;
    /* The ids stand some folders above, with the USB device that the port is part of. */
    while ((slash = strrchr(real, '/')) != NULL && slash != real) {
        if (read_word(real, "idVendor", vendor) && read_word(real, "idProduct", product)) {
            snprintf(out, SERIAL_USB_ID_MAX, "%s:%s", vendor, product);
            return true;
        }
        *slash = '\0';
    }
    return false;
}

/* ---- opening -------------------------------------------------------------------------------- */

static void say_no_rights(const char *device, char *why, size_t size)
{
    const struct passwd *account = getpwuid(geteuid());
    const struct group *group;
    struct stat st;

    if (stat(device, &st) == 0 && (st.st_mode & 0060) == 0060 &&
        (group = getgrgid(st.st_gid)) != NULL && st.st_gid != 0)
        snprintf(why, size, "no rights to %s: add user %s to group %s (usermod -aG %s %s)",
                 LOG_ESCAPED(device), account != NULL ? account->pw_name : "of faxpost",
                 group->gr_name, group->gr_name, account != NULL ? account->pw_name : "USER");
    else
        snprintf(why, size, "no rights to %s: give user %s the right to read and write it",
                 LOG_ESCAPED(device), account != NULL ? account->pw_name : "of faxpost");
}

static int open_failed(const char *device, int error_number, char *why, size_t size)
{
    char present[SERIAL_WHY_MAX / 2];

    switch (error_number) {
    case EPERM:
        snprintf(
            why, size,
            "the system keeps %s from this program, whatever its rights are: under systemd see "
            "DeviceAllow= in faxpost.service, in a container its list of devices",
            LOG_ESCAPED(device));
        return ERROR_DENIED;
    case EACCES: say_no_rights(device, why, size); return ERROR_DENIED;
    case EBUSY:
        snprintf(
            why, size,
            "%s is in use by another program, which has it for itself: 'fuser %.100s' tells which",
            LOG_ESCAPED(device), device);
        return ERROR_BUSY;
    case EISDIR:
        snprintf(why, size, "%s is a folder: name a serial port", LOG_ESCAPED(device));
        return ERROR_FORMAT;
    case ENOENT:
    case ENOTDIR:
    case ENODEV:
    case ENXIO:
    case EIO:
        serial_present(present, sizeof present);
        snprintf(why, size, "no such device: %s: is the modem plugged in? Present are: %s",
                 LOG_ESCAPED(device), present);
        return ERROR_NOT_FOUND;
    default:
        snprintf(why, size, "%s cannot be opened: %s", LOG_ESCAPED(device), strerror(error_number));
        return error_from_errno(error_number);
    }
}

/* The port is open: is it one, and is it free? */
static int claim(int fd, const char *device, char *why, size_t size)
{
    struct termios now;
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode)) {
        snprintf(why, size, "%s is no device: name a serial port", LOG_ESCAPED(device));
        return ERROR_FORMAT;
    }
    if (tcgetattr(fd, &now) < 0) {
        if (errno == EIO)
            return open_failed(device, EIO, why, size);
        snprintf(why, size, "%s is no serial port: %s", LOG_ESCAPED(device), strerror(errno));
        return ERROR_FORMAT;
    }
    /* TIOCEXCL does not keep root out, so others that look at flock (and faxpost) see that too. */
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return open_failed(device, EBUSY, why, size);
    ioctl(fd, TIOCEXCL);
    return 0;
}

int serial_open(int *out_fd, const char *device, const struct serial_settings *settings, char *why,
                size_t why_size)
{
    int fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    int error;

    if (fd < 0)
        return open_failed(device, errno, why, why_size);
    error = claim(fd, device, why, why_size);
    if (error == 0)
        error = serial_setup(fd, settings, why, why_size);
    if (error < 0) {
        close(fd);
        return error;
    }
    *out_fd = fd;
    return 0;
}

/* ---- settings ------------------------------------------------------------------------------- */

static void fill_raw(struct termios *t, speed_t speed, enum serial_flow flow)
{
    cfmakeraw(t);
    t->c_iflag = IGNBRK;
    t->c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | CRTSCTS);
    t->c_cflag |= CS8 | CREAD | CLOCAL | HUPCL;
    if (flow == SERIAL_FLOW_RTSCTS)
        t->c_cflag |= CRTSCTS;
    /* Off unless wished: they would eat 11 and 13 hex out of frames and pages. */
    if (flow == SERIAL_FLOW_XONXOFF)
        t->c_iflag |= IXON | IXOFF;
    t->c_cc[VMIN] = 1;
    t->c_cc[VTIME] = 0;
    cfsetispeed(t, speed);
    cfsetospeed(t, speed);
}

/* FTDI and others gather octets for up to 16 ms; this asks them not to. Many ports know no such
 * thing, which is fine. */
static void set_low_latency(int fd)
{
    struct serial_struct port = {0};

    if (ioctl(fd, TIOCGSERIAL, &port) < 0)
        return;
    port.flags |= ASYNC_LOW_LATENCY;
    ioctl(fd, TIOCSSERIAL, &port);
}

static bool cts_comes(int fd)
{
    int wires;
    int i;

    for (i = 0; i <= CTS_WAIT_MS / 10; i++) {
        if (ioctl(fd, TIOCMGET, &wires) < 0 || (wires & TIOCM_CTS) != 0)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

/* What people should know of flow control as it is. */
static void tell_flow(int fd, bool is_set, char *why, size_t size)
{
    struct stat st;
    int wires;

    if (!is_set)
        snprintf(
            why, size,
            "the driver refuses flow control by RTS/CTS: fast modems may lose octets; try flow = "
            "xonxoff");
    else if (ioctl(fd, TIOCMGET, &wires) < 0)
        snprintf(why, size, "the port has no wires (a pty): flow control is the other program's");
    else if (fstat(fd, &st) == 0 && major(st.st_rdev) == TTY_ACM_MAJOR)
        snprintf(why, size,
                 "the port is at USB, which holds data back by itself: RTS/CTS is not used");
    else if (!cts_comes(fd))
        snprintf(
            why, size,
            "CTS is off: is the modem on, and has the cable all wires? Nothing can be sent until "
            "it comes; flow = none does without");
}

static int setup_failed(int error_number, char *why, size_t size)
{
    if (serial_error_is_gone(error_number)) {
        snprintf(why, size, "the port is gone: is the modem still plugged in?");
        return ERROR_CLOSED;
    }
    snprintf(why, size, "the port refuses its settings: %s", strerror(error_number));
    return ERROR_UNSUPPORTED;
}

int serial_setup(int fd, const struct serial_settings *settings, char *why, size_t why_size)
{
    const tcflag_t octets = CSIZE | CSTOPB | PARENB;
    struct termios want;
    struct termios is;
    speed_t speed;
    int wires = TIOCM_DTR | TIOCM_RTS;

    text_copy(why, why_size, "");
    if (!speed_code(&speed, settings->speed)) {
        snprintf(why, why_size, "speed = %d is none that ports have: try 115200", settings->speed);
        return ERROR_UNSUPPORTED;
    }
    if (tcgetattr(fd, &want) < 0)
        return setup_failed(errno, why, why_size);
    fill_raw(&want, speed, settings->flow);
    tcflush(fd, TCIOFLUSH); /* TCSAFLUSH would wait for a modem that holds us back */
    if (tcsetattr(fd, TCSANOW, &want) < 0 || tcgetattr(fd, &is) < 0)
        return setup_failed(errno, why, why_size);
    if (cfgetospeed(&is) != speed) {
        snprintf(why, why_size, "the port does not run at speed = %d: try a lower one",
                 settings->speed);
        return ERROR_UNSUPPORTED;
    }
    if ((is.c_cflag & octets) != (want.c_cflag & octets) ||
        (is.c_iflag & (IXON | IXOFF)) != (want.c_iflag & (IXON | IXOFF))) {
        snprintf(why, why_size, "the port does not take 8 bits without parity, or its XON/XOFF");
        return ERROR_UNSUPPORTED;
    }
    ioctl(fd, TIOCMBIS, &wires);
    set_low_latency(fd);
    if (settings->flow == SERIAL_FLOW_RTSCTS)
        tell_flow(fd, (is.c_cflag & CRTSCTS) != 0, why, why_size);
    return 0;
}

/* ---- using and leaving it ------------------------------------------------------------------- */

void serial_close(int fd)
{
    if (fd < 0)
        return;
    tcflush(fd, TCIOFLUSH); /* else close() may wait 30 s for a modem that takes nothing */
    serial_set_dtr(fd, false);
    ioctl(fd, TIOCNXCL); /* else a pty stays exclusive as long as its other end is open */
    close(fd);
}

int serial_set_dtr(int fd, bool on)
{
    int wires = TIOCM_DTR;

    return ioctl(fd, on ? TIOCMBIS : TIOCMBIC, &wires) < 0 ? ERROR_UNSUPPORTED : 0;
}

void serial_flush(int fd)
{
    tcflush(fd, TCIOFLUSH);
}

bool serial_error_is_gone(int error_number)
{
    return error_number == EIO || error_number == ENODEV || error_number == ENXIO ||
           error_number == EBADF || error_number == EPIPE;
}

bool serial_poll_is_gone(short revents)
{
    return (revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}
