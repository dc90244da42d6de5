/* SPDX-License-Identifier: MIT
 * Writes under a temporary name, syncs, renames. The temporary file is locked while it is written:
 * of two writers of one name the second is refused, and a lock dies with its holder, so that a
 * stale file is known for one. */
#define _DEFAULT_SOURCE
#include "whole_file.h"

#include "error.h"
#include "input_file.h"
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = ".dodeca-tmp";
enum { SUFFIX_ROOM = 16 }; /* for suffix, or a dot and a generation's number */

struct dd_whole_file {
    int fd;
    char *path, *temporary;
    char *older, *newer; /* room for names of generations */
    size_t room;         /* bytes in each of the four */
};

static dd_status failed(const dd_whole_file *file, const char *what, dd_error *error)
{
    return dd_error_set(error, DD_ERR_DATA, DD_PATH_FORMAT ": cannot be %s: %s", file->path, what,
                        strerror(errno));
}

/* ---- Beginning ---- */

static dd_whole_file *allocate(const char *path)
{
    const size_t room = strlen(path) + SUFFIX_ROOM;
    dd_whole_file *file = dd_alloc(sizeof *file + 4 * room);
    if (!file)
        return NULL;
    char *at = (char *)(file + 1);
    *file = (dd_whole_file){.fd = -1, .path = at, .room = room};
    file->temporary = at + room;
    file->older = at + 2 * room;
    file->newer = at + 3 * room;
    (void)snprintf(file->path, room, "%s", path);
    (void)snprintf(file->temporary, room, "%s%s", path, suffix);
    return file;
}

static dd_status check_target(const char *path, dd_error *error)
{
    struct stat about;
    if (!path[0]) /* its temporary file could be written, and never renamed */
        return dd_error_set(error, DD_ERR_ARGUMENT, "\"\": an empty path; it must name a file");
    if (lstat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": is %s, and only a regular file is replaced", path,
                            S_ISDIR(about.st_mode)   ? "a directory"
                            : S_ISLNK(about.st_mode) ? "a symbolic link"
                                                     : "a device, pipe or socket");
    return DD_OK;
}

/* Whether the descriptor is what the temporary name stands for: its last writer may have renamed it
 * between our open and our lock. */
static bool still_named(const dd_whole_file *file)
{
    struct stat named, open;
    return lstat(file->temporary, &named) == 0 && fstat(file->fd, &open) == 0 &&
           named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

static dd_status being_written(const dd_whole_file *file, dd_error *error)
{
    return dd_error_set(error, DD_ERR_DATA,
                        DD_PATH_FORMAT ": is being written by somebody else at this moment",
                        file->path);
}

/* Opens the temporary file and locks it. Where there are no locks there is no protection, and
 * writing is possible all the same. */
static dd_status lock_temporary(dd_whole_file *file, dd_error *error)
{
    struct stat about;
    file->fd =
        open(file->temporary, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (file->fd < 0 || fstat(file->fd, &about) != 0)
        return failed(file, "written", error);
    if (!S_ISREG(about.st_mode))
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT "%s: is in the way, and no regular file", file->path,
                            suffix);
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return being_written(file, error);
    return DD_OK;
}

/* The temporary file, ours alone; what a writer left who was killed is still in it. */
static dd_status take_temporary(dd_whole_file *file, dd_error *error)
{
    for (int tries = 0; tries < 100; tries++) {
        const dd_status st = lock_temporary(file, error);
        if (st != DD_OK || still_named(file))
            return st;
        close(file->fd);
        file->fd = -1;
    }
    return being_written(file, error);
}

static void release(dd_whole_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    dd_free(file);
}

dd_status dd_whole_file_create(const char *path, dd_whole_file **out, dd_error *error)
{
    dd_status st = check_target(path, error);
    if (st != DD_OK)
        return st;
    dd_whole_file *file = allocate(path);
    if (!file)
        return dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", path);
    if ((st = take_temporary(file, error)) != DD_OK) {
        release(file); /* the temporary file is not ours */
        return st;
    }
    if (ftruncate(file->fd, 0) != 0) {
        st = failed(file, "written", error);
        dd_whole_file_abandon(file);
        return st;
    }
    *out = file;
    return DD_OK;
}

dd_status dd_whole_file_write(dd_whole_file *file, uint64_t offset, const void *from, size_t bytes,
                              dd_error *error)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t n =
            pwrite(file->fd, (const char *)from + done, bytes - done, (off_t)(offset + done));
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return dd_error_set(error, DD_ERR_DATA,
                                DD_PATH_FORMAT ": writing failed at byte %" PRIu64 ": %s",
                                file->path, offset + done, n ? strerror(errno) : "no progress");
    }
    return DD_OK;
}

/* ---- Ending ---- */

/* The name of generation g: the path's own for 0. */
static const char *generation(const dd_whole_file *file, uint32_t g, char *name)
{
    (void)snprintf(name, file->room, g ? "%s.%" PRIu32 : "%s", file->path, g);
    return name;
}

/* Whether the first generation is the path's own file: whoever rotated last was killed before the
 * rename. */
static bool already_kept(const dd_whole_file *file)
{
    struct stat own, kept;
    return stat(file->path, &own) == 0 && stat(generation(file, 1, file->older), &kept) == 0 &&
           own.st_dev == kept.st_dev && own.st_ino == kept.st_ino;
}

static bool has_no_links(int number)
{
    return number == EPERM || number == EOPNOTSUPP || number == ENOSYS || number == EMLINK;
}

/* Makes room for generation 1 and puts the path's file there, by a second name where there are
 * such. *moved: it has lost its first. */
static dd_status rotate(dd_whole_file *file, uint32_t keep, bool *moved, dd_error *error)
{
    *moved = false;
    if (keep < 2 || access(file->path, F_OK) != 0 || already_kept(file))
        return DD_OK;
    for (uint32_t g = keep - 1; g > 1; g--)
        if (rename(generation(file, g - 1, file->newer), generation(file, g, file->older)) != 0 &&
            errno != ENOENT)
            return failed(file, "kept beside the new one", error);
    generation(file, 1, file->older);
    if (keep == 2 && unlink(file->older) != 0 && errno != ENOENT)
        return failed(file, "kept beside the new one", error);
    if (link(file->path, file->older) == 0)
        return DD_OK;
    if (!has_no_links(errno) || rename(file->path, file->older) != 0)
        return failed(file, "kept beside the new one", error);
    *moved = true;
    return DD_OK;
}

static dd_status sync_folder(dd_whole_file *file, dd_error *error)
{
    char *slash = strrchr(file->path, '/');
    if (slash)
        slash[slash == file->path] = '\0'; /* "/name" lies in "/" */
    const int fd = open(slash ? file->path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* EINVAL: a file system whose folders cannot be synced */
    const bool synced = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
    const int why = errno;
    if (fd >= 0)
        close(fd);
    if (synced)
        return DD_OK;
    return dd_error_set(error, DD_ERR_DATA,
                        DD_PATH_FORMAT ": this folder holds the new file, but cannot be synced: %s",
                        slash ? file->path : ".", strerror(why));
}

dd_status dd_whole_file_commit(dd_whole_file *file, uint32_t keep, dd_error *error)
{
    bool moved = false;
    dd_status st = fsync(file->fd) == 0 ? DD_OK : failed(file, "synced", error);
    if (st == DD_OK)
        st = check_target(file->path, error);
    if (st == DD_OK)
        st = rotate(file, keep, &moved, error);
    if (st == DD_OK && rename(file->temporary, file->path) != 0) {
        st = failed(file, "renamed from its temporary name", error);
        if (moved)
            (void)rename(generation(file, 1, file->older), file->path);
    }
    if (st != DD_OK) {
        dd_whole_file_abandon(file);
        return st;
    }
    st = sync_folder(file, error);
    release(file);
    return st;
}

void dd_whole_file_abandon(dd_whole_file *file)
{
    if (!file)
        return;
    (void)unlink(file->temporary);
    release(file);
}
