//===- The buffers of a tile program --------------------------------------===//
//
// Sizes are i64 arithmetic on the program's arguments; the ops that also exist as extents are read back into extents. A
// size that uses anything else is left out: it is only needed for messages.
//===----------------------------------------------------------------------===//
#include "codegen/driver/Buffers.h"
#include "dialect/tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "runtime/Extent.h"

using namespace mlir;

namespace attnc {

namespace {

class SizeReader {
public:
  SizeReader(tile::ProgramOp program, const std::vector<std::string> &names) : program_(program), names_(names) {}

  ExtentRef read(Value value) {
    if (auto arg = dyn_cast<BlockArgument>(value)) {
      if (arg.getOwner() != program_.getBlock())
        return nullptr;
      StringRef name = cast<StringAttr>(program_.getSymbols()[arg.getArgNumber()]).getValue();
      for (size_t i = 0; i < names_.size(); ++i)
        if (name == names_[i])
          return extentSymbol(int(i));
      return nullptr;
    }
    Operation *op = value.getDefiningOp();
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      auto integer = dyn_cast<IntegerAttr>(constant.getValue());
      return integer ? extentConst(integer.getInt()) : nullptr;
    }
    if (isa<arith::ShRSIOp, arith::ShLIOp>(op)) {
      ExtentRef a = read(op->getOperand(0)), b = read(op->getOperand(1));
      std::optional<int64_t> shift = b ? extentAsConst(b) : std::nullopt;
      if (!a || !shift || *shift < 0 || *shift > 62)
        return nullptr;
      return extentMake(isa<arith::ShRSIOp>(op) ? ExtentOp::Div : ExtentOp::Mul,
                        {a, extentConst(int64_t(1) << *shift)});
    }
    std::optional<ExtentOp> kind;
    if (isa<arith::AddIOp>(op))
      kind = ExtentOp::Add;
    else if (isa<arith::SubIOp>(op))
      kind = ExtentOp::Sub;
    else if (isa<arith::MulIOp>(op))
      kind = ExtentOp::Mul;
    else if (isa<arith::FloorDivSIOp, arith::DivSIOp>(op))
      kind = ExtentOp::Div;
    else if (isa<arith::MinSIOp>(op))
      kind = ExtentOp::Min;
    else if (isa<arith::MaxSIOp>(op))
      kind = ExtentOp::Max;
    if (!kind)
      return nullptr;
    ExtentRef a = read(op->getOperand(0)), b = read(op->getOperand(1));
    return a && b ? extentMake(*kind, {a, b}) : nullptr;
  }

private:
  tile::ProgramOp program_;
  const std::vector<std::string> &names_;
};

int64_t bytesOf(Type element) { return std::max<int64_t>(1, element.getIntOrFloatBitWidth() / 8); }

} // namespace

std::string bufferName(tile::AllocOp alloc) {
  if (auto name = alloc->getAttrOfType<StringAttr>("name"))
    return name.getValue().str();
  if (auto loc = alloc.getLoc()->findInstanceOf<NameLoc>())
    return loc.getName().getValue().str();
  return {};
}

std::vector<KernelBlob::Buffer> buffersOf(ModuleOp module, const std::vector<std::string> &symbols) {
  std::vector<KernelBlob::Buffer> list;
  module.walk([&](tile::AllocOp alloc) {
    auto program = alloc->getParentOfType<tile::ProgramOp>();
    SizeReader reader(program, symbols);
    ExtentRef bytes = extentConst(bytesOf(alloc.getType().getElementType()));
    for (Value extent : alloc.getExtents()) {
      ExtentRef e = reader.read(extent);
      if (!e)
        return;
      bytes = extentMake(ExtentOp::Mul, {bytes, e});
    }
    std::string name = bufferName(alloc);
    if (alloc->getParentOp() != program.getOperation())
      name += name.empty() ? "an intermediate (per thread)" : " (per thread)";
    list.push_back({name, extentText(bytes, symbols)});
  });
  return list;
}

} // namespace attnc
