//===- Functions of a library that was opened, by name --------------------===//
#pragma once
#include <dlfcn.h>
#include <string>

namespace attnc {

class Symbols {
public:
  explicit Symbols(void *handle) : handle_(handle) {}
  template <class F> void find(F *&function, const char *name) {
    function = reinterpret_cast<F *>(dlsym(handle_, name));
    if (!function && missing.empty())
      missing = name;
  }
  std::string missing; ///< the first that is not there

private:
  void *handle_;
};

} // namespace attnc
