//===- The rest of the way to the LLVM dialect ----------------------------===//
//
// scf to branches, then every remaining arith, math, cf and vector op by the upstream patterns. Nothing here decides.
//
// Loops come out rotated, tested once before the first round and then at the end of each:
//
//   scf.for %i = %lo to %hi step %s {   =>   if (%lo < %hi) do { ... %i += %s } while (%i < %hi)
//
// which is the shape that code is moved out of. LLVM's own rotation takes most of the time of its list of passes.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Passes.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/DialectConversion.h"

namespace attnc::cpu {
#define GEN_PASS_DEF_CPUTOLLVM
#include "codegen/cpu/Passes.h.inc"
} // namespace attnc::cpu

using namespace mlir;

namespace {

struct RotatedLoop : OpRewritePattern<scf::ForOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(scf::ForOp loop, PatternRewriter &rewriter) const override {
    Location loc = loop.getLoc();
    Block *before = rewriter.getInsertionBlock();
    Block *after = rewriter.splitBlock(before, rewriter.getInsertionPoint());
    SmallVector<Location> places(loop.getNumResults(), loc);
    Block *exit = rewriter.createBlock(after, loop.getResultTypes(), places);
    rewriter.create<cf::BranchOp>(loc, after);
    Block *first = &loop.getRegion().front(), *last = &loop.getRegion().back();
    rewriter.inlineRegionBefore(loop.getRegion(), exit);
    auto inside = [&](Value iv) {
      return rewriter.create<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, iv, loop.getUpperBound());
    };

    rewriter.setInsertionPointToEnd(before);
    Block *enter = rewriter.createBlock(first);
    SmallVector<Value> start{loop.getLowerBound()};
    llvm::append_range(start, loop.getInitArgs());
    rewriter.create<cf::BranchOp>(loc, first, start);
    rewriter.setInsertionPointToEnd(before);
    rewriter.create<cf::CondBranchOp>(loc, inside(loop.getLowerBound()), enter, ValueRange(), exit, loop.getInitArgs());

    Operation *yield = last->getTerminator();
    rewriter.setInsertionPoint(yield);
    SmallVector<Value> results(yield->getOperands()),
        again{rewriter.create<arith::AddIOp>(loc, first->getArgument(0), loop.getStep())};
    llvm::append_range(again, results);
    rewriter.create<cf::CondBranchOp>(loc, inside(again[0]), first, again, exit, results);
    rewriter.eraseOp(yield);
    rewriter.replaceOp(loop, exit->getArguments());
    return success();
  }
};

struct CpuToLLVM : attnc::cpu::impl::CpuToLLVMBase<CpuToLLVM> {
  using Base::Base;
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    {
      RewritePatternSet patterns(context);
      populateSCFToControlFlowConversionPatterns(patterns);
      patterns.add<RotatedLoop>(context, /*benefit=*/2);
      arith::populateCeilFloorDivExpandOpsPatterns(patterns);
      ConversionTarget target(*context);
      target.addIllegalDialect<scf::SCFDialect>();
      target.addIllegalOp<arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>();
      target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
      if (failed(applyPartialConversion(getOperation(), target, std::move(patterns))))
        return signalPassFailure();
    }
    LLVMTypeConverter converter(context);
    RewritePatternSet patterns(context);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns);
    populateVectorToLLVMConversionPatterns(converter, patterns);
    LLVMConversionTarget target(*context);
    target.addLegalOp<ModuleOp>();
    if (failed(applyFullConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
