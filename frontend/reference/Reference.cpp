#include "frontend/reference/Reference.h"
#include "frontend/reference/Evaluator.h"
#include <fmt/format.h>
#include <new>
#include <pthread.h>

namespace attnc {
namespace reference {

void Evaluator::run(std::map<std::string, HostTensor> &outputs) {
  prepareTensors();
  for (size_t o = 0; o < program_.outputs.size(); ++o) {
    const Output &out = program_.outputs[o];
    ETensor &t = tensors_[out.tensor];
    std::vector<Group> dims;
    std::vector<int64_t> shape;
    for (size_t d = 0; d < out.dims.size(); ++d) {
      dims.push_back(groupOf(out.dims[d]));
      int64_t length = dims.back().count;
      // A ragged dimension has only the positions that exist.
      for (const Composite &c : program_.composites)
        if (c.leaves == out.dims[d])
          length = std::min(length, extentEval(c.length, symbols_).value_or(length));
      shape.push_back(length);
    }
    DType dtype = t.kind == Kind::Bool ? DType::Bool : t.kind == Kind::Int ? DType::I64 : DType::F64;
    if (out.declared)
      dtype = isFloat(out.dtype) ? DType::F64 : out.dtype == DType::Bool ? DType::Bool : DType::I64;
    else if (dtype != DType::F64)
      dtype = DType::F64;
    HostTensor result;
    if (!HostTensor::allocate(dtype, shape, result))
      throw EvalError{fmt::format("no memory for output '{}'", out.name)};
    std::vector<int64_t> at(shape.size());
    for (int64_t flat = 0, n = result.count(); flat < n; ++flat) {
      int64_t rest = flat;
      for (size_t d = shape.size(); d-- > 0;) {
        at[d] = rest % shape[d];
        rest /= shape[d];
        setFlat(dims[d], at[d]);
      }
      Value v = evalTensor(t);
      if (v.absent) {
        std::string where;
        for (int64_t p : at)
          where += fmt::format("{}{}", where.empty() ? "" : ", ", p);
        throw EvalError{fmt::format("output '{}' is absent at [{}]", out.name, where)};
      }
      if (dtype == DType::F64)
        static_cast<double *>(result.data)[flat] = asReal(v, t.kind);
      else
        result.setInt(flat, t.kind == Kind::Real ? realToInt(v.r) : v.i);
    }
    outputs[out.name] = std::move(result);
  }
}

namespace {
/// Recursion follows the equations, and gradients follow recurrences: give it room.
constexpr size_t kStacks[] = {size_t(1) << 30, size_t(64) << 20};

struct Job {
  const Program &program;
  const std::vector<int64_t> &symbols;
  const std::map<std::string, HostTensor> &inputs;
  std::map<std::string, HostTensor> &outputs;
  std::string &error;
  size_t stack = 0;
  bool ok = false;
};

void *work(void *argument) {
  Job &job = *static_cast<Job *>(argument);
  try {
    Evaluator evaluator(job.program, job.symbols, job.inputs);
    const char *top = static_cast<const char *>(__builtin_frame_address(0));
    evaluator.setStackLimit(top - job.stack + (job.stack / 16));
    evaluator.run(job.outputs);
    job.ok = true;
  } catch (const EvalError &e) {
    job.error = e.message;
  } catch (const std::bad_alloc &) {
    job.error = "the reference ran out of memory; use smaller extents";
  }
  return nullptr;
}
} // namespace
} // namespace reference

bool evaluateReference(const Program &program, const std::vector<int64_t> &symbols,
                       const std::map<std::string, HostTensor> &inputs, std::map<std::string, HostTensor> &outputs,
                       std::string &error) {
  reference::Job job{program, symbols, inputs, outputs, error};
  for (size_t stack : reference::kStacks) {
    job.stack = stack;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack);
    pthread_t thread;
    bool started = pthread_create(&thread, &attributes, reference::work, &job) == 0;
    pthread_attr_destroy(&attributes);
    if (started) {
      pthread_join(thread, nullptr);
      return job.ok;
    }
  }
  error = "the reference could not start its thread";
  return false;
}

} // namespace attnc
