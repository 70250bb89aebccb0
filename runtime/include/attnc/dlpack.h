/*===- DLPack's tensor struct ----------------------------------------------===
 *
 * The part of DLPack (https://github.com/dmlc/dlpack, version 0.8) that describes a tensor in memory, with the same
 *names and layout. When DLPack's own header is included before this one, that one is used.
 *===----------------------------------------------------------------------===*/
#ifndef ATTNC_DLPACK_H
#define ATTNC_DLPACK_H

#include <stdint.h>

#ifndef DLPACK_DLPACK_H_
#define DLPACK_DLPACK_H_

typedef enum { kDLCPU = 1, kDLCUDA = 2, kDLCUDAHost = 3, kDLCUDAManaged = 13 } DLDeviceType;

typedef struct {
  DLDeviceType device_type;
  int32_t device_id;
} DLDevice;

typedef enum {
  kDLInt = 0U,
  kDLUInt = 1U,
  kDLFloat = 2U,
  kDLOpaqueHandle = 3U,
  kDLBfloat = 4U,
  kDLComplex = 5U,
  kDLBool = 6U
} DLDataTypeCode;

typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} DLDataType;

typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides; /* in elements; NULL: compact and row-major */
  uint64_t byte_offset;
} DLTensor;

#endif
#endif
