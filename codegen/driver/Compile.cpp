//===- From a spec to a kernel, or to any stage on the way ----------------===//
#include "codegen/driver/Compile.h"
#include "codegen/cpu/Cpu.h"
#include "codegen/cuda/Cuda.h"
#include "codegen/cuda/HostCompile.h"
#include "codegen/driver/Buffers.h"
#include "codegen/driver/Explain.h"
#include "codegen/driver/ExplainCuda.h"
#include "codegen/driver/MaskDraw.h"
#include "codegen/driver/NvrtcCache.h"
#include "dialect/attn/Attn.h"
#include "dialect/attn/Emit.h"
#include "dialect/tile/Tile.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "runtime/Cache.h"
#include "runtime/CacheBytes.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <fmt/format.h>

using namespace mlir;

namespace attnc {

namespace {

std::string textOf(Operation *op) {
  std::string text;
  llvm::raw_string_ostream os(text);
  op->print(os, OpPrintingFlags().printGenericOpForm(false));
  os << "\n";
  return text;
}

/// One compilation. What goes wrong inside MLIR arrives through the context's handler.
class Compilation {
public:
  Compilation(const CompileRequest &request, const Spec &spec, Diagnostics &diags)
      : request_(request), spec_(spec), diags_(diags), context_(registry(), MLIRContext::Threading::DISABLED) {}

  CompileAnswer run() {
    context_.getDiagEngine().registerHandler([this](mlir::Diagnostic &d) { return take(d); });
    bool ok = check() && toTile() && toTarget();
    answer_.messages = diags_.render() + answer_.messages;
    if (ok)
      answer_.status = CompileAnswer::Done;
    return std::move(answer_);
  }

private:
  static const DialectRegistry &registry() {
    static const DialectRegistry &all = *[] {
      auto *r = new DialectRegistry;
      r->insert<attn::AttnDialect>();
      cpu::registerCpuDialects(*r);
      cuda::registerCudaDialects(*r);
      return r;
    }();
    return all;
  }

  LogicalResult take(mlir::Diagnostic &d) {
    if (d.getSeverity() == DiagnosticSeverity::Remark)
      return success();
    std::string place;
    if (auto at = d.getLocation()->findInstanceOf<FileLineColLoc>())
      place = fmt::format("{}:{}:{}: ", at.getFilename().getValue().str(), at.getLine(), at.getColumn());
    const char *severity = d.getSeverity() == DiagnosticSeverity::Error     ? "error"
                           : d.getSeverity() == DiagnosticSeverity::Warning ? "warning"
                                                                            : "note";
    said_ |= d.getSeverity() == DiagnosticSeverity::Error;
    answer_.messages += fmt::format("{}{}: {}\n", place, severity, d.str());
    return success();
  }

  bool stop(CompileAnswer::Status status, Error error) {
    answer_.status = status;
    answer_.error = std::move(error);
    return false;
  }

  Error unavailable(const std::string &why) const {
    Error error(Msg::A815, request_.target, why);
    return request_.target == "cuda-emulated" ? error.withHelp("--target cpu works") : error;
  }

  /// A failure that is ours: says so, and keeps what is needed to see it again.
  bool stopInternal(const std::string &stage, const std::string &why) {
    int fd = -1;
    llvm::SmallString<128> path;
    std::string kept;
    if (!llvm::sys::fs::createTemporaryFile("attnc-reproducer", "txt", fd, path)) {
      llvm::raw_fd_ostream os(fd, /*shouldClose=*/true);
      os << "stage: " << stage << "\nreason: " << why << "\nmixer: " << request_.mixer
         << "\ntarget: " << request_.target << " " << request_.arch << "\n";
      for (auto &p : request_.params)
        os << "param: " << p.first << "=" << p.second << "\n";
      for (auto &l : request_.variant.leftOut)
        os << "left out: " << l << "\n";
      for (auto &t : request_.variant.dtypes)
        os << "dtype: " << t.first << "=" << dtypeName(t.second) << "\n";
      for (auto &e : request_.variant.extents)
        os << "extent: " << e.first << "=" << e.second << "\n";
      os << "messages:\n"
         << answer_.messages << "\nspec " << request_.path << ":\n"
         << request_.text << "\nattn:\n"
         << attnText_;
      if (module_ && stage != "attn")
        os << "\nIR:\n" << textOf(*module_);
      kept = fmt::format("the spec and the state of the compiler are in {}", path.str().str());
    }
    return stop(CompileAnswer::Internal, Error(Msg::A818, stage, why).withHelp(kept));
  }

  bool check() {
    CheckOptions options;
    options.params = request_.params;
    options.leftOut = request_.variant.leftOut;
    program_ = checkMixer(spec_, request_.mixer, options, diags_);
    answer_.status = CompileAnswer::Wrong;
    return program_ && !diags_.hasErrors();
  }

  bool toTile() {
    const Signature &signature = program_->signature;
    EmitOptions emit;
    emit.inputs = request_.variant.dtypes;
    std::optional<DType> undeclared;
    for (const Argument &a : signature.inputs)
      if (auto it = request_.variant.dtypes.find(a.name);
          it != request_.variant.dtypes.end() && !a.dtype && isFloat(it->second) && !undeclared)
        undeclared = it->second;
    for (const Argument &a : signature.outputs)
      emit.outputs[a.name] = a.dtype ? *a.dtype : undeclared.value_or(DType::F32);
    for (const Symbol &s : signature.symbols) {
      auto it = request_.variant.extents.find(s.name);
      emit.symbols.push_back(it == request_.variant.extents.end() ? -1 : it->second);
      symbolNames_.push_back(s.name);
    }
    module_ = emitAttn(context_, *program_, emit);
    if (!module_)
      return stopInternal("attn", "no IR was made");
    if (failed(verify(*module_)))
      return stopInternal("attn", "the IR is not valid");
    attnText_ = textOf(*module_);
    if (request_.stage == "attn") {
      answer_.stage = attnText_;
      return true;
    }
    PassManager pm(&context_, ModuleOp::getOperationName());
    buildTilePipeline(pm);
    if (failed(pm.run(*module_)))
      return stopInternal("tile", said_ ? "see above" : "a pass gave no reason");
    if (request_.variant.rows && request_.target == "cpu")
      cpu::inputsInRows(*module_);
    std::string text = textOf(*module_);
    answer_.irHash = sha256(text);
    if (request_.stage == "tile")
      answer_.stage = std::move(text);
    bool mask = request_.stage == "mask" || request_.stage == "mask-svg";
    if (request_.stage != "explain" && !mask)
      return true;
    std::vector<int64_t> symbols;
    for (const Symbol &s : signature.symbols) {
      auto it = request_.sizes.find(s.name);
      symbols.push_back(it == request_.sizes.end() ? 1 : it->second);
    }
    if (mask) {
      MaskDrawing d = drawMasks(*module_, signature, symbols, {&request_.data, true, request_.instance});
      answer_.stage = request_.stage == "mask" ? std::move(d.json) : std::move(d.svg);
      answer_.explainText = std::move(d.text);
      return true;
    }
    Explanation e = explainProgram(*module_, signature, symbols, request_.target == "cuda" ? "block" : "thread");
    answer_.stage = std::move(e.json);
    answer_.explainText = std::move(e.text);
    answer_.flops = e.flops;
    answer_.bytes = e.bytes;
    return true;
  }

  /// A hint never changes the meaning, but one that changes nothing must not look as if it did.
  void warnOfHints() {
    for (const ast::Schedule &schedule : spec_.files[0]->schedules) {
      if (schedule.mixer.text != program_->signature.mixer || schedule.target.text != request_.target)
        continue;
      for (const ast::Hint &hint : schedule.hints)
        diags_.report(Msg::A516, hint.name.span, {hint.name.text, schedule.mixer.text});
    }
  }

  void buildTilePipeline(PassManager &pm) {
    pm.addNestedPass<attn::MixerOp>(createDeriveGrad());
    pm.addNestedPass<attn::MixerOp>(createDecompose());
    pm.addNestedPass<attn::MixerOp>(createOnePoint());
    pm.addNestedPass<attn::MixerOp>(createFactor());
    pm.addNestedPass<attn::MixerOp>(createExponent());
    pm.addNestedPass<attn::MixerOp>(createSumBeforeRead());
    pm.addNestedPass<attn::MixerOp>(createSimplify());
    pm.addNestedPass<attn::MixerOp>(createLateScale());
    pm.addPass(createAttnToTile());
    pm.addNestedPass<tile::ProgramOp>(createStream());
    pm.addNestedPass<tile::ProgramOp>(createMaskBlocks());
    if (request_.target == "cpu")
      pm.addNestedPass<tile::ProgramOp>(createGroupRows());
  }

  bool toTarget() {
    const std::string &stage = request_.stage;
    warnOfHints();
    if (stage == "attn" || stage == "tile" || stage == "mask" || stage == "mask-svg" ||
        (stage == "explain" && request_.target != "cuda"))
      return true;
    if (stage == "cuda")
      return toCuda();
    if (stage == "ptx" || stage == "cubin" || stage == "explain")
      return toDevice();
    KernelCache cache = request_.cacheDirectory.empty() ? KernelCache::disabled()
                                                        : KernelCache(request_.cacheDirectory, request_.cacheLimit);
    std::string key = blobKey(answer_.irHash, request_), cached;
    Error reason;
    if (stage == "blob" && cache.read('K', key, cached) && parseBlob(cached, answer_.blob, reason)) {
      answer_.blobCached = true;
      return true;
    }
    std::vector<KernelBlob::Buffer> buffers = buffersOf(*module_, symbolNames_);
    bool done = request_.target == "cpu" ? toMachineCode() : request_.target == "cuda" ? toDevice() : toEmulator();
    if (!done || stage != "blob")
      return done;
    answer_.blob.buffers = std::move(buffers);
    cache.write('K', key, serializeBlob(answer_.blob));
    return true;
  }

  bool toMachineCode() {
    const std::string &stage = request_.stage;
    cpu::CpuOptions options;
    options.arch = request_.arch.empty() ? "native" : request_.arch;
    cpu::Target target;
    std::string error;
    if (!cpu::makeTarget(options, target, error))
      return stop(CompileAnswer::Unavailable, unavailable(error));
    if (!cpu::lowerTile(*module_, target, error))
      return stopInternal("cpu", error);
    if (stage == "blob") {
      std::vector<std::string> objects = cpu::compileModule(*module_, target, error);
      if (!error.empty() || !cpu::linkBlob(objects, answer_.blob, error))
        return stopInternal("obj", error);
      answer_.blob.arch = target.arch;
      answer_.blob.features = target.features;
      return true;
    }
    llvm::LLVMContext llvmContext;
    std::unique_ptr<llvm::Module> llvmModule;
    if (cpu::toLLVMDialect(*module_, error))
      llvmModule = cpu::toLLVM(*module_, llvmContext, *target.machine, error);
    if (!llvmModule)
      return stopInternal("llvm", error);
    cpu::optimise(*llvmModule, *target.machine);
    if (stage == "llvm") {
      llvm::raw_string_ostream os(answer_.stage);
      llvmModule->print(os, nullptr);
      return true;
    }
    answer_.stage = stage == "asm" ? cpu::emitAssembly(*llvmModule, *target.machine)
                                   : cpu::emitObject(*llvmModule, *target.machine);
    return !answer_.stage.empty() || stopInternal(stage, "nothing was written");
  }

  /// The kernels' text; and the plan around them.
  bool toCuda() {
    std::string error;
    return (cuda::lowerTile(*module_, error) && cuda::planLaunches(*module_, plan_, error) &&
            cuda::printCuda(*module_, answer_.stage, error)) ||
           stopInternal("cuda", error);
  }

  bool toDevice() {
    std::string explanation = std::move(answer_.stage), text, error;
    if (!toCuda())
      return false;
    text = std::move(answer_.stage);
    cuda::NvrtcOutput output;
    switch (compileCached(text, request_, output, error)) {
    case cuda::NvrtcResult::Done:
      break;
    case cuda::NvrtcResult::Rejected:
      return stopInternal("cubin", error);
    case cuda::NvrtcResult::NotFound:
    case cuda::NvrtcResult::BuiltinsMissing:
    case cuda::NvrtcResult::ArchNotSupported:
      return stop(CompileAnswer::Unavailable, unavailable(error));
    }
    if (request_.stage == "explain") {
      explainCuda(output, plan_, request_.arch, answer_.explainText, explanation);
      answer_.stage = std::move(explanation);
      return true;
    }
    if (request_.stage != "blob") {
      answer_.stage = std::move(output.code);
      return true;
    }
    answer_.stage.clear();
    answer_.blob.form = KernelBlob::Form::Cubin;
    answer_.blob.image = std::move(output.code);
    answer_.blob.plan = plan_.serialize();
    answer_.blob.arch = request_.arch;
    return true;
  }

  bool toEmulator() {
    if (!toCuda())
      return false;
    std::string text = std::move(answer_.stage), error;
    answer_.stage.clear();
    cuda::HostResult result = cuda::compileForEmulator(text, plan_, answer_.blob.image, error);
    if (result == cuda::HostResult::NoCompiler)
      return stop(CompileAnswer::Unavailable, unavailable(error));
    if (result == cuda::HostResult::Failed)
      return stopInternal("cuda-emulated", error);
    answer_.blob.form = KernelBlob::Form::Emulated;
    answer_.blob.plan = plan_.serialize();
    answer_.blob.arch = "emulated";
    return true;
  }

  const CompileRequest &request_;
  const Spec &spec_;
  Diagnostics &diags_;
  MLIRContext context_;
  CompileAnswer answer_;
  std::unique_ptr<Program> program_;
  OwningOpRef<ModuleOp> module_;
  std::vector<std::string> symbolNames_;
  std::string attnText_;
  LaunchPlan plan_;
  bool said_ = false;
};

} // namespace

CompileAnswer compile(const CompileRequest &request, const Spec &spec, Diagnostics &diags) {
  return Compilation(request, spec, diags).run();
}

CompileAnswer compile(const CompileRequest &request) {
  Diagnostics diags;
  std::unique_ptr<Spec> spec = loadSpecText(request.path, request.text, diags);
  if (spec && !diags.hasErrors())
    return compile(request, *spec, diags);
  CompileAnswer answer;
  answer.status = CompileAnswer::Wrong;
  answer.messages = diags.render();
  return answer;
}

} // namespace attnc
