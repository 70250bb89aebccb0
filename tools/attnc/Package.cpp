//===- attnc compile --emit=package: a folder to ship ---------------------===//
//
// For each arch ARCH.kernel, which the C interface loads, beside the bare ARCH.cubin or ARCH.o; manifest.json says what
// they are and what a program that launches a cubin itself has to do (docs/package.md). Everything is compiled before
// the first file is written.
//===----------------------------------------------------------------------===//
#include "runtime/Bind.h"
#include "runtime/cuda/LaunchPlan.h"
#include "tools/attnc/Sample.h"
#include "tools/attnc/Session.h"
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/stat.h>

namespace attnc::cli {

namespace {

struct Piece {
  std::string arch, bare; ///< `bare`: name of the file with the image alone
  CompileRequest request;
  KernelBlob blob;
  std::string kernel, image; ///< contents of the two files
};

std::vector<std::string> split(const std::string &list) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin <= list.size();) {
    size_t end = std::min(list.find(',', begin), list.size());
    words.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

const char *wordOf(LaunchPlan::Op op) {
  static const char *const words[] = {"const",  "symbol", "loop", "add", "sub", "mul",       "max", "min",
                                      "and",    "or",     "xor",  "shl", "shr", "floor_div", "div", "rem",
                                      "select", "eq",     "ne",   "lt",  "le",  "gt",        "ge"};
  return words[size_t(op)];
}

void write(Json &json, const std::vector<LaunchPlan::Step> &steps) {
  json.beginArray();
  for (const LaunchPlan::Step &s : steps) {
    switch (s.kind) {
    case LaunchPlan::Step::Compute:
      json.beginObject().field("compute", s.value).endObject();
      break;
    case LaunchPlan::Step::Launch:
      json.beginObject().field("launch", s.kernel).field("instances", s.instances).field("scratch", s.scratchBytes);
      json.key("arguments").beginArray();
      for (const LaunchPlan::Argument &a : s.arguments) {
        static const char *const kinds[] = {"value", "tensor", "buffer"};
        json.beginObject().field(kinds[a.kind], a.index);
        if (a.kind != LaunchPlan::Argument::Integer)
          json.field("rank", a.rank);
        json.endObject();
      }
      json.endArray().endObject();
      break;
    case LaunchPlan::Step::For:
      json.beginObject().field("for", s.value).field("lo", s.lo).field("hi", s.hi).field("step", s.step).key("body");
      write(json, s.body);
      json.endObject();
      break;
    }
  }
  json.endArray();
}

void write(Json &json, const LaunchPlan &plan) {
  json.beginObject().key("values").beginArray();
  for (const LaunchPlan::Value &v : plan.values) {
    json.beginObject().field("op", wordOf(v.op));
    int operands = v.op <= LaunchPlan::Op::Loop ? 0 : v.op == LaunchPlan::Op::Select ? 3 : 2;
    if (v.op == LaunchPlan::Op::Const || v.op == LaunchPlan::Op::Symbol)
      json.field("value", v.constant);
    if (operands)
      json.field("of", std::vector<int64_t>(v.operands, v.operands + operands));
    json.endObject();
  }
  json.endArray().key("buffers").beginArray();
  for (const LaunchPlan::Buffer &b : plan.buffers)
    json.beginObject()
        .field("element_bytes", b.elementBytes)
        .field("extents", std::vector<int64_t>(b.extents.begin(), b.extents.end()))
        .endObject();
  json.endArray().key("kernels").beginArray();
  for (const LaunchPlan::Kernel &k : plan.kernels)
    json.beginObject().field("name", k.name).field("threads", k.threads).endObject();
  json.endArray().key("steps");
  write(json, plan.steps);
  json.endObject();
}

void write(Json &json, const char *key, const std::vector<Argument> &arguments, const VariantKey &variant) {
  json.key(key).beginArray();
  for (const Argument &a : arguments) {
    json.beginObject().field("name", a.name);
    auto it = variant.dtypes.find(a.name);
    if (a.dtype || it != variant.dtypes.end())
      json.field("dtype", dtypeName(a.dtype ? *a.dtype : it->second));
    json.key("dims").beginArray();
    for (const Dim &d : a.dims)
      json.value(d.text);
    json.endArray();
    if (!a.indexOf.empty())
      json.field("positions_of", a.indexOf);
    json.endObject();
  }
  json.endArray();
}

std::string manifestOf(const Signature &signature, const std::vector<Piece> &pieces) {
  const VariantKey &variant = pieces[0].request.variant;
  Json json;
  json.beginObject().field("format", 1).field("mixer", signature.mixer).field("doc", signature.doc);
  json.key("params").beginObject();
  for (const Param &p : signature.params) {
    json.key(p.name);
    p.kind == Param::Bool  ? json.value(p.integer != 0)
    : p.kind == Param::Int ? json.value(p.integer)
                           : json.value(p.real);
  }
  json.endObject();
  write(json, "inputs", signature.inputs, variant);
  write(json, "outputs", signature.outputs, variant);
  json.key("extents").beginArray();
  for (const Symbol &s : signature.symbols) {
    json.beginObject().field("name", s.name);
    if (auto it = variant.extents.find(s.name); it != variant.extents.end())
      json.field("specialised", it->second);
    json.endObject();
  }
  json.endArray().key("code").beginArray();
  for (const Piece &p : pieces) {
    json.beginObject().field("target", p.request.target).field("arch", p.arch).field("kernel", p.arch + ".kernel");
    json.field("image", p.bare).key("features").beginArray();
    for (const std::string &f : p.blob.features)
      json.value(f);
    json.endArray().key("workspace").beginArray();
    for (const KernelBlob::Buffer &b : p.blob.buffers)
      json.beginObject().field("name", b.name).field("bytes", b.bytes).endObject();
    json.endArray();
    LaunchPlan plan;
    if (!p.blob.plan.empty() && LaunchPlan::parse(p.blob.plan, plan)) {
      json.key("launch");
      write(json, plan);
    }
    json.endObject();
  }
  json.endArray().endObject();
  return json.text() + "\n";
}

/// Code of one arch, made in full.
int compilePiece(const Options &options, Signature &signature, Piece &piece) {
  Session session(options);
  if (int status = session.openWithAllInputs())
    return status;
  signature = session.signature();
  Error error;
  std::vector<int64_t> symbols(signature.symbols.size(), -1);
  if (!options.sizes.empty() && !sampleSizes(signature, options.sizes, 0, symbols, error))
    return fail(options, error);
  piece.request = session.request(session.variantOf(symbols));
  CompileAnswer answer;
  if (!askCompiler(options, piece.request, answer))
    return kUnavailable;
  if (int status = statusOf(options, answer))
    return status;
  piece.blob = std::move(answer.blob);
  piece.kernel = Mixer::package(signature, piece.request.variant, piece.blob);
  piece.image = piece.blob.image;
  if (options.target != "cpu")
    return kDone;
  CompileRequest object = piece.request;
  object.stage = "obj";
  answer = {};
  if (!askCompiler(options, object, answer))
    return kUnavailable;
  piece.image = std::move(answer.stage);
  return answer.status == CompileAnswer::Done ? kDone : statusOf(options, answer);
}

} // namespace

int emitPackage(const Options &options) {
  if (options.output.empty() || options.output == "-")
    return fail(options, Error(Msg::A914, "package").withHelp("-o DIR"));
  std::string archs = !options.arch.empty()      ? options.arch
                      : options.target == "cuda" ? "sm_80,sm_90a,sm_120"
                                                 : "x86-64-v3,x86-64-v4";
  std::vector<Piece> pieces;
  Signature signature;
  for (const std::string &arch : split(archs)) {
    Options one = options;
    one.arch = arch;
    one.target = arch.rfind("sm_", 0) == 0 ? "cuda" : options.target == "cuda" ? "cuda" : "cpu";
    if (int status = checkTargetOption(one, TargetUse::Compiled))
      return status;
    Piece piece;
    piece.arch = arch;
    piece.bare = arch + (one.target == "cuda" ? ".cubin" : ".o");
    if (int status = compilePiece(one, signature, piece))
      return status;
    pieces.push_back(std::move(piece));
  }
  const std::string &folder = options.output;
  Error error;
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
    return fail(options, Error(Msg::A601, folder, std::strerror(errno)));
  for (const Piece &p : pieces)
    if (!writeBytes(fmt::format("{}/{}.kernel", folder, p.arch), p.kernel, error) ||
        !writeBytes(fmt::format("{}/{}", folder, p.bare), p.image, error))
      return fail(options, error);
  return writeBytes(folder + "/manifest.json", manifestOf(signature, pieces), error) ? kDone : fail(options, error);
}

} // namespace attnc::cli
