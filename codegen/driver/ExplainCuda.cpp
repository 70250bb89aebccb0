//===- What is known of a GPU's kernels before they run -------------------===//
#include "codegen/driver/ExplainCuda.h"
#include "codegen/cuda/Occupancy.h"
#include "llvm/Support/JSON.h"
#include <algorithm>
#include <fmt/format.h>

namespace attnc {

void explainCuda(const cuda::NvrtcOutput &output, const LaunchPlan &plan, const std::string &arch, std::string &text,
                 std::string &json) {
  llvm::json::Array list;
  text += fmt::format("{}, NVRTC {}; static, not run on hardware:\n", arch, cuda::nvrtcVersion());
  for (const LaunchPlan::Kernel &k : plan.kernels) {
    auto found = std::find_if(output.kernels.begin(), output.kernels.end(), [&](auto &f) { return f.name == k.name; });
    if (found == output.kernels.end())
      continue;
    cuda::Occupancy o = cuda::occupancyOf(*found, k.threads, arch);
    text += fmt::format("  {}: {} threads a block, {} registers a thread, {} bytes of shared memory, {} bytes spilled; "
                        "{} blocks a multiprocessor, {:.0f} % of its threads, limited by {}\n",
                        k.name, k.threads, found->registers, found->sharedBytes, found->spillBytes, o.blocks,
                        100 * o.fraction, o.limit);
    list.push_back(llvm::json::Object{{"name", k.name},
                                      {"threads", k.threads},
                                      {"registers", found->registers},
                                      {"shared_bytes", found->sharedBytes},
                                      {"stack_bytes", found->stackBytes},
                                      {"spill_bytes", found->spillBytes},
                                      {"blocks_per_multiprocessor", o.blocks},
                                      {"occupancy", o.fraction},
                                      {"limited_by", o.limit}});
  }
  llvm::Expected<llvm::json::Value> whole = llvm::json::parse(json);
  if (!whole) {
    llvm::consumeError(whole.takeError());
    return;
  }
  if (llvm::json::Object *object = whole->getAsObject())
    (*object)["cuda"] = llvm::json::Object{{"arch", arch},
                                           {"nvrtc", cuda::nvrtcVersion()},
                                           {"nvrtc_seconds", output.seconds},
                                           {"evidence", "static, not run on hardware"},
                                           {"kernels", std::move(list)}};
  llvm::raw_string_ostream(json = {}) << *whole;
}

} // namespace attnc
