/* Makes writes to regular files slow: preloaded into a broker, steered by a mapped file of two 64-bit words.
 * Word 0 is written by the harness: microseconds that each write takes longer. Word 1 is ours: writes delayed so far.
 * Sockets, pipes and terminals are left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t *words;

__attribute__((constructor)) static void map_words(void) {
    const char *path = getenv("KAFKAOS_SLOW_DISK");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *page = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) words = page;
}

static void wait_for_disk(int fd) {
    struct stat about;
    uint64_t us = words ? words[0] : 0;
    if (!us || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return;
    struct timespec left = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (nanosleep(&left, &left) != 0) {}
    __atomic_add_fetch(&words[1], 1, __ATOMIC_RELAXED);
}

#define SLOW(type, name, parameters, arguments)                              \
    type name parameters {                                                   \
        static type (*real) parameters;                                      \
        if (!real) real = (type (*) parameters)dlsym(RTLD_NEXT, #name);      \
        wait_for_disk(fd);                                                   \
        return real arguments;                                               \
    }

SLOW(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
SLOW(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
SLOW(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
SLOW(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
SLOW(int, fsync, (int fd), (fd))
SLOW(int, fdatasync, (int fd), (fd))
