/* SPDX-License-Identifier: Apache-2.0
 *
 * Kills an LVM command at one of its changes: a write to a PV, or a request
 * to device-mapper that changes something. LVM loads this with LD_PRELOAD.
 * TORTURE_LOG is a file that gets a line for each change, TORTURE_KILL the
 * number of the change, from 0, before which the command is killed.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/dm-ioctl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const changes[] = {
    [DM_DEV_CREATE_CMD] = "create", [DM_DEV_REMOVE_CMD] = "remove",
    [DM_DEV_RENAME_CMD] = "rename", [DM_DEV_SUSPEND_CMD] = "resume",
    [DM_TABLE_LOAD_CMD] = "load", [DM_TABLE_CLEAR_CMD] = "clear",
    [DM_TARGET_MSG_CMD] = "message to",
};
static const char *log_path;
static int kill_at = -1;

__attribute__((constructor)) static void begin(void)
{
    const char *number = getenv("TORTURE_KILL");

    log_path = getenv("TORTURE_LOG");
    if (number)
        kill_at = atoi(number);
    /* What LVM starts is not counted. */
    unsetenv("LD_PRELOAD");
}

static void change(const char *what, const char *name)
{
    if (log_path) {
        /* LVM closes what it has not opened itself. */
        int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);

        dprintf(log, "%s %s\n", what, name);
        close(log);
    }
    if (kill_at >= 0 && kill_at-- == 0)
        kill(getpid(), SIGKILL);
}

int ioctl(int descriptor, unsigned long request, ...)
{
    const struct dm_ioctl *header;
    unsigned int number = _IOC_NR(request);
    va_list arguments;
    void *argument;

    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if (_IOC_TYPE(request) == DM_IOCTL
        && number < sizeof(changes) / sizeof(*changes) && changes[number]) {
        header = argument;
        change(header->flags & DM_SUSPEND_FLAG
               && number == DM_DEV_SUSPEND_CMD ? "suspend" : changes[number],
               *header->name ? header->name : header->uuid);
    }
    return syscall(SYS_ioctl, descriptor, request, argument);
}

/* As in libaio, which LVM calls. */
int io_submit(aio_context_t context, long count, struct iocb **requests)
{
    long done;

    if (count > 0 && requests[0]->aio_lio_opcode == IOCB_CMD_PWRITE)
        change("write", "to a PV");
    done = syscall(SYS_io_submit, context, count, requests);
    return done < 0 ? -errno : done;
}
