//===- Extents of a mixer's axes ------------------------------------------===//
#include "dialect/attn/Attn.h"

using namespace mlir;

namespace attnc::attn {

StringAttr MixerOp::addAxis(StringRef hint, StringRef extent) {
  std::string name = hint.str();
  for (unsigned n = 1; getAxes().contains(name); ++n)
    name = (hint + "." + Twine(n)).str();
  NamedAttrList axes(getAxes());
  axes.append(name, StringAttr::get(getContext(), extent));
  setAxesAttr(axes.getDictionary(getContext()));
  return StringAttr::get(getContext(), name);
}

AxisTable::AxisTable(MixerOp mixer) : mixer_(mixer) {
  for (StringAttr symbol : mixer.getSymbols().getAsRange<StringAttr>())
    symbols_.push_back(symbol.str());
  for (NamedAttribute axis : mixer.getAxes())
    extents_[axis.getName()] = parse(cast<StringAttr>(axis.getValue()).getValue());
}

ExtentRef AxisTable::parse(StringRef text) const {
  std::optional<ExtentRef> extent = extentParse(std::string_view(text.data(), text.size()), symbols_);
  return extent ? *extent : nullptr;
}

StringAttr AxisTable::addAxis(StringRef hint, const ExtentRef &extent) {
  StringAttr name = mixer_.addAxis(hint, text(extent));
  extents_[name] = extent;
  return name;
}

ExtentRef AxisTable::dimLength(ArrayAttr dims, ArrayAttr lengths, unsigned dim) const {
  if (dim < lengths.size())
    if (StringRef text = cast<StringAttr>(lengths[dim]).getValue(); !text.empty())
      return parse(text);
  ExtentRef length = extentConst(1);
  for (StringAttr axis : cast<ArrayAttr>(dims[dim]).getAsRange<StringAttr>())
    length = extentMake(attnc::ExtentOp::Mul, {length, extent(axis)});
  return length;
}

} // namespace attnc::attn
