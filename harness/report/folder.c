/* SPDX-License-Identifier: MIT
 * Removes, moves and creates by name, and not by way of a symbolic link. */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_folder(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool matches(const char *name, const char *const *patterns)
{
    while (*patterns && fnmatch(*patterns, name, 0) != 0)
        patterns++;
    return *patterns;
}

void dd_folder_clear(const char *path, const char *const *patterns)
{
    const int fd = open_folder(path);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (matches(entry->d_name, patterns))
            (void)unlinkat(fd, entry->d_name, 0);
    if (folder)
        closedir(folder);
    else if (fd >= 0)
        close(fd);
    (void)rmdir(path);
}

bool dd_folder_move(const char *from, const char *to, const char *const *patterns)
{
    const int in = open_folder(from), out = in < 0 ? -1 : open_folder(to);
    DIR *folder = out < 0 ? NULL : fdopendir(in);
    const struct dirent *entry;
    bool good = folder;
    while (good && (entry = readdir(folder)))
        if (matches(entry->d_name, patterns))
            good = renameat(in, entry->d_name, out, entry->d_name) == 0;
    const int why = errno;
    if (folder)
        closedir(folder);
    else if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    errno = why;
    return good;
}

int dd_folder_lock(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return fd;
    close(fd);
    errno = EWOULDBLOCK;
    return -1;
}

bool dd_folder_make(const char *path)
{
    struct stat is;
    if (mkdir(path, 0777) == 0)
        return true;
    if (errno != EEXIST)
        return false;
    errno = ENOTDIR;
    return lstat(path, &is) == 0 && S_ISDIR(is.st_mode);
}

void dd_folder_drop_link(const char *path)
{
    struct stat is;
    if (lstat(path, &is) == 0 && S_ISLNK(is.st_mode))
        (void)unlink(path);
}

FILE *dd_folder_create(const char *path)
{
    (void)unlink(path);
    return fopen(path, "wxe");
}

FILE *dd_folder_read(const char *path, char *why, size_t size)
{
    struct stat is;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &is) != 0) {
        (void)snprintf(why, size, "%s", strerror(errno));
    } else if (!S_ISREG(is.st_mode)) {
        (void)snprintf(why, size, "is %s, and must be a regular file",
                       S_ISDIR(is.st_mode) ? "a directory" : "a device, pipe or socket");
    } else {
        FILE *f = fdopen(fd, "r");
        if (f)
            return f;
        (void)snprintf(why, size, "%s", strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}
