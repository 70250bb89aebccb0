//===- .safetensors files -------------------------------------------------===//
//
// Eight bytes of header length, a JSON object from names to dtype, shape and data_offsets, then the elements. The JSON
// reader below knows just enough: what the format does not use is skipped, nesting and sizes are limited, offsets are
// checked against the file before anything is allocated.
//===----------------------------------------------------------------------===//
#include "runtime/Safetensors.h"
#include "runtime/File.h"
#include "runtime/HeaderScanner.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>

namespace attnc {

namespace {
constexpr uint64_t kMaxHeader = 100'000'000; // the format's own limit
constexpr int kMaxDepth = 32;

struct Entry {
  std::string dtype;
  std::vector<int64_t> shape, offsets;
};

class JsonReader : HeaderScanner {
public:
  using HeaderScanner::HeaderScanner;

  bool readHeader(std::map<std::string, Entry> &out) {
    bool ok = object([&](const std::string &name) {
      if (name == "__metadata__")
        return skipValue(0);
      Entry e;
      bool hasDtype = false, hasShape = false, hasOffsets = false;
      bool good = object([&](const std::string &key) {
        if (key == "dtype")
          return hasDtype = string(e.dtype);
        if (key == "shape")
          return hasShape = integers(e.shape);
        if (key == "data_offsets")
          return hasOffsets = integers(e.offsets);
        return skipValue(0);
      });
      return good && hasDtype && hasShape && hasOffsets && e.offsets.size() == 2 &&
             out.emplace(name, std::move(e)).second;
    });
    return ok && peek() == '\0';
  }

private:
  template <typename F> bool object(F member) {
    if (!accept('{'))
      return false;
    if (accept('}'))
      return true;
    do {
      std::string key;
      if (!string(key) || !accept(':') || !member(key))
        return false;
    } while (accept(','));
    return accept('}');
  }
  bool integers(std::vector<int64_t> &out) {
    out.clear();
    if (!accept('['))
      return false;
    if (accept(']'))
      return true;
    do {
      if (!extent(out))
        return false;
    } while (accept(','));
    return accept(']');
  }
  bool hex4(uint32_t &out) {
    if (at_ + 4 > s_.size())
      return false;
    out = 0;
    for (int i = 0; i < 4; ++i) {
      char c = s_[at_++];
      int d = c >= '0' && c <= '9'   ? c - '0'
              : c >= 'a' && c <= 'f' ? c - 'a' + 10
              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                     : -1;
      if (d < 0)
        return false;
      out = out << 4 | static_cast<uint32_t>(d);
    }
    return true;
  }
  static void utf8(std::string &out, uint32_t c) {
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if (c < 0x800) {
      out += static_cast<char>(0xc0 | c >> 6);
      out += static_cast<char>(0x80 | (c & 63));
    } else if (c < 0x10000) {
      out += static_cast<char>(0xe0 | c >> 12);
      out += static_cast<char>(0x80 | (c >> 6 & 63));
      out += static_cast<char>(0x80 | (c & 63));
    } else {
      out += static_cast<char>(0xf0 | c >> 18);
      out += static_cast<char>(0x80 | (c >> 12 & 63));
      out += static_cast<char>(0x80 | (c >> 6 & 63));
      out += static_cast<char>(0x80 | (c & 63));
    }
  }
  bool string(std::string &out) {
    out.clear();
    if (!accept('"'))
      return false;
    while (at_ < s_.size()) {
      char c = s_[at_++];
      if (c == '"')
        return true;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (at_ == s_.size())
        return false;
      c = s_[at_++];
      static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
      if (const char *p = c ? std::strchr(from, c) : nullptr) {
        out += to[p - from];
        continue;
      }
      uint32_t code = 0, low = 0;
      if (c != 'u' || !hex4(code))
        return false;
      if (code >= 0xd800 && code < 0xdc00) {
        if (s_.substr(at_, 2) != "\\u")
          return false;
        at_ += 2;
        if (!hex4(low) || low < 0xdc00 || low > 0xdfff)
          return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      }
      utf8(out, code);
    }
    return false;
  }
  bool skipValue(int depth) {
    if (depth > kMaxDepth)
      return false;
    std::string ignored;
    char c = peek();
    if (c == '"')
      return string(ignored);
    if (c == '{')
      return object([&](const std::string &) { return skipValue(depth + 1); });
    if (accept('[')) {
      if (accept(']'))
        return true;
      do {
        if (!skipValue(depth + 1))
          return false;
      } while (accept(','));
      return accept(']');
    }
    size_t start = at_;
    while (at_ < s_.size() &&
           (std::isalnum(static_cast<unsigned char>(s_[at_])) || s_[at_] == '-' || s_[at_] == '+' || s_[at_] == '.'))
      ++at_;
    return at_ > start;
  }
};

struct Known {
  const char *name;
  size_t size;
  DType dtype;
  bool isSigned; // of the narrow integers
};
constexpr Known kKnown[] = {
    {"F32", 4, DType::F32, true},   {"F16", 2, DType::F16, true},  {"BF16", 2, DType::BF16, true},
    {"F64", 8, DType::F64, true},   {"I32", 4, DType::I32, true},  {"I64", 8, DType::I64, true},
    {"BOOL", 1, DType::Bool, true}, {"I8", 1, DType::I32, true},   {"I16", 2, DType::I32, true},
    {"U8", 1, DType::I32, false},   {"U16", 2, DType::I32, false}, {"U32", 4, DType::I64, false},
    {"U64", 8, DType::I64, false}};

int64_t narrowInt(const char *p, size_t size, bool isSigned) {
  uint64_t v = 0;
  for (size_t i = size; i-- > 0;)
    v = v << 8 | static_cast<unsigned char>(p[i]);
  unsigned unused = static_cast<unsigned>(64 - 8 * size);
  return isSigned ? static_cast<int64_t>(v << unused) >> unused : static_cast<int64_t>(v);
}

void writeJsonString(std::string &out, const std::string &s) {
  out += '"';
  for (char c : s) {
    if (c == '"' || c == '\\')
      out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      out += c;
  }
  out += '"';
}
} // namespace

bool readSafetensors(const std::string &path, std::map<std::string, HostTensor> &out, Error &error) {
  auto fail = [&](Msg id, const auto &...args) { return error.report(id, path, args...); };
  int64_t size = -1;
  FileHandle f = openToRead(path, size, error);
  if (!f)
    return false;
  if (size < 0)
    return fail(Msg::A600, "it is not a regular file, as .safetensors must be");
  unsigned char lead[8];
  uint64_t length = 0;
  if (std::fread(lead, 1, 8, f.get()) != 8)
    return fail(Msg::A604, ".safetensors");
  for (size_t i = 8; i-- > 0;)
    length = length << 8 | lead[i];
  if (length > kMaxHeader || length + 8 > static_cast<uint64_t>(size))
    return fail(Msg::A615, length, size);
  std::string text(length, '\0');
  if (std::fread(text.data(), 1, length, f.get()) != length)
    return fail(Msg::A606);
  std::map<std::string, Entry> entries;
  if (!JsonReader(text).readHeader(entries))
    return fail(Msg::A608);

  int64_t dataBytes = size - 8 - static_cast<int64_t>(length);
  std::map<std::string, HostTensor> tensors;
  for (auto &[name, e] : entries) {
    const Known *kind =
        std::find_if(std::begin(kKnown), std::end(kKnown), [&, &e = e](const Known &k) { return e.dtype == k.name; });
    if (kind == std::end(kKnown))
      return fail(Msg::A616, name, e.dtype);
    int64_t begin = e.offsets[0], end = e.offsets[1], bytes = static_cast<int64_t>(kind->size);
    bool empty = std::find(e.shape.begin(), e.shape.end(), 0) != e.shape.end();
    if (empty)
      bytes = 0;
    for (int64_t s : e.shape)
      if (!empty && __builtin_mul_overflow(bytes, s, &bytes))
        return fail(Msg::A617, name);
    if (begin > end || end > dataBytes)
      return fail(Msg::A618, name);
    if (end - begin != bytes)
      return fail(Msg::A619, name, bytes, end - begin);
    HostTensor t;
    if (!HostTensor::allocate(kind->dtype, e.shape, t))
      return error.report(Msg::A800, fmt::format("tensor `{}` of {}", name, path));
    if (fseeko(f.get(), static_cast<off_t>(8 + static_cast<int64_t>(length) + begin), SEEK_SET) != 0)
      return fail(Msg::A600, std::strerror(errno));
    bool direct = kind->size == dtypeSize(kind->dtype) && kind->isSigned;
    std::string raw(direct ? 0 : static_cast<size_t>(bytes), '\0');
    char *to = direct ? static_cast<char *>(t.data) : raw.data();
    if (std::fread(to, 1, static_cast<size_t>(bytes), f.get()) != static_cast<size_t>(bytes))
      return fail(Msg::A618, name);
    if (kind->dtype == DType::Bool)
      for (int64_t i = 0; i < bytes; ++i)
        to[i] = to[i] != 0;
    if (!direct)
      for (int64_t i = 0; i < t.count(); ++i) {
        int64_t v = narrowInt(raw.data() + i * static_cast<int64_t>(kind->size), kind->size, kind->isSigned);
        if (kind->size == 8 && v < 0)
          return fail(Msg::A614);
        t.setInt(i, v);
      }
    tensors.emplace(name, std::move(t));
  }
  out = std::move(tensors);
  return true;
}

bool writeSafetensors(const std::string &path, const std::map<std::string, HostTensor> &tensors, Error &error) {
  std::string header = "{";
  int64_t offset = 0;
  for (auto &[name, t] : tensors) {
    header += header.size() > 1 ? "," : "";
    writeJsonString(header, name);
    std::string shape;
    for (int64_t s : t.shape)
      shape += fmt::format("{}{}", shape.empty() ? "" : ",", s);
    int64_t end = offset + t.count() * static_cast<int64_t>(dtypeSize(t.dtype));
    header += fmt::format(":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          kKnown[static_cast<int>(t.dtype)].name, shape, offset, end);
    offset = end;
  }
  header += '}';
  header.append((8 - header.size() % 8) % 8, ' ');
  return writeFileAtomically(
      path,
      [&](std::FILE *f) {
        std::string lead;
        for (int i = 0; i < 8; ++i)
          lead += static_cast<char>(header.size() >> (8 * i) & 255);
        if (std::fwrite(lead.data(), 1, 8, f) != 8 || std::fwrite(header.data(), 1, header.size(), f) != header.size())
          return false;
        for (auto &[name, t] : tensors)
          if (!writeElements(t, t.dtype, f))
            return false;
        return true;
      },
      error);
}

} // namespace attnc
