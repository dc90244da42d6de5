/* SPDX-License-Identifier: MIT
 * Opens regular files and reads at any place of them. */
#define _POSIX_C_SOURCE 200809L
#include "input_file.h"

#include "error.h"
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error files of weights are defined on little-endian memory
#endif

static dd_status look(int fd, const char *path, uint64_t *bytes, dd_error *error)
{
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0)
        return dd_error_set(error, DD_ERR_DATA, DD_PATH_FORMAT ": cannot be opened: %s", path,
                            strerror(errno));
    if (!S_ISREG(about.st_mode))
        return dd_error_set(error, DD_ERR_DATA, DD_PATH_FORMAT ": is %s, not a regular file", path,
                            S_ISDIR(about.st_mode) ? "a directory" : "a device, pipe or socket");
    *bytes = (uint64_t)about.st_size;
    return DD_OK;
}

dd_status dd_input_file_open(const char *path, dd_input_file *out, dd_error *error)
{
    const size_t n = strlen(path) + 1;
    /* O_NONBLOCK: a named pipe is to be refused, not waited for */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *copy = NULL;
    uint64_t bytes = 0;
    dd_status st = look(fd, path, &bytes, error);
    if (st == DD_OK && !(copy = dd_alloc(n)))
        st = dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", path);
    if (st != DD_OK) {
        if (fd >= 0)
            close(fd);
        return st;
    }
    memcpy(copy, path, n);
    *out = (dd_input_file){.fd = fd, .path = copy, .bytes = bytes};
    return DD_OK;
}

void dd_input_file_close(dd_input_file *file)
{
    if (!file->path)
        return;
    close(file->fd);
    dd_free(file->path);
    *file = (dd_input_file){.fd = -1};
}

dd_status dd_input_file_read(const dd_input_file *file, uint64_t offset, void *to, size_t bytes,
                             dd_error *error)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t n = pread(file->fd, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            return dd_error_set(error, DD_ERR_DATA,
                                DD_PATH_FORMAT ": ended at byte %" PRIu64 " of %" PRIu64
                                               ": the file shrank while it was read",
                                file->path, offset + done, file->bytes);
        else if (errno != EINTR)
            return dd_error_set(error, DD_ERR_DATA,
                                DD_PATH_FORMAT ": reading failed at byte %" PRIu64 ": %s",
                                file->path, offset + done, strerror(errno));
    }
    return DD_OK;
}
