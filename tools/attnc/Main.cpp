//===- attnc --------------------------------------------------------------===//
#include "runtime/DeepStack.h"
#include "tools/attnc/Common.h"
#include <exception>
#include <new>

using namespace attnc;
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
  if (options.command == "show")
    return runShow(options);
  return runBench(options);
#else
  return fail(options, Error(Msg::A924, options.command).withHelp(kNoCompiler), kUnavailable);
#endif
}

static int guarded(int argc, char **argv) {
  Options options;
  bool help = false;
  Error error;
  try {
    if (!parseOptions(argc, argv, options, help, error))
      return fail(options, error);
    if (help)
      return printOut(usage(options.command)) ? kDone : kWrong;
    return dispatch(options);
  } catch (const std::bad_alloc &) {
    return fail(options, Error(Msg::A800, "this"));
  } catch (const std::exception &e) {
    return fail(options, Error(Msg::A819, e.what()));
  }
}

int main(int argc, char **argv) {
  int status = kWrong;
  attnc::onDeepStack([&] { status = guarded(argc, argv); });
  return status;
}
