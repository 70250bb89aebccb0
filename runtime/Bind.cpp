//===- Extents from arguments ---------------------------------------------===//
//
// Each dimension of each passed argument is an equation "length expression = number found". They are gone through again
// and again: one with a single unknown symbol, linear in it, gives that symbol; one without unknowns is a check. What a
// symbol was learned from is kept, so that a mismatch can name both arguments.
//===----------------------------------------------------------------------===//
#include "runtime/Bind.h"
#include <algorithm>
#include <fmt/format.h>

namespace attnc {

namespace {

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string s = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    s += fmt::format("{}{}", i ? ", " : "", shape[i]);
  return s + "]";
}

std::string positionText(const std::vector<int64_t> &shape, int64_t flat) {
  std::vector<int64_t> at(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    at[i] = flat % shape[i];
    flat /= shape[i];
  }
  return shapeText(at);
}

class Binder {
public:
  Binder(const Signature &signature, const std::map<std::string, HostTensor> &inputs, std::vector<int64_t> &symbols,
         Error &error)
      : sig_(signature), inputs_(inputs), symbols_(symbols), error_(error) {
    for (const Symbol &s : sig_.symbols)
      names_.push_back(s.name);
  }

  bool run() {
    symbols_.assign(sig_.symbols.size(), -1);
    origin_.assign(sig_.symbols.size(), "");
    return checkNames() && checkTypes() && solve() && checkExtents() && checkRequirements() && checkPromises();
  }

private:
  const HostTensor *find(const Argument &a) const {
    auto it = inputs_.find(a.name);
    return it == inputs_.end() ? nullptr : &it->second;
  }

  bool checkNames() {
    for (auto &[name, tensor] : inputs_) {
      if (std::any_of(sig_.inputs.begin(), sig_.inputs.end(),
                      [&, &name = name](const Argument &a) { return a.name == name; }))
        continue;
      std::vector<std::string> names;
      for (const Argument &a : sig_.inputs)
        names.push_back(a.name);
      error_.report(Msg::A710, sig_.mixer, name);
      error_.withHelp(names.empty() ? "it has none" : suggestion(name, names, "its inputs are"));
      return false;
    }
    for (const Argument &a : sig_.inputs)
      if (!find(a) && !a.hasDefault)
        return error_.report(Msg::A711, a.name, a.dtype ? dtypeName(*a.dtype) : "a floating tensor", dimsText(a));
    return true;
  }

  bool checkTypes() {
    for (const Argument &a : sig_.inputs) {
      const HostTensor *t = find(a);
      if (!t)
        continue;
      if (a.dtype && *a.dtype != t->dtype)
        return error_.report(Msg::A712, a.name, dtypeName(t->dtype), dtypeName(*a.dtype));
      if (!a.dtype && !isFloat(t->dtype))
        return error_.report(Msg::A713, a.name, dtypeName(t->dtype));
      if (t->shape.size() != a.dims.size())
        return error_.report(Msg::A714, a.name, t->shape.size(), t->shape.size() == 1 ? "" : "s", shapeText(t->shape),
                             a.dims.size(), dimsText(a));
    }
    return true;
  }

  /// " (...)": the expression and where its symbols come from; empty for a plain number.
  std::string because(const ExtentRef &e) {
    std::string s;
    bool alone = e->op == ExtentOp::Symbol;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (!extentUses(e, static_cast<int>(i)) || symbols_[i] == -1)
        continue;
      s += s.empty() ? "" : " and ";
      if (alone)
        s += fmt::format("extent {}", names_[i]);
      else
        s += fmt::format("{} = {}", names_[i], symbols_[i]);
      s += origin_[i].empty() ? "" : " from " + origin_[i];
    }
    if (s.empty())
      return s;
    return alone ? ", the " + s : fmt::format(", {} with {}", extentText(e, names_), s);
  }

  bool solve() {
    bool progress = true;
    while (progress) {
      progress = false;
      for (const Argument &a : sig_.inputs) {
        const HostTensor *t = find(a);
        for (size_t d = 0; t && d < a.dims.size(); ++d) {
          ExtentRef left = extentSpecialise(a.dims[d].length, symbols_);
          int unknown = -1, count = 0;
          for (int s = 0; s < static_cast<int>(names_.size()); ++s)
            if (symbols_[s] == -1 && extentUses(left, s)) {
              unknown = s;
              ++count;
            }
          int64_t factor = 0, rest = 0;
          if (count != 1 || !extentLinear(left, unknown, factor, rest) || factor == 0)
            continue;
          int64_t size = t->shape[d], over = size - rest;
          if (over % factor != 0 || over / factor < 0)
            return failDivision(a, d, size, factor, rest, unknown);
          symbols_[unknown] = over / factor;
          origin_[unknown] = fmt::format("input `{}`", a.name);
          progress = true;
        }
      }
    }
    return true;
  }

  bool failDivision(const Argument &a, size_t d, int64_t size, int64_t factor, int64_t rest, int unknown) {
    const ExtentRef &e = a.dims[d].length;
    if (rest == 0)
      return error_.report(Msg::A715, a.name, size, a.dims[d].text, d, factor, because(e));
    return error_.report(Msg::A716, a.name, size, a.dims[d].text, d, extentText(e, names_), names_[unknown]);
  }

  bool checkExtents() {
    // What only left-out inputs (or nothing) has is 0; but not while a passed argument depends on it.
    for (const Argument &a : sig_.inputs) {
      const HostTensor *t = find(a);
      for (size_t d = 0; t && d < a.dims.size(); ++d) {
        ExtentRef left = extentSpecialise(a.dims[d].length, symbols_);
        for (size_t s = 0; s < names_.size(); ++s)
          if (symbols_[s] == -1 && extentUses(left, static_cast<int>(s)) && t->shape[d] != 0)
            return error_.report(Msg::A717, names_[s], a.name, t->shape[d], a.dims[d].text, d);
      }
    }
    for (int64_t &s : symbols_)
      if (s == -1)
        s = 0;
    for (const Argument &a : sig_.inputs) {
      const HostTensor *t = find(a);
      for (size_t d = 0; t && d < a.dims.size(); ++d) {
        int64_t expected = extentEval(a.dims[d].length, symbols_).value_or(0), size = t->shape[d];
        if (expected != size)
          return error_.report(Msg::A718, a.name, size, a.dims[d].text, d, expected, because(a.dims[d].length));
      }
    }
    return true;
  }

  bool checkRequirements() {
    for (const Requirement &r : sig_.requirements) {
      std::optional<int64_t> v = extentEval(r.condition, symbols_);
      if (!v || *v != 0)
        continue;
      std::string values;
      for (size_t i = 0; i < names_.size(); ++i)
        if (extentUses(r.condition, static_cast<int>(i)))
          values += fmt::format("{}{} = {}", values.empty() ? "" : ", ", names_[i], symbols_[i]);
      return error_.report(Msg::A720, values.empty() ? r.message : fmt::format("{} ({})", r.message, values));
    }
    return true;
  }

  bool checkPromises() {
    for (const Argument &a : sig_.inputs) {
      const HostTensor *t = find(a);
      if (!t || a.indexOf.empty() || !a.indexBound)
        continue;
      int64_t bound = extentEval(a.indexBound, symbols_).value_or(0);
      for (int64_t i = 0, n = t->count(); i < n; ++i) {
        int64_t v = t->getInt(i);
        if (v < -1 || v >= bound)
          return error_.report(Msg::A721, a.name, v, positionText(t->shape, i), a.indexOf, bound - 1);
      }
    }
    return true;
  }

  const Signature &sig_;
  const std::map<std::string, HostTensor> &inputs_;
  std::vector<int64_t> &symbols_;
  Error &error_;
  std::vector<std::string> names_;
  std::vector<std::string> origin_; ///< per symbol, the argument it was learned from
};
} // namespace

bool bindArguments(const Signature &signature, const std::map<std::string, HostTensor> &inputs,
                   std::vector<int64_t> &symbols, Error &error) {
  return Binder(signature, inputs, symbols, error).run();
}

std::string dimsText(const Argument &a) {
  std::string s = "[";
  for (size_t i = 0; i < a.dims.size(); ++i)
    s += (i ? ", " : "") + a.dims[i].text;
  return s + "]";
}

std::vector<int64_t> argumentShape(const Argument &argument, const std::vector<int64_t> &symbols) {
  std::vector<int64_t> shape;
  for (const Dim &d : argument.dims)
    shape.push_back(std::max<int64_t>(0, extentEval(d.length, symbols).value_or(0)));
  return shape;
}

DType outputDType(const Signature &signature, const Argument &output, const std::map<std::string, HostTensor> &inputs) {
  if (output.dtype)
    return *output.dtype;
  for (const Argument &a : signature.inputs) {
    auto it = inputs.find(a.name);
    if (!a.dtype && it != inputs.end() && isFloat(it->second.dtype))
      return it->second.dtype;
  }
  return DType::F32;
}

bool convertTensor(const HostTensor &from, DType dtype, HostTensor &to) {
  HostTensor t;
  if (!HostTensor::allocate(dtype, from.shape, t))
    return false;
  for (int64_t i = 0, n = from.count(); i < n; ++i) {
    if (isFloat(from.dtype))
      t.setReal(i, from.getReal(i));
    else
      t.setInt(i, from.getInt(i));
  }
  to = std::move(t);
  return true;
}

bool adaptArguments(const Signature &signature, std::optional<DType> undeclared,
                    std::map<std::string, HostTensor> &inputs, Error &error) {
  for (const Argument &a : signature.inputs) {
    auto it = inputs.find(a.name);
    if (it == inputs.end())
      continue;
    HostTensor &t = it->second;
    std::optional<DType> want = a.dtype;
    bool chosen = !want && undeclared && isFloat(t.dtype); // the user asked for it: any float to any float
    if (chosen)
      want = undeclared;
    if (!want || *want == t.dtype)
      continue;
    bool bothInt = (t.dtype == DType::I32 || t.dtype == DType::I64) && (*want == DType::I32 || *want == DType::I64);
    bool bothFloat = isFloat(t.dtype) && isFloat(*want);
    bool widens = bothFloat && dtypeSize(*want) > dtypeSize(t.dtype);
    if (bothInt && *want == DType::I32)
      for (int64_t i = 0, n = t.count(); i < n; ++i)
        if (t.getInt(i) != static_cast<int32_t>(t.getInt(i))) {
          return error.report(Msg::A722, a.name, t.getInt(i), positionText(t.shape, i));
        }
    if (!bothInt && !chosen && !widens && !(t.dtype == DType::F32 && bothFloat && *want != DType::F64))
      continue;
    HostTensor converted;
    if (!convertTensor(t, *want, converted))
      return error.report(Msg::A800, fmt::format("input `{}` as {}", a.name, dtypeName(*want)));
    t = std::move(converted);
  }
  return true;
}

} // namespace attnc
