// Stands for libcapstone, a disassembler that QEMU is linked with and uses only for its own logs. Its tables hold addresses,
// so that each process has 1.3 MB of them for itself, which takes a millisecond to fill in.
//
// This library is named libcapstone.so.4 (build.sh), and a program that has one of that name already is not given another.
// A QEMU that wants another version gets that one, and finds these functions first. They are those of capstone 4 (capstone.h)
// that QEMU uses: there is no architecture that it could take apart.
#include <stddef.h>

#define CS_ERR_ARCH 2

int cs_open(int architecture, int mode, size_t *handle) {
  (void)architecture;
  (void)mode;
  *handle = 0;
  return CS_ERR_ARCH;
}

int cs_close(size_t *handle) {
  *handle = 0;
  return 0;
}

int cs_option(size_t handle, int type, size_t value) {
  (void)handle;
  (void)type;
  (void)value;
  return CS_ERR_ARCH;
}

void *cs_malloc(size_t handle) {
  (void)handle;
  return NULL;
}

void cs_free(void *instructions, size_t count) {
  (void)instructions;
  (void)count;
}

_Bool cs_disasm_iter(
  size_t handle, const unsigned char **code, size_t *size, unsigned long *address, void *instruction
) {
  (void)handle;
  (void)code;
  (void)size;
  (void)address;
  (void)instruction;
  return 0;
}

size_t cs_disasm(
  size_t handle, const unsigned char *code, size_t size, unsigned long address, size_t count, void **instructions
) {
  (void)handle;
  (void)code;
  (void)size;
  (void)address;
  (void)count;
  *instructions = NULL;
  return 0;
}
