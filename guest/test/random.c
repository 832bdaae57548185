// Prints what the processor itself gives for random: RDRAND, then RDSEED.
#include <immintrin.h>
#include <stdio.h>

int main(void) {
  unsigned long long drawn = 0, seed = 0;
  while (!_rdrand64_step(&drawn)) continue;
  while (!_rdseed64_step(&seed)) continue;
  printf("%016llx\n%016llx\n", drawn, seed);
  return 0;
}
