//===- attnc --------------------------------------------------------------===//
#include "runtime/DeepStack.h"
#include "tools/attnc/Common.h"
#include <cstdio>
#include <exception>
#include <fmt/format.h>
#include <new>

using namespace attnc::cli;

static int dispatch(const Options &options) {
  if (options.command == "check")
    return runCheck(options);
  if (options.command == "eval")
    return runEval(options);
  if (options.command == "compile")
    return runCompile(options);
#ifdef ATTNC_HAS_COMPILER
  if (options.command == "run")
    return runRun(options);
  if (options.command == "verify")
    return runVerify(options);
  if (options.command == "explain")
    return runExplain(options);
  return runBench(options);
#else
  return fail(
      options,
      fmt::format("this attnc was built without its compiler (ATTNC_COMPILER=OFF); {} is not built in, check, eval "
                  "and compile --emit=ast are",
                  options.command),
      kUnavailable);
#endif
}

static int guarded(int argc, char **argv) {
  Options options;
  bool help = false;
  std::string error;
  try {
    if (!parseOptions(argc, argv, options, help, error))
      return fail(options, error);
    if (help)
      return printOut(usage(options.command)) ? kDone : kWrong;
    return dispatch(options);
  } catch (const std::bad_alloc &) {
    std::fputs("attnc: error: out of memory\n", stderr);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "attnc: error: internal: %s\n", e.what());
  }
  return kWrong;
}

int main(int argc, char **argv) {
  int status = kWrong;
  attnc::onDeepStack([&] { status = guarded(argc, argv); });
  return status;
}
