/* Loaded before a program's own libraries: the wall clock it reads is the system's, moved by the
   number of seconds in the file that WALL_CLOCK names, which may change at any time. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static int (*system_clock)(clockid_t, struct timespec *);
static const volatile int64_t *seconds;

/* Mapped at the very start: later the program may not open files any more. */
__attribute__((constructor)) static void start(void) {
    system_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int file = open(getenv("WALL_CLOCK"), O_RDONLY | O_CLOEXEC);
    void *mapped = mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED)
        abort();
    seconds = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = system_clock(clock, time);
    if (!failed && clock == CLOCK_REALTIME)
        time->tv_sec += *seconds;
    return failed;
}
