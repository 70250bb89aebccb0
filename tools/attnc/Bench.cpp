//===- attnc bench --------------------------------------------------------===//
//
// Rounds of one call and one measurement of the peak, alternating, so that both see the same machine; medians of each.
// Both in time passed and in processor time of all threads: on a loaded machine the latter says what a free one would
// do. GFLOP/s counts the operations of the plan (explain), not those of some other way to compute the same.
//===----------------------------------------------------------------------===//
#include "tools/attnc/Peak.h"
#include "tools/attnc/Plan.h"
#include "tools/attnc/Sample.h"
#include <algorithm>
#include <chrono>
#include <ctime>
#include <fmt/format.h>

namespace attnc::cli {

namespace {

/// Seconds that passed, and that the threads of this process worked.
struct Time {
  double wall = 0, processor = 0;
  static Time now() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return {std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(),
            double(t.tv_sec) + 1e-9 * double(t.tv_nsec)};
  }
  Time operator-(const Time &o) const { return {wall - o.wall, processor - o.processor}; }
};

double median(std::vector<double> list) {
  std::sort(list.begin(), list.end());
  return list[list.size() / 2];
}

} // namespace

int runBench(const Options &options) {
  if (options.target != "cpu")
    return fail(options, Error(Msg::A931, options.target));
  if (int status = checkTargetOption(options))
    return status;
  Session session(options);
  if (int status = session.openWithAllInputs())
    return status;
  Error error;
  std::vector<int64_t> symbols;
  Tensors inputs, outputs;
  if (!sampleSizes(session.signature(), options.sizes, 0, symbols, error) ||
      !sampleInputs(session.signature(), symbols, {}, options.dtype.value_or(DType::F32), options.seed, inputs, error))
    return fail(options, error);
  Plan plan;
  if (int status = makePlan(options, session, symbols, plan))
    return status;
  if (int status = session.openKernel(inputs))
    return status;

  bool f64 = false;
  for (auto &t : inputs)
    f64 |= t.second.dtype == DType::F64;
  ThreadPool pool(options.threads);
  pool.warm();
  runPeak(pool, f64);
  std::vector<double> seconds, processor, peaks, processorPeaks;
  Time begin = Time::now();
  Progress progress("measuring");
  // The first call pages memory in and is not counted.
  for (int round = -1; round < 5 || (round < 1000 && (Time::now() - begin).wall < 2); ++round) {
    Time start = Time::now();
    if (int status = session.run(inputs, outputs, pool))
      return status;
    Time between = Time::now();
    double work = runPeak(pool, f64);
    Time end = Time::now(), call = between - start, peak = end - between;
    if (round >= 0) {
      seconds.push_back(call.wall);
      processor.push_back(call.processor);
      peaks.push_back(work / peak.wall);
      processorPeaks.push_back(work / peak.processor);
    }
    if (round >= 2 && (end - begin).wall > 60)
      break;
  }
  double time = median(seconds), peak = median(peaks), rate = plan.flops / time;
  double worked = median(processor), workedPeak = median(processorPeaks);
  double fraction = peak > 0 ? rate / peak : 0, workedFraction = peak > 0 ? plan.flops / worked / workedPeak : 0;
  if (options.json) {
    Json json;
    json.beginObject().field("ok", true).field("mixer", session.signature().mixer).key("sizes").beginObject();
    for (size_t i = 0; i < symbols.size(); ++i)
      json.field(session.signature().symbols[i].name, symbols[i]);
    json.endObject()
        .field("threads", pool.threads())
        .field("runs", int64_t(seconds.size()))
        .field("median_ms", time * 1e3);
    json.field("min_ms", *std::min_element(seconds.begin(), seconds.end()) * 1e3)
        .field("flops", plan.flops)
        .field("bytes", plan.bytes);
    json.field("gflops", rate * 1e-9)
        .field("gbytes_per_second", plan.bytes / time * 1e-9)
        .field("peak_gflops", peak * 1e-9);
    json.field("fraction_of_peak", fraction)
        .field("processor_ms", worked * 1e3)
        .field("processor_fraction_of_peak", workedFraction)
        .endObject();
    return printOut(json.text() + "\n") ? kDone : kWrong;
  }
  return printOut(fmt::format("{} with {}: median {:.4g} ms of {} runs, {} threads; {:.4g} ms of processor time\n"
                              "{:.4g} GFLOP/s, {:.1f} % of the {:.4g} GFLOP/s measured for FMA ({:.1f} % in processor "
                              "time); {:.4g} GB/s\n",
                              session.signature().mixer, sizesText(session.signature(), symbols), time * 1e3,
                              seconds.size(), pool.threads(), worked * 1e3, rate * 1e-9, 100 * fraction, peak * 1e-9,
                              100 * workedFraction, plan.bytes / time * 1e-9))
             ? kDone
             : kWrong;
}

} // namespace attnc::cli
