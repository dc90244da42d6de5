/* SPDX-License-Identifier: MIT
 * What /proc and uname say. */
#include "machine.h"
#include "cpu.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The value of the first line "key : value". */
static void find_value(const char *path, const char *key, char *value, size_t size)
{
    char line[512];
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || !colon)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(value, size, "%s", colon);
        break;
    }
    if (f)
        fclose(f);
}

void dd_machine_get(dd_machine *out)
{
    *out = (dd_machine){.cpu = "unknown", .isa = "unknown", .kernel = "unknown"};
    find_value("/proc/cpuinfo", "model name", out->cpu, sizeof out->cpu);
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(out->isa, sizeof out->isa, "%.60s", name.machine);
        snprintf(out->kernel, sizeof out->kernel, "%.50s %.70s", name.sysname, name.release);
    }
    out->cores = dd_cpu_available();
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_bytes > 0)
        out->memory_bytes = (uint64_t)pages * (uint64_t)page_bytes;
}
