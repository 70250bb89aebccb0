//===- Tensors from and to files ------------------------------------------===//
#include "tools/attnc/Files.h"
#include "runtime/Bind.h"
#include "runtime/File.h"
#include "runtime/Npy.h"
#include "runtime/Safetensors.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace attnc::cli {

namespace {

bool endsWith(const std::string &s, std::string_view end) {
  return s.size() >= end.size() && s.compare(s.size() - end.size(), end.size(), end) == 0;
}

bool isSafetensors(const std::string &path) { return endsWith(path, ".safetensors"); }

std::string joined(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &n : names)
    text += (text.empty() ? "" : ", ") + n;
  return text;
}

std::vector<std::string> keysOf(const Tensors &tensors) {
  std::vector<std::string> names;
  for (auto &t : tensors)
    names.push_back(t.first);
  return names;
}

std::string unknownName(const char *what, const std::string &name, const std::vector<std::string> &known,
                        const std::string &where) {
  std::string best = nearestName(name, known);
  return fmt::format("{} has no {} '{}'{}", where, what, name,
                     !best.empty()   ? fmt::format("; did you mean '{}'?", best)
                     : known.empty() ? std::string("; it has none")
                                     : fmt::format("; it has {}", joined(known)));
}

std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

/// Lets a sentence about a temporary file name the one the user asked for.
void renameIn(std::string &sentence, const std::string &temporary, const std::string &path) {
  size_t at = sentence.find(temporary);
  if (at != std::string::npos)
    sentence.replace(at, temporary.size(), path);
}

/// Files under temporary names beside their targets, until commit() renames them all.
class Pending {
public:
  ~Pending() {
    for (auto &file : files_)
      ::unlink(file.first.c_str());
  }
  /// The name to write to. A target that exists and is no plain file (a device, a pipe) is written in place.
  std::string add(const std::string &target) {
    struct stat info;
    std::string final = target;
    if (::stat(target.c_str(), &info) == 0) {
      if (!S_ISREG(info.st_mode))
        return target;
      if (char *real = ::realpath(target.c_str(), nullptr)) { // through a link, to the file it names
        final = real;
        ::free(real);
      }
    }
    std::string temporary = fmt::format("{}.tmp{}-{}", final, ::getpid(), files_.size());
    files_.emplace_back(temporary, final);
    return temporary;
  }
  bool commit(std::string &error) {
    for (auto &file : files_)
      if (::rename(file.first.c_str(), file.second.c_str()) != 0) {
        error = fmt::format("cannot write {}: {}", file.second, std::strerror(errno));
        return false;
      }
    files_.clear();
    return true;
  }

private:
  std::vector<std::pair<std::string, std::string>> files_;
};

} // namespace

bool readInputFiles(const Options &options, InputFiles &files, std::string &error) {
  std::map<std::string, Tensors> opened; // .safetensors files, each read once
  for (auto &[name, path] : options.in) {
    if (isSafetensors(path)) {
      auto [it, isNew] = opened.try_emplace(path);
      if (isNew && !readSafetensors(path, it->second, error)) {
        error = fmt::format("input '{}': {}", name, error);
        return false;
      }
      if (name == "all") {
        for (auto &t : it->second) {
          if (!files.fromAll.emplace(t.first, t.second).second) {
            error = fmt::format("tensor '{}' is in two files given as all=", t.first);
            return false;
          }
          files.paths.emplace(t.first, path);
        }
        continue;
      }
      auto found = it->second.find(name);
      if (found == it->second.end()) {
        error = unknownName("tensor", name, keysOf(it->second), path);
        return false;
      }
      files.named[name] = found->second;
    } else if (endsWith(path, ".npy")) {
      HostTensor tensor;
      if (!readNpy(path, tensor, error)) {
        error = fmt::format("input '{}': {}", name, error);
        return false;
      }
      files.named[name] = tensor;
    } else {
      error = fmt::format("{}={}: the name must end in .npy or .safetensors", name, path);
      return false;
    }
    files.paths[name] = path;
  }
  return true;
}

bool selectInputs(const InputFiles &files, const std::vector<std::string> &inputNames, const std::string &mixer,
                  Tensors &inputs, std::string &error) {
  for (auto &[name, tensor] : files.named) {
    bool known = false;
    for (const std::string &n : inputNames)
      known |= n == name;
    if (!known) {
      error = unknownName("input", name, inputNames, fmt::format("mixer {}", mixer));
      return false;
    }
    inputs[name] = tensor;
  }
  for (const std::string &n : inputNames) {
    auto it = files.fromAll.find(n);
    if (it == files.fromAll.end())
      continue;
    if (!inputs.emplace(n, it->second).second) {
      error = fmt::format("input '{}' is given twice: by --in {}=... and in {}", n, n, files.paths.at(n));
      return false;
    }
  }
  return true;
}

bool convertInputs(const Options &options, const Signature &signature, const InputFiles &files, Tensors &inputs,
                   std::vector<std::string> &notes, std::string &error) {
  if (!adaptArguments(signature, options.dtype, inputs, error))
    return false;
  for (const Argument &a : signature.inputs) {
    auto it = inputs.find(a.name);
    if (it == inputs.end() || a.dtype || it->second.dtype != DType::F64 || options.dtype)
      continue;
    auto path = files.paths.find(a.name);
    notes.push_back(fmt::format("{} is float64, so the kernel computes in float64; --dtype f32 converts it",
                                path == files.paths.end() ? a.name : path->second));
    break;
  }
  return true;
}

bool leftOutInputs(const ast::Mixer &mixer, const Tensors &given, std::set<std::string> &leftOut, std::string &error) {
  std::vector<std::string> missing;
  for (const ast::Decl &d : mixer.inputs) {
    if (given.count(d.name.text))
      continue;
    if (d.defaultValue)
      leftOut.insert(d.name.text);
    else
      missing.push_back(d.name.text);
  }
  if (missing.empty())
    return true;
  error = missing.size() == 1
              ? fmt::format("input '{0}' of mixer {1} is missing and has no default; give it with --in {0}=FILE",
                            missing[0], mixer.name.text)
              : fmt::format("inputs {} of mixer {} are missing and have no defaults; give each with --in NAME=FILE",
                            joined(missing), mixer.name.text);
  return false;
}

bool checkOutputs(const Options &options, const std::vector<std::string> &outputNames, std::string &error) {
  std::map<std::string, std::string> taken;
  for (auto &[name, path] : options.out) {
    bool known = name == "all" && isSafetensors(path);
    for (const std::string &n : outputNames)
      known |= n == name;
    if (!known) {
      error = unknownName("output", name, outputNames, "the mixer");
      return false;
    }
    if (!isSafetensors(path) && !endsWith(path, ".npy") && path != "/dev/null") {
      error = fmt::format("--out {}={}: the name must end in .npy or .safetensors", name, path);
      return false;
    }
    auto [it, isNew] = taken.emplace(path, name);
    if (!isNew && !isSafetensors(path)) {
      error = fmt::format("outputs '{}' and '{}' both go to {}", it->second, name, path);
      return false;
    }
    std::string folder = folderOf(path);
    struct stat info;
    if (::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
      error = fmt::format("--out {}={}: the folder {} does not exist", name, path, folder);
      return false;
    }
    if (::access(folder.c_str(), W_OK) != 0 && path != "/dev/null") {
      error = fmt::format("--out {}={}: the folder {} is not writable", name, path, folder);
      return false;
    }
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      error = fmt::format("--out {}={}: this is a folder", name, path);
      return false;
    }
  }
  return true;
}

bool writeOutputs(const Options &options, const Tensors &outputs, std::string &error) {
  Pending pending;
  std::map<std::string, Tensors> collected; // .safetensors
  for (auto &[name, path] : options.out) {
    if (isSafetensors(path)) {
      if (name == "all" && !outputs.count("all"))
        collected[path].insert(outputs.begin(), outputs.end());
      else
        collected[path].insert(*outputs.find(name));
      continue;
    }
    std::string temporary = pending.add(path);
    if (!writeNpy(temporary, outputs.at(name), error)) {
      renameIn(error, temporary, path);
      return false;
    }
  }
  for (auto &[path, tensors] : collected) {
    std::string temporary = pending.add(path);
    if (!writeSafetensors(temporary, tensors, error)) {
      renameIn(error, temporary, path);
      return false;
    }
  }
  return pending.commit(error);
}

bool writeBytes(const std::string &path, const std::string &bytes, std::string &error) {
  if (path.empty() || path == "-") {
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0)
      return true;
    error = "standard output does not take the result";
    return false;
  }
  return writeFileAtomically(
      path, [&](std::FILE *file) { return std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size(); }, error);
}

} // namespace attnc::cli
