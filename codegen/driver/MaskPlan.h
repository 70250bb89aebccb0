//===- Which positions a kernel visits, and which a mask keeps ------------===//
//
// For loops over blocks that tile-stream made and tile-mask-blocks may have cut. The loops themselves are followed, so
// that what is said is what runs; what decides about them is computed, from data where they are given.
//===----------------------------------------------------------------------===//
#pragma once
#include "codegen/driver/TileRun.h"
#include "runtime/Signature.h"
#include "runtime/Tensor.h"
#include <map>
#include <string>
#include <vector>

namespace attnc {

/// Of one kernel, for one instance of what its plan does not depend on (batches, heads). Rows and positions along the
/// axis are flattened, last dim fastest.
struct MaskPlan {
  struct Span {
    int64_t row, rowEnd, key, keyEnd; ///< a rectangle
    bool masked;                      ///< the mask is evaluated in it
  };
  struct Run {
    int64_t row, key, keyEnd;
  };
  int64_t line = 0; ///< in the spec; 0: not known
  std::string rowName, keyName;
  int64_t rows = 0, keys = 0;
  int64_t blockRows = 1, blockKeys = 1; ///< positions that are taken together
  int64_t instances = 1;                ///< how many of them there are
  std::vector<Span> spans;              ///< what is visited
  bool planned = false; ///< the loops were cut by the mask; else all positions are visited, with any mask
  bool known = true;    ///< false: it depends on data that were not given
  /// Only where asked for.
  std::vector<Run> kept; ///< of what is visited with a mask: what it keeps
  bool keptKnown = false;

  double visited() const, whole() const; ///< numbers of elements
  double keptCount() const;
};

/// What is asked for beside the loops.
struct MaskData {
  const std::map<std::string, HostTensor> *inputs = nullptr; ///< null: none
  bool elements = false;                                     ///< the mask element by element
  int64_t instance = 0;
};

/// Of the kernel, if it has such loops. `program`: with the values of its arguments.
std::optional<MaskPlan> planOf(tile::KernelOp kernel, const Signature &signature, const std::vector<int64_t> &symbols,
                               const MaskData &data);

} // namespace attnc
