// The types of the emitted text; in front of gpu.cuh and emulated.h.
typedef signed char i8;
typedef int i32;
typedef long long i64;
typedef unsigned int u32;
typedef unsigned long long u64;
struct f16 {
  unsigned short bits;
};
struct bf16 {
  unsigned short bits;
};
