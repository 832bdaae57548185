// Under emulation, QEMU answers RDRAND and RDSEED by the generator of its cryptographic library, whose state lies in the process's
// memory: copies of a process (process/) would all give the same numbers. These take them of the kernel, each time.
//
// Found before those of GnuTLS and libgcrypt, by QEMU and by the libraries themselves.
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

static void fill(void *data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t count = getrandom((char *)data + done, bytes - done, 0);
    if (count > 0)
      done += (size_t)count;
    else if (errno != EINTR)
      abort();
  }
}

int gnutls_rnd(int level, void *data, size_t bytes) {
  (void)level;
  fill(data, bytes);
  return 0;
}

void gcry_randomize(void *data, size_t bytes, int level) {
  (void)level;
  fill(data, bytes);
}
