/* SPDX-License-Identifier: MIT
 * Programs as files. */
#include "program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell_body.h"
#include "hash.h"

bool dd_program_self(char path[DD_PROGRAM_PATH])
{
    const ssize_t n = readlink("/proc/self/exe", path, DD_PROGRAM_PATH - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0;
}

bool dd_program_hash(const char *path, char hash[33])
{
    struct stat about;
    uint8_t bytes[16];
    hash[0] = '\0';
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *text = MAP_FAILED;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0)
        text = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (text == MAP_FAILED)
        return false;
    dd_hash128(text, (size_t)about.st_size, bytes);
    munmap(text, (size_t)about.st_size);
    dd_hash_text(bytes, hash);
    return true;
}
