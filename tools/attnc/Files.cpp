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

const char *const kAllHelp = "`all` takes a .safetensors file, which has tensors by name";

bool isSafetensors(const std::string &path) { return endsWith(path, ".safetensors"); }

std::vector<std::string> keysOf(const Tensors &tensors) {
  std::vector<std::string> names;
  for (auto &t : tensors)
    names.push_back(t.first);
  return names;
}

bool wrongSuffix(const char *option, const std::string &name, const std::string &path, Error &error) {
  error.report(Msg::A603, option, name, path);
  if (endsWith(path, ".npz") || endsWith(path, ".pt") || endsWith(path, ".pth"))
    error.withHelp("numpy.save writes .npy, safetensors.torch.save_file writes .safetensors");
  return false;
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
  bool commit(Error &error) {
    for (auto &file : files_)
      if (::rename(file.first.c_str(), file.second.c_str()) != 0)
        return error.report(Msg::A601, file.second, std::strerror(errno));
    files_.clear();
    return true;
  }

private:
  std::vector<std::pair<std::string, std::string>> files_;
};

} // namespace

bool readInputFiles(const Options &options, InputFiles &files, Error &error) {
  std::map<std::string, Tensors> opened; // .safetensors files, each read once
  for (auto &[name, path] : options.in) {
    if (isSafetensors(path)) {
      auto [it, isNew] = opened.try_emplace(path);
      if (isNew && !readSafetensors(path, it->second, error))
        return false;
      if (name == "all") {
        for (auto &t : it->second) {
          if (!files.fromAll.emplace(t.first, t.second).second)
            return error.report(Msg::A925, t.first, files.paths.at(t.first), path);
          files.paths[t.first] = path;
        }
        continue;
      }
      auto found = it->second.find(name);
      if (found == it->second.end()) {
        error = Error(Msg::A602, path, name).withHelp(suggestion(name, keysOf(it->second), "it has"));
        return false;
      }
      files.named[name] = found->second;
    } else if (endsWith(path, ".npy")) {
      HostTensor tensor;
      if (!readNpy(path, tensor, error))
        return false;
      files.named[name] = tensor;
    } else {
      return wrongSuffix("--in", name, path, error);
    }
    files.paths.emplace(name, path);
  }
  return true;
}

bool selectInputs(const InputFiles &files, const std::vector<std::string> &inputNames, const std::string &mixer,
                  Tensors &inputs, Error &error) {
  for (auto &[name, tensor] : files.named) {
    bool known = false;
    for (const std::string &n : inputNames)
      known |= n == name;
    if (!known) {
      error = Error(Msg::A710, mixer, name)
                  .withHelp(name == "all" ? kAllHelp : suggestion(name, inputNames, "its inputs are"));
      return false;
    }
    inputs[name] = tensor;
  }
  for (const std::string &n : inputNames) {
    auto it = files.fromAll.find(n);
    if (it == files.fromAll.end())
      continue;
    if (!inputs.emplace(n, it->second).second)
      return error.report(Msg::A926, n, files.paths.at(n));
  }
  return true;
}

bool convertInputs(const Options &options, const Signature &signature, const InputFiles &files, Tensors &inputs,
                   std::string &widened, Error &error) {
  if (!adaptArguments(signature, options.dtype, inputs, error))
    return false;
  for (const Argument &a : signature.inputs) {
    auto it = inputs.find(a.name);
    if (it == inputs.end() || a.dtype || it->second.dtype != DType::F64 || options.dtype)
      continue;
    auto path = files.paths.find(a.name);
    widened = path == files.paths.end() ? a.name : path->second;
    break;
  }
  return true;
}

bool leftOutInputs(const ast::Mixer &mixer, const Tensors &given, std::set<std::string> &leftOut, Error &error) {
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
  std::string paste = "--in";
  for (const std::string &name : missing)
    paste += fmt::format(" {0}={0}.npy", name);
  error = Error(Msg::A927, mixer.name.text, joined(missing), missing.size() == 1 ? "has" : "have").withHelp(paste);
  return false;
}

bool checkOutputs(const Options &options, const std::vector<std::string> &outputNames, Error &error) {
  std::map<std::string, std::string> taken;
  for (auto &[name, path] : options.out) {
    bool known = name == "all" && isSafetensors(path);
    for (const std::string &n : outputNames)
      known |= n == name;
    if (!known) {
      error =
          Error(Msg::A928, name).withHelp(name == "all" ? kAllHelp : suggestion(name, outputNames, "its outputs are"));
      return false;
    }
    if (!isSafetensors(path) && !endsWith(path, ".npy") && path != "/dev/null")
      return wrongSuffix("--out", name, path, error);
    auto [it, isNew] = taken.emplace(path, name);
    if (!isNew && !isSafetensors(path))
      return error.report(Msg::A917, it->second, name, path);
    std::string folder = folderOf(path);
    struct stat info;
    if (::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
      return error.report(Msg::A601, path, fmt::format("the folder {} does not exist", folder));
    if (::access(folder.c_str(), W_OK) != 0 && path != "/dev/null")
      return error.report(Msg::A601, path, fmt::format("the folder {} is not writable", folder));
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
      return error.report(Msg::A601, path, "it is a folder");
  }
  return true;
}

bool writeOutputs(const Options &options, const Tensors &outputs, Error &error) {
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
      renameIn(error.text, temporary, path);
      return false;
    }
  }
  for (auto &[path, tensors] : collected) {
    std::string temporary = pending.add(path);
    if (!writeSafetensors(temporary, tensors, error)) {
      renameIn(error.text, temporary, path);
      return false;
    }
  }
  return pending.commit(error);
}

bool writeBytes(const std::string &path, const std::string &bytes, Error &error) {
  if (path.empty() || path == "-") {
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0)
      return true;
    return error.report(Msg::A916);
  }
  return writeFileAtomically(
      path, [&](std::FILE *file) { return std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size(); }, error);
}

} // namespace attnc::cli
