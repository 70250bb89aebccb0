#include "frontend/reference/Reference.h"
#include "frontend/reference/Evaluator.h"
#include "runtime/DeepStack.h"
#include <fmt/format.h>
#include <new>

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
      throw EvalError{Error(Msg::A800, fmt::format("output `{}`", out.name))};
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
        throw EvalError{Error(Msg::A804, out.name, where)};
      }
      if (dtype == DType::F64)
        static_cast<double *>(result.data)[flat] = asReal(v, t.kind);
      else
        result.setInt(flat, t.kind == Kind::Real ? realToInt(v.r) : v.i);
    }
    outputs[out.name] = std::move(result);
  }
}

} // namespace reference

bool evaluateReference(const Program &program, const std::vector<int64_t> &symbols,
                       const std::map<std::string, HostTensor> &inputs, std::map<std::string, HostTensor> &outputs,
                       Error &error) {
  try {
    // Recursion follows the equations, and gradients follow recurrences.
    onDeepStack([&] {
      reference::Evaluator evaluator(program, symbols, inputs);
      const char *here = static_cast<const char *>(__builtin_frame_address(0)), *end = stackEnd();
      evaluator.setStackLimit(end ? end + (here - end) / 16 : nullptr);
      evaluator.run(outputs);
    });
    return true;
  } catch (const reference::EvalError &e) {
    error = e.error;
  } catch (const std::bad_alloc &) {
    error = Error(Msg::A817, "memory was refused").withHelp("use smaller extents");
  }
  return false;
}

} // namespace attnc
