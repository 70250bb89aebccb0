//===- attnc --------------------------------------------------------------===//
#include "tools/attnc/Common.h"
#include <cstdio>
#include <exception>
#include <fmt/format.h>
#include <new>
#include <pthread.h>

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

/// Specs make graphs that are walked recursively; a long chain of equations is deep. So the work gets a stack that is
/// large, and costs nothing until it is used.
int main(int argc, char **argv) {
  struct Job {
    int argc;
    char **argv;
    int status;
  } job = {argc, argv, kWrong};
  auto body = [](void *p) -> void * {
    Job &j = *static_cast<Job *>(p);
    j.status = guarded(j.argc, j.argv);
    return nullptr;
  };
  pthread_attr_t attributes;
  pthread_t thread;
  constexpr size_t kStack = size_t(1) << 29;
  if (pthread_attr_init(&attributes) != 0)
    return guarded(argc, argv);
  if (pthread_attr_setstacksize(&attributes, kStack) == 0 && pthread_create(&thread, &attributes, body, &job) == 0)
    pthread_join(thread, nullptr);
  else
    job.status = guarded(argc, argv);
  pthread_attr_destroy(&attributes);
  return job.status;
}
