//===- NumPy's .npy files -------------------------------------------------===//
//
// A file is a magic, a version, a header length, a Python dict literal with three known keys, and the elements. The
// header is read by a scanner for just that dict; every number in it is checked against the size of the file before
// memory is asked for.
//===----------------------------------------------------------------------===//
#include "runtime/Npy.h"
#include "runtime/File.h"
#include "runtime/HeaderScanner.h"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace attnc {

namespace {
constexpr size_t kMaxHeader = 1 << 20;

struct Header {
  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;
};

class DictReader : HeaderScanner {
public:
  using HeaderScanner::HeaderScanner;
  bool read(Header &h) {
    if (!accept('{'))
      return false;
    bool descr = false, fortran = false, shape = false;
    while (!accept('}')) {
      std::string key;
      if (!string(key) || !accept(':'))
        return false;
      bool ok = key == "descr"           ? !descr && string(h.descr) && (descr = true)
                : key == "fortran_order" ? !fortran && boolean(h.fortran) && (fortran = true)
                : key == "shape"         ? !shape && tuple(h.shape) && (shape = true)
                                         : false;
      if (!ok)
        return false;
      if (!accept(',') && peek() != '}')
        return false;
    }
    return descr && fortran && shape && peek() == '\0';
  }

private:
  bool string(std::string &out) {
    char quote = peek();
    if (quote != '\'' && quote != '"')
      return false;
    size_t end = s_.find(quote, at_ + 1);
    if (end == std::string_view::npos)
      return false;
    out = s_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }
  bool boolean(bool &out) {
    peek();
    for (bool value : {false, true}) {
      std::string_view word = value ? "True" : "False";
      if (s_.substr(at_, word.size()) == word) {
        at_ += word.size();
        out = value;
        return true;
      }
    }
    return false;
  }
  bool tuple(std::vector<int64_t> &out) {
    if (!accept('('))
      return false;
    while (!accept(')')) {
      if (!extent(out))
        return false;
      if (at_ < s_.size() && s_[at_] == 'L') // Python 2 wrote long integers so
        ++at_;
      if (!accept(',') && peek() != ')')
        return false;
    }
    return true;
  }
};

template <typename From, typename To> bool widen(const std::string &raw, HostTensor &out, int64_t count) {
  To *to = static_cast<To *>(out.data);
  for (int64_t i = 0; i < count; ++i) {
    From v;
    std::memcpy(&v, raw.data() + i * static_cast<int64_t>(sizeof(From)), sizeof(From));
    to[i] = static_cast<To>(v);
    if (sizeof(From) == sizeof(To) && to[i] < 0) // u8 that i64 cannot hold
      return false;
  }
  return true;
}

bool isLittleEndianHost() {
  uint16_t one = 1;
  char first;
  std::memcpy(&first, &one, 1);
  return first == 1;
}

/// An element type of the format, and how it is held here.
struct NpyType {
  const char *code;
  size_t size;
  DType dtype;
  bool (*widen)(const std::string &, HostTensor &, int64_t);
};
const NpyType kNpyTypes[] = {{"f2", 2, DType::F16, nullptr},
                             {"f4", 4, DType::F32, nullptr},
                             {"f8", 8, DType::F64, nullptr},
                             {"i4", 4, DType::I32, nullptr},
                             {"i8", 8, DType::I64, nullptr},
                             {"b1", 1, DType::Bool, nullptr},
                             {"i1", 1, DType::I32, widen<int8_t, int32_t>},
                             {"i2", 2, DType::I32, widen<int16_t, int32_t>},
                             {"u1", 1, DType::I32, widen<uint8_t, int32_t>},
                             {"u2", 2, DType::I32, widen<uint16_t, int32_t>},
                             {"u4", 4, DType::I64, widen<uint32_t, int64_t>},
                             {"u8", 8, DType::I64, widen<uint64_t, int64_t>}};

/// Reads up to the data; `begin` is where that starts.
bool readHeader(std::FILE *f, const std::string &path, Header &h, int64_t &begin, Error &error) {
  auto fail = [&](Msg id, const auto &...args) { return error.report(id, path, args...); };
  unsigned char lead[12] = {};
  if (std::fread(lead, 1, 8, f) != 8 || std::memcmp(lead, "\x93NUMPY", 6) != 0) {
    fail(Msg::A604, ".npy");
    if (std::memcmp(lead, "PK\3\4", 4) == 0)
      error.withHelp("it is an archive, as numpy.savez makes: use numpy.save for each array");
    return false;
  }
  int version = lead[6];
  if (version < 1 || version > 3)
    return fail(Msg::A605, version);
  size_t lengthBytes = version == 1 ? 2 : 4, length = 0;
  if (std::fread(lead + 8, 1, lengthBytes, f) != lengthBytes)
    return fail(Msg::A606);
  for (size_t i = lengthBytes; i-- > 0;)
    length = length << 8 | lead[8 + i];
  if (length > kMaxHeader)
    return fail(Msg::A607, length, kMaxHeader);
  std::string text(length, '\0');
  if (std::fread(text.data(), 1, length, f) != length)
    return fail(Msg::A606);
  if (!DictReader(text).read(h))
    return fail(text.find("'descr': [") != std::string::npos ? Msg::A609 : Msg::A608);
  begin = static_cast<int64_t>(8 + lengthBytes + length);
  return true;
}
} // namespace

bool readNpy(const std::string &path, HostTensor &out, Error &error) {
  auto fail = [&](Msg id, const auto &...args) { return error.report(id, path, args...); };
  int64_t size = -1, begin = 0;
  FileHandle f = openToRead(path, size, error);
  Header h;
  if (!f || !readHeader(f.get(), path, h, begin, error))
    return false;
  std::string_view descr = h.descr;
  char order = '|';
  if (!descr.empty() && std::string_view("<>=|").find(descr[0]) != std::string_view::npos) {
    order = descr[0];
    descr.remove_prefix(1);
  }
  const NpyType *kind =
      std::find_if(std::begin(kNpyTypes), std::end(kNpyTypes), [&](const NpyType &k) { return descr == k.code; });
  if (kind == std::end(kNpyTypes)) {
    fail(Msg::A610, h.descr);
    if (descr == "V2")
      error.withHelp(".npy has no bf16: save such tensors as .safetensors, or as float32");
    return false;
  }

  bool empty = std::find(h.shape.begin(), h.shape.end(), 0) != h.shape.end();
  int64_t count = empty ? 0 : 1, bytes = 0;
  for (int64_t s : h.shape)
    if (!empty && __builtin_mul_overflow(count, s, &count))
      return fail(Msg::A611);
  if (__builtin_mul_overflow(count, static_cast<int64_t>(kind->size), &bytes))
    return fail(Msg::A611);
  if (size >= 0) {
    if (size - begin < bytes)
      return fail(Msg::A612, bytes, size - begin);
  }
  HostTensor t;
  if (!HostTensor::allocate(kind->dtype, h.shape, t))
    return error.report(Msg::A800, fmt::format("the {} elements of {}", count, path));
  std::string raw;
  if (kind->widen)
    raw.resize(static_cast<size_t>(bytes));
  char *to = kind->widen ? raw.data() : static_cast<char *>(t.data);
  if (std::fread(to, 1, static_cast<size_t>(bytes), f.get()) != static_cast<size_t>(bytes))
    return fail(Msg::A613);
  if (kind->size > 1 && order != '|' && order != '=' && (order == '<') != isLittleEndianHost())
    for (int64_t i = 0; i < count; ++i)
      std::reverse(to + i * static_cast<int64_t>(kind->size), to + (i + 1) * static_cast<int64_t>(kind->size));
  if (kind->widen && !kind->widen(raw, t, count))
    return fail(Msg::A614);
  if (kind->dtype == DType::Bool)
    for (int64_t i = 0; i < count; ++i)
      to[i] = to[i] != 0;
  if (h.fortran && !empty) {
    // The same bytes, first axis fastest.
    int64_t stride = 1;
    for (size_t i = 0; i < t.shape.size(); ++i) {
      t.strides[i] = stride;
      stride *= t.shape[i];
    }
  }
  out = std::move(t);
  return true;
}

bool writeNpy(const std::string &path, const HostTensor &tensor, Error &error) {
  static const char *codes[] = {"<f4", "<f2", "<f4", "<f8", "<i4", "<i8", "|b1"};
  std::string shape;
  for (int64_t s : tensor.shape)
    shape += fmt::format("{}, ", s);
  if (tensor.shape.size() > 1)
    shape.resize(shape.size() - 2);
  else if (!shape.empty())
    shape.pop_back(); // "(3,)"
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   codes[static_cast<int>(tensor.dtype)], shape);
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  return writeFileAtomically(
      path,
      [&](std::FILE *f) {
        std::string lead("\x93NUMPY\x01\x00", 8);
        lead += static_cast<char>(header.size() & 255);
        lead += static_cast<char>(header.size() >> 8);
        if (std::fwrite(lead.data(), 1, lead.size(), f) != lead.size() ||
            std::fwrite(header.data(), 1, header.size(), f) != header.size())
          return false;
        DType to = tensor.dtype == DType::BF16 ? DType::F32 : tensor.dtype;
        return writeElements(tensor, to, f);
      },
      error);
}

} // namespace attnc
