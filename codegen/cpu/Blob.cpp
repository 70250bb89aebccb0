//===- One image from object files ----------------------------------------===//
//
// The code generator writes ELF objects for x86-64, small code model, position independent. Their sections that take
// memory are laid out one after the other and every relocation is between them and relative, so it can be applied now
// and the image works wherever it is mapped. Anything that would need a symbol from outside or a writable section is
// refused.
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Cpu.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;
using namespace llvm::object;

namespace {

/// The image so far, and where in it what the objects name is.
struct Image {
  std::string bytes;
  StringMap<uint64_t> symbols;
};

/// The sections of one object at their places in the image.
class Part {
public:
  Part(const ELFObjectFileBase &object, Image &image, std::string &error)
      : object(object), bytes(image.bytes), symbols(image.symbols), error(error) {}

  bool layout() {
    for (const SectionRef &section : object.sections()) {
      ELFSectionRef elf(section);
      if (!(elf.getFlags() & ELF::SHF_ALLOC) || section.getSize() == 0 || elf.getType() == ELF::SHT_X86_64_UNWIND ||
          name(section) == ".eh_frame")
        continue;
      if (elf.getFlags() & ELF::SHF_WRITE && name(section) != ".data.rel.ro")
        return fail("generated code wants writable data in section " + name(section));
      bytes.resize(alignTo(bytes.size(), std::max<uint64_t>(section.getAlignment().value(), 1)), '\0');
      place[section.getIndex()] = bytes.size();
      if (section.isBSS()) {
        bytes.resize(bytes.size() + section.getSize(), '\0');
        continue;
      }
      Expected<StringRef> contents = section.getContents();
      if (!contents)
        return fail(toString(contents.takeError()));
      bytes.append(contents->str());
    }
    for (const ELFSymbolRef &symbol : object.symbols()) {
      Expected<StringRef> symbolName = symbol.getName();
      if (!symbolName)
        return fail(toString(symbolName.takeError()));
      if (std::optional<uint64_t> at = address(symbol); at && symbol.getBinding() != ELF::STB_LOCAL)
        symbols[*symbolName] = *at;
    }
    return true;
  }

  bool relocate() {
    for (const SectionRef &section : object.sections()) {
      Expected<section_iterator> target = section.getRelocatedSection();
      if (!target)
        return fail(toString(target.takeError()));
      if (*target == object.section_end() || !place.count((*target)->getIndex()))
        continue;
      for (const RelocationRef &reloc : section.relocations())
        if (!apply(reloc, place[(*target)->getIndex()]))
          return false;
    }
    return true;
  }

private:
  bool fail(const std::string &why) {
    error = why;
    return false;
  }
  static std::string name(const SectionRef &section) {
    Expected<StringRef> n = section.getName();
    if (n)
      return n->str();
    consumeError(n.takeError());
    return "?";
  }

  std::optional<uint64_t> address(const SymbolRef &symbol) {
    Expected<section_iterator> section = symbol.getSection();
    if (!section) {
      consumeError(section.takeError());
      return std::nullopt;
    }
    if (*section == object.section_end() || !place.count((*section)->getIndex()))
      return std::nullopt;
    Expected<uint64_t> value = symbol.getValue();
    if (!value) {
      consumeError(value.takeError());
      return std::nullopt;
    }
    return place[(*section)->getIndex()] + *value;
  }

  bool apply(const RelocationRef &reloc, uint64_t base) {
    symbol_iterator symbol = reloc.getSymbol();
    std::string symbolName = "?";
    if (symbol == object.symbol_end())
      return fail("a relocation without a symbol");
    if (Expected<StringRef> n = symbol->getName())
      symbolName = n->str();
    else
      consumeError(n.takeError());
    std::optional<uint64_t> to = address(*symbol);
    if (auto other = symbols.find(symbolName); !to && other != symbols.end())
      to = other->second;
    if (!to)
      return fail("generated code needs the symbol '" + symbolName + "', which does not exist in a kernel");
    Expected<int64_t> addend = ELFRelocationRef(reloc).getAddend();
    if (!addend)
      return fail(toString(addend.takeError()));
    uint64_t at = base + reloc.getOffset();
    int64_t value = int64_t(*to) + *addend - int64_t(at);
    switch (reloc.getType()) {
    case ELF::R_X86_64_PC32:
    case ELF::R_X86_64_PLT32:
      if (!isInt<32>(value) || at + 4 > bytes.size())
        return fail("generated code is too large: a reference to " + symbolName + " does not reach");
      support::endian::write32le(&bytes[at], value);
      return true;
    case ELF::R_X86_64_PC64:
      if (at + 8 > bytes.size())
        return fail("a relocation outside its section");
      support::endian::write64le(&bytes[at], value);
      return true;
    default: {
      SmallString<32> type;
      reloc.getTypeName(type);
      return fail(("relocation " + type + " for " + symbolName + " cannot be applied before loading").str());
    }
    }
  }

  const ELFObjectFileBase &object;
  std::string &bytes;
  StringMap<uint64_t> &symbols;
  std::string &error;
  std::map<uint64_t, uint64_t> place; ///< section index -> offset in the image
};

} // namespace

bool attnc::cpu::linkBlob(const std::vector<std::string> &objects, KernelBlob &blob, std::string &error) {
  std::vector<std::unique_ptr<ObjectFile>> files;
  std::vector<Part> parts;
  Image image;
  for (const std::string &object : objects) {
    Expected<std::unique_ptr<ObjectFile>> file = ObjectFile::createELFObjectFile(MemoryBufferRef(object, "kernel"));
    if (!file) {
      error = toString(file.takeError());
      return false;
    }
    auto *elf = dyn_cast<ELF64LEObjectFile>(file->get());
    if (!elf || elf->getArch() != Triple::x86_64) {
      error = "not an x86-64 ELF object";
      return false;
    }
    files.push_back(std::move(*file));
    parts.emplace_back(*elf, image, error);
  }
  if (!llvm::all_of(parts, [](Part &part) { return part.layout(); }) ||
      !llvm::all_of(parts, [](Part &part) { return part.relocate(); }))
    return false;
  auto workspace = image.symbols.find("workspace_bytes"), run = image.symbols.find("run");
  if (workspace == image.symbols.end() || run == image.symbols.end()) {
    error = "the object lacks an entry point";
    return false;
  }
  blob.image = std::move(image.bytes);
  blob.workspaceBytes = workspace->second;
  blob.run = run->second;
  return true;
}
