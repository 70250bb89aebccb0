/*===- attnc's C interface: compiling and running --------------------------===*/
#ifndef ATTNC_ATTNC_H
#define ATTNC_ATTNC_H

#include "attnc/compile.h"
#include "attnc/runtime.h"

#endif
