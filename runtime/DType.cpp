#include "runtime/DType.h"
#include <iterator>

namespace attnc {

namespace {
struct Info {
  const char *name;
  size_t size;
};
constexpr Info kInfo[] = {{"f32", 4}, {"f16", 2}, {"bf16", 2}, {"f64", 8}, {"i32", 4}, {"i64", 8}, {"bool", 1}};
} // namespace

const char *dtypeName(DType type) { return kInfo[static_cast<int>(type)].name; }

std::optional<DType> dtypeFromName(std::string_view name) {
  for (int i = 0; i < static_cast<int>(std::size(kInfo)); ++i)
    if (name == kInfo[i].name)
      return static_cast<DType>(i);
  return std::nullopt;
}

size_t dtypeSize(DType type) { return kInfo[static_cast<int>(type)].size; }

} // namespace attnc
