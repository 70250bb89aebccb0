//===- Command line: parsing and usage ------------------------------------===//
#include "tools/attnc/Options.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fmt/format.h>

namespace attnc::cli {

namespace {

/// Which subcommands an option belongs to, as letters of kCommands.
struct OptionInfo {
  const char *name;
  const char *commands;
  const char *value; ///< null: a switch
  const char *text;
};

struct CommandInfo {
  const char *name;
  char letter;
  const char *arguments;
  const char *text;
};

const CommandInfo kCommands[] = {
    {"check", 'k', "SPEC...", "parse and check"},
    {"eval", 'e', "SPEC --in q=q.npy ... --out o=o.npy ...", "evaluate the equations in float64 (the reference)"},
    {"run", 'r', "SPEC --in q=q.npy ... --out o=o.npy ...", "compile and run"},
    {"verify", 'v', "SPEC", "compare the compiled kernel with the reference on random inputs"},
    {"compile", 'c', "SPEC --emit=STAGE [-o FILE]", "print one stage of the compiler"},
    {"explain", 'x', "SPEC --sizes ...", "the kernels formed: grid, loops, buffers, FLOPs, bytes"},
    {"show", 's', "SPEC --mask --sizes ...", "draw which positions masks keep, and which the kernels visit"},
    {"bench", 'b', "SPEC --sizes ...", "median time, GFLOP/s, fraction of the peak measured in the same run"},
};

const OptionInfo kOptions[] = {
    {"--mixer", "kervcxsb", "NAME", "the mixer; may be left out when the file has one"},
    {"--in", "ers", "NAME=FILE", ".npy or .safetensors; all=FILE.safetensors takes tensors by name"},
    {"--out", "er", "NAME=FILE", "as --in; without any, shapes and statistics are printed"},
    {"--set", "kervcxsb", "W=256", "value of a param; several are separated by commas"},
    {"--sizes", "kervcxsb", "b=2,N=100", "extents by axis or extent name; the others get small odd defaults"},
    {"--dtype", "kervcxsb", "f32|bf16|f16|f64", "dtype of inputs without a declared one"},
    {"--target", "kervcxsb", "cpu|cuda|cuda-emulated", "what to compile for"},
    {"--arch", "kervcxsb", "NAME", "cpu: native, x86-64-v3, x86-64-v4; cuda: sm_80, sm_90a, ..."},
    {"--threads", "kervcxsb", "N", "worker threads; results do not depend on it"},
    {"--workspace-limit", "ervb", "BYTES", "refuse calls that need more memory for intermediates; K, M, G may follow"},
    {"--no-cache", "ervcxsb", nullptr, "neither read nor write the kernel cache"},
    {"--seed", "vsb", "S", "seed of the random inputs"},
    {"--save", "v", "DIR", "write inputs and reference outputs of each call"},
    {"--emit", "c", "ast|attn|tile|llvm|asm|obj|kernel|package|cuda|ptx|cubin", "the stage to print"},
    {"--mask", "s", nullptr, "what to draw: the masks of attention"},
    {"--instance", "s", "K", "which of the batches and heads to draw, counted from 0"},
    {"-o", "cs", "FILE", "where to write; default: standard output (show: an SVG, only where this is given)"},
    {"--json", "kervcxsb", nullptr, "results as JSON; schema in docs/cli.md"},
};

template <typename Info, size_t N> const Info *find(const Info (&table)[N], std::string_view name) {
  auto it = std::find_if(std::begin(table), std::end(table), [&](const Info &info) { return name == info.name; });
  return it != std::end(table) ? it : nullptr;
}

const char *const kListHelp = "`attnc --help` lists the subcommands";

bool parseInteger(std::string_view text, int64_t &value) {
  std::string copy(text);
  char *end = nullptr;
  errno = 0;
  value = std::strtoll(copy.c_str(), &end, 10);
  return !copy.empty() && *end == 0 && errno == 0 && (copy[0] == '-' || (copy[0] >= '0' && copy[0] <= '9'));
}

bool parseBytes(std::string_view text, int64_t &value) {
  int shift = 0;
  if (!text.empty()) {
    switch (text.back()) {
    case 'k':
    case 'K':
      shift = 10;
      break;
    case 'm':
    case 'M':
      shift = 20;
      break;
    case 'g':
    case 'G':
      shift = 30;
      break;
    case 't':
    case 'T':
      shift = 40;
      break;
    default:
      break;
    }
    if (shift)
      text.remove_suffix(1);
  }
  if (!parseInteger(text, value) || value < 1 || value > (INT64_MAX >> shift))
    return false;
  value <<= shift;
  return true;
}

/// One command line being read.
class Parser {
public:
  Parser(int argc, char **argv, Options &options, Error &error)
      : args_(argv + 1, argv + argc), options_(options), error_(error) {}

  bool run(bool &help) {
    help = false;
    for (const std::string &a : args_) {
      if (a == "--")
        break;
      help |= a == "--help" || a == "-h";
    }
    if (args_.empty())
      return fail(Error(Msg::A900).withHelp(kListHelp));
    const std::string &first = args_[0];
    if (first == "help" || (help && first[0] == '-')) {
      help = true;
      if (args_.size() > 1 && find(kCommands, args_[1]))
        options_.command = args_[1];
      return true;
    }
    if (first[0] == '-')
      return fail(Error(Msg::A902, first).withHelp(kListHelp));
    command_ = find(kCommands, first);
    if (!command_)
      return fail(Error(Msg::A901, first).withHelp(suggestion(first, commandNames(), "there are")));
    options_.command = first;
    if (help)
      return true;
    bool optionsEnded = false;
    std::vector<std::pair<std::string, std::string>> *list = nullptr; // the --in or --out that `name=file` continues
    for (next_ = 1; next_ < args_.size(); ++next_) {
      const std::string &arg = args_[next_];
      if (!optionsEnded && arg == "--") {
        optionsEnded = true;
      } else if (!optionsEnded && arg.size() > 1 && arg[0] == '-') {
        list = nullptr;
        if (!parseOption(arg, list))
          return false;
      } else if (list && !optionsEnded && !options_.specs.empty() && arg.find('=') != std::string::npos) {
        if (!addFile(*list, list == &options_.in ? "--in" : "--out", arg))
          return false;
      } else if (arg.empty()) {
        return fail(usageHelp(Error(Msg::A908)));
      } else {
        options_.specs.push_back(arg);
      }
    }
    return finish();
  }

private:
  bool fail(Error error) {
    error_ = std::move(error);
    return false;
  }

  Error usageHelp(Error error) const {
    return error.withHelp(fmt::format("attnc {} {}", command_->name, command_->arguments));
  }

  bool finish() {
    if (options_.specs.empty())
      return fail(usageHelp(Error(Msg::A908)));
    if (command_->letter != 'k' && options_.specs.size() > 1)
      return fail(usageHelp(Error(Msg::A909, command_->name, options_.specs[0], options_.specs[1])));
    if (command_->letter == 's' && !options_.mask)
      return fail(usageHelp(Error(Msg::A932)));
    if (command_->letter == 'c' && options_.emit.empty())
      return fail(usageHelp(Error(Msg::A913)).withHelp(fmt::format("--emit={}", find(kOptions, "--emit")->value)));
    return true;
  }

  static Error needsValue(const std::string &name, const OptionInfo *info) {
    return Error(Msg::A906, name).withHelp(fmt::format("{} {}", name, info ? info->value : "FILE"));
  }

  bool parseOption(const std::string &arg, std::vector<std::pair<std::string, std::string>> *&list) {
    std::string name = arg, value;
    bool hasValue = false;
    if (arg[1] == '-') {
      size_t eq = arg.find('=');
      if (eq != std::string::npos) {
        name = arg.substr(0, eq);
        value = arg.substr(eq + 1);
        hasValue = true;
      }
    } else if (arg.compare(0, 2, "-o") == 0) {
      name = "-o";
      if (arg.size() > 2) {
        value = arg.substr(2);
        hasValue = true;
      }
    }
    const OptionInfo *info = find(kOptions, name);
    bool known = info && std::string_view(info->commands).find(command_->letter) != std::string_view::npos;
    if (!known) {
      std::vector<std::string> names, owners;
      for (const CommandInfo &c : kCommands)
        if (info && std::string_view(info->commands).find(c.letter) != std::string_view::npos)
          owners.push_back(std::string("attnc ") + c.name);
      if (info)
        return fail(
            Error(Msg::A903, command_->name, name).withHelp(fmt::format("it is an option of {}", joined(owners))));
      for (const OptionInfo &o : kOptions)
        if (std::string_view(o.commands).find(command_->letter) != std::string_view::npos)
          names.push_back(o.name);
      std::string near = nearestName(name, names);
      return fail(Error(Msg::A904, name)
                      .withHelp(near.empty() ? fmt::format("`attnc {} --help` lists the options", command_->name)
                                             : fmt::format("did you mean `{}`?", near)));
    }
    bool isSwitch = info && !info->value;
    if (isSwitch && hasValue)
      return fail(Error(Msg::A905, name));
    if (!isSwitch && !hasValue) {
      if (next_ + 1 >= args_.size())
        return fail(needsValue(name, info));
      value = args_[++next_];
    }
    if (!isSwitch && value.empty())
      return fail(needsValue(name, info));
    return apply(name, value, list);
  }

  bool once(const std::string &name, const std::string &old) { return old.empty() || fail(Error(Msg::A907, name)); }

  bool apply(const std::string &name, const std::string &value,
             std::vector<std::pair<std::string, std::string>> *&list) {
    int64_t number = 0;
    if (name == "-o") {
      if (!once(name, options_.output))
        return false;
      options_.output = value;
    } else if (name == "--save") {
      if (!once(name, options_.save))
        return false;
      options_.save = value;
    } else if (name == "--mixer") {
      if (!once(name, options_.mixer))
        return false;
      options_.mixer = value;
    } else if (name == "--in" || name == "--out") {
      list = name == "--in" ? &options_.in : &options_.out;
      return addFile(*list, name, value);
    } else if (name == "--set") {
      return eachPair(name, value, [&](const std::string &key, const std::string &text) {
        return options_.params.emplace(key, text).second || fail(Error(Msg::A911, name, key));
      });
    } else if (name == "--sizes") {
      return eachPair(name, value, [&](const std::string &key, const std::string &text) {
        if (!parseInteger(text, number) || number < 0)
          return fail(Error(Msg::A910, name, key + "=" + text, "an integer of at least 0"));
        return options_.sizes.emplace(key, number).second || fail(Error(Msg::A911, name, key));
      });
    } else if (name == "--dtype") {
      options_.dtype = dtypeFromName(value);
      if (!options_.dtype || !isFloat(*options_.dtype))
        return fail(Error(Msg::A910, name, value, "f32, bf16, f16 or f64"));
    } else if (name == "--target") {
      options_.target = value;
    } else if (name == "--arch") {
      options_.arch = value;
    } else if (name == "--threads") {
      if (!parseInteger(value, number) || number < 1 || number > 4096)
        return fail(Error(Msg::A910, name, value, "a number from 1 to 4096"));
      options_.threads = int(number);
    } else if (name == "--workspace-limit") {
      if (!parseBytes(value, options_.workspaceLimit))
        return fail(Error(Msg::A910, name, value, "bytes, as in 500M or 16G"));
    } else if (name == "--seed") {
      if (!parseInteger(value, number) || number < 0)
        return fail(Error(Msg::A910, name, value, "an integer of at least 0"));
      options_.seed = uint64_t(number);
    } else if (name == "--instance") {
      if (!parseInteger(value, options_.instance) || options_.instance < 0)
        return fail(Error(Msg::A910, name, value, "an integer of at least 0"));
    } else if (name == "--emit") {
      static const std::vector<std::string> stages = {"ast",    "attn",    "tile", "llvm", "asm",  "obj",
                                                      "kernel", "package", "cuda", "ptx",  "cubin"};
      bool found = false;
      for (const std::string &s : stages)
        found |= s == value;
      if (!found)
        return fail(Error(Msg::A912, value).withHelp(suggestion(value, stages, "there are")));
      if (!once(name, options_.emit))
        return false;
      options_.emit = value;
    } else if (name == "--json") {
      options_.json = true;
    } else if (name == "--mask") {
      options_.mask = true;
    } else if (name == "--no-cache") {
      options_.noCache = true;
    }
    return true;
  }

  bool addFile(std::vector<std::pair<std::string, std::string>> &list, const std::string &name,
               const std::string &value) {
    size_t eq = value.find('=');
    if (eq == std::string::npos || eq == 0 || eq + 1 == value.size())
      return fail(
          Error(Msg::A910, name, value, "NAME=FILE").withHelp(name + (name == "--in" ? " q=q.npy" : " o=o.npy")));
    std::string key = value.substr(0, eq);
    for (auto &entry : list)
      if (entry.first == key && key != "all")
        return fail(Error(Msg::A911, name, key));
    list.emplace_back(key, value.substr(eq + 1));
    return true;
  }

  template <class F> bool eachPair(const std::string &name, const std::string &value, F &&take) {
    size_t begin = 0;
    while (begin <= value.size()) {
      size_t end = value.find(',', begin);
      if (end == std::string::npos)
        end = value.size();
      std::string part = value.substr(begin, end - begin);
      size_t eq = part.find('=');
      if (eq == std::string::npos || eq == 0 || eq + 1 == part.size())
        return fail(Error(Msg::A910, name, value, "NAME=VALUE")
                        .withHelp(fmt::format("{} {}", name, find(kOptions, name)->value)));
      if (!take(part.substr(0, eq), part.substr(eq + 1)))
        return false;
      begin = end + 1;
    }
    return true;
  }

  std::vector<std::string> args_;
  Options &options_;
  Error &error_;
  const CommandInfo *command_ = nullptr;
  size_t next_ = 0;
};

} // namespace

const std::vector<std::string> &commandNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const CommandInfo &c : kCommands)
      list.push_back(c.name);
    return list;
  }();
  return names;
}

bool parseOptions(int argc, char **argv, Options &options, bool &help, Error &error) {
  return Parser(argc, argv, options, error).run(help);
}

std::string usage(const std::string &command) {
  std::string text;
  const CommandInfo *one = find(kCommands, command);
  if (one) {
    text = fmt::format("usage: attnc {} {}\n  {}\n\noptions:\n", one->name, one->arguments, one->text);
    for (const OptionInfo &o : kOptions)
      if (std::string_view(o.commands).find(one->letter) != std::string_view::npos)
        text += fmt::format("  {:<28} {}\n", o.value ? fmt::format("{} {}", o.name, o.value) : o.name, o.text);
    return text;
  }
  text = "usage: attnc SUBCOMMAND ...\n\n";
  for (const CommandInfo &c : kCommands)
    text += fmt::format("  {:<9}{:<44}{}\n", c.name, c.arguments, c.text);
  text += "\nattnc SUBCOMMAND --help lists the options of one.\n"
          "exit status: 0 done; 1 the spec or the arguments are wrong; 2 verification failed; 3 the target is not "
          "available here\n";
  return text;
}

} // namespace attnc::cli
