//===- How fast sums of products run --------------------------------------===//
//
// A table of contractions, each run through the C interface on one thread and held against the peak of independent FMAs
// in registers. Time is processor time of the thread, and every call is followed by a measurement of the peak, so that
// neither other processes nor a changing clock frequency show in the ratio. Rows below the floor are marked.
//
//   bench-contraction [--floor PERCENT] [TEXT]      only rows that contain TEXT, say "step 16"
//
// The floor is for sizes of 512 and up; rows named "small" are smaller on purpose.
//===----------------------------------------------------------------------===//
#include "attnc/attnc.h"
#include "tools/attnc/Peak.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace {

struct Row {
  const char *name;
  const char *inputs, *output, *body;
  std::map<std::string, int64_t> sizes;
  std::string product;       ///< axes whose extents multiply to the number of multiplications
  int64_t step = 1;          ///< elements from one element of an input to its neighbour in memory
  const char *dtype = "f32"; ///< of inputs without a declared one
};

using Sizes = std::map<std::string, int64_t>;

Sizes cube(int64_t n) { return {{"i", n}, {"j", n}, {"k", n}}; }

std::vector<Row> table() {
  std::vector<Row> rows;
  const char *product = "C = sum[k](A * B)";
  for (int64_t n : {256, 512, 1024, 1536})
    rows.push_back({n < 512 ? "small plain" : "plain", "A: [i, k], B: [k, j]", "C: [i, j]", product, cube(n), "ijk"});
  rows.push_back({"odd", "A: [i, k], B: [k, j]", "C: [i, j]", product, {{"i", 509}, {"j", 513}, {"k", 511}}, "ijk"});
  rows.push_back({"odd", "A: [i, k], B: [k, j]", "C: [i, j]", product, {{"i", 1021}, {"j", 1031}, {"k", 1033}}, "ijk"});
  const char *layouts[][3] = {
      {"ik kj -> ji", "A: [i, k], B: [k, j]", "C: [j, i]"}, {"ik jk -> ij", "A: [i, k], B: [j, k]", "C: [i, j]"},
      {"ik jk -> ji", "A: [i, k], B: [j, k]", "C: [j, i]"}, {"ki kj -> ij", "A: [k, i], B: [k, j]", "C: [i, j]"},
      {"ki kj -> ji", "A: [k, i], B: [k, j]", "C: [j, i]"}, {"ki jk -> ij", "A: [k, i], B: [j, k]", "C: [i, j]"},
      {"ki jk -> ji", "A: [k, i], B: [j, k]", "C: [j, i]"}};
  for (int64_t n : {512, 1024})
    for (auto &l : layouts)
      rows.push_back({l[0], l[1], l[2], product, cube(n), "ijk"});
  for (int64_t step : {2, 3, 4, 8, 16})
    for (int64_t n : {512, 1024})
      for (auto &l :
           {std::pair("A: [i, k], B: [k, j]", "strided ik kj"), std::pair("A: [k, i], B: [j, k]", "strided ki jk")})
        rows.push_back({l.second, l.first, "C: [i, j]", product, cube(n), "ijk", step});
  for (const char *dtype : {"bf16", "f16"}) {
    rows.push_back({"plain", "A: [i, k], B: [k, j]", "C: [i, j]", product, cube(512), "ijk", 1, dtype});
    rows.push_back({"plain", "A: [i, k], B: [k, j]", "C: [i, j]", product, cube(1024), "ijk", 1, dtype});
    rows.push_back({"ki jk -> ij", "A: [k, i], B: [j, k]", "C: [i, j]", product, cube(512), "ijk", 1, dtype});
    rows.push_back({"strided ik kj", "A: [i, k], B: [k, j]", "C: [i, j]", product, cube(512), "ijk", 2, dtype});
  }
  Sizes four = cube(512);
  four["b"] = 4;
  rows.push_back({"batched", "A: [b, i, k], B: [b, k, j]", "C: [b, i, j]", product, four, "bijk"});
  rows.push_back({"batched, b inside", "A: [i, b, k], B: [k, b, j]", "C: [i, b, j]", product, four, "bijk"});
  rows.push_back({"batched, b last", "A: [i, k, b], B: [k, j, b]", "C: [i, j, b]", product, four, "bijk"});
  rows.push_back({"weights of a batch", "A: [b, i, k], B: [k, j]", "C: [b, i, j]", product, four, "bijk"});
  rows.push_back({"two summed axes",
                  "A: [i, u, k], B: [u, k, j]",
                  "C: [i, j]",
                  "C = sum[u, k](A * B)",
                  {{"i", 512}, {"j", 512}, {"k", 64}, {"u", 16}},
                  "ijku"});
  for (int64_t n : {16, 32, 64, 128}) {
    Sizes s = cube(n);
    s["b"] = 2097152 / (n * n * n);
    rows.push_back({"small batched", "A: [b, i, k], B: [b, k, j]", "C: [b, i, j]", product, s, "bijk"});
  }

  Sizes picked = cube(512);
  picked["m"] = 700;
  const char *gathers[][3] = {
      {"gathered rows of A", "A: [m, k], B: [k, j], s: i32[i] in m", "C = sum[k](fill(A[m := s], 0) * B)"},
      {"gathered k of B", "A: [i, k], B: [m, j], s: i32[k] in m", "C = sum[k](A * fill(B[m := s], 0))"},
      {"gathered columns of B", "A: [i, k], B: [k, m], s: i32[j] in m", "C = sum[k](A * fill(B[m := s], 0))"},
      {"gathered rows of B'", "A: [i, k], B: [m, k], s: i32[j] in m", "C = sum[k](A * fill(B[m := s], 0))"},
      {"gathered k of A", "A: [i, m], B: [k, j], s: i32[k] in m", "C = sum[k](fill(A[m := s], 0) * B)"}};
  for (auto &g : gathers)
    rows.push_back({g[0], g[1], "C: [i, j]", g[2], picked, "ijk"});

  const char *fused[][3] = {{"exp of A", "A: [i, k], B: [k, j]", "C = sum[k](exp(A) * B)"},
                            {"exp of B", "A: [i, k], B: [k, j]", "C = sum[k](A * exp(B))"},
                            {"scaled k", "A: [i, k], B: [k, j], g: [k]", "C = sum[k](A * g * B)"},
                            {"mask on A", "A: [i, k], B: [k, j]", "C = sum[k](A * B where k <= i)"},
                            {"bias, gelu after", "A: [i, k], B: [k, j], c: [j]", "C = gelu(sum[k](A * B) + c)"},
                            {"silu before and after", "A: [i, k], B: [k, j]", "C = silu(sum[k](silu(A) * B))"},
                            {"gated after", "A: [i, k], B: [k, j], G: [i, j]", "C = sigmoid(G) * sum[k](A * B)"}};
  for (int64_t n : {512, 1024})
    for (auto &f : fused)
      rows.push_back({f[0], f[1], "C: [i, j]", f[2], cube(n), "ijk"});

  Sizes heads{{"h", 4}, {"N", 1024}, {"d", 64}};
  rows.push_back(
      {"scores, d 64", "q: [h, i:N, d], k: [h, j:N, d]", "s: [h, i, j]", "s = sum[d](q * k)", heads, "hNNd"});
  rows.push_back({"scores, d 64, heads inside", "q: [i:N, h, d], k: [j:N, h, d]", "s: [h, i, j]", "s = sum[d](q * k)",
                  heads, "hNNd"});
  rows.push_back(
      {"values, d 64", "p: [h, i:N, j:N], v: [h, j, d]", "o: [h, i, d]", "o = sum[j](p * v)", heads, "hNNd"});
  rows.push_back({"values, d 64, heads inside", "p: [h, i:N, j:N], v: [j, h, d]", "o: [i, h, d]", "o = sum[j](p * v)",
                  heads, "hNNd"});
  return rows;
}

double cpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

void must(attnc_error *error) {
  if (!error)
    return;
  std::fprintf(stderr, "%s\n", attnc_error_message(error));
  std::exit(1);
}

/// A tensor with its memory.
struct Tensor {
  std::vector<int64_t> shape, strides;
  std::vector<char> memory;
  DLTensor view{};

  void make(std::vector<int64_t> extents, DLDataType dtype, int64_t step) {
    shape = std::move(extents);
    strides.assign(shape.size(), step);
    for (size_t d = shape.size(); d-- > 1;)
      strides[d - 1] = strides[d] * shape[d];
    int64_t count = shape.empty() ? step : strides[0] * shape[0];
    memory.assign(count * dtype.bits / 8 + 64, 0);
    auto start = reinterpret_cast<uintptr_t>(memory.data());
    view.data = memory.data() + (64 - start % 64) % 64;
    view.device.device_type = kDLCPU;
    view.ndim = int32_t(shape.size());
    view.dtype = dtype;
    view.shape = shape.data();
    view.strides = strides.data();
  }
  int64_t count() const { return shape.empty() ? 1 : strides[0] * shape[0]; }
};

DLDataType dtypeOf(const std::string &name) {
  DLDataType t{kDLFloat, 32, 1};
  if (name == "bf16")
    t.code = kDLBfloat;
  if (name != "f32")
    t.bits = 16;
  return t;
}

void fillRandom(Tensor &t, int64_t below) {
  std::mt19937 random(1);
  for (int64_t i = 0; i < t.count(); ++i) {
    float x = float(random() % 2001) / 1000 - 1;
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    if (t.view.dtype.code == kDLInt)
      static_cast<int32_t *>(t.view.data)[i] = int32_t(random() % below);
    else if (t.view.dtype.bits == 32)
      static_cast<float *>(t.view.data)[i] = x;
    else if (t.view.dtype.code == kDLBfloat)
      static_cast<uint16_t *>(t.view.data)[i] = uint16_t(bits >> 16);
    else // 0.5 to 1 as f16
      static_cast<uint16_t *>(t.view.data)[i] = uint16_t(0x3800 + random() % 0x400);
  }
}

/// Part of the peak, median over calls.
/// Every element once, in the order of memory, fetched ahead: what any packing of them takes at least.
float readOnce(const Tensor &t, int64_t step) {
  float sums[8] = {};
  const auto *data = static_cast<const float *>(t.view.data);
  int64_t count = 1;
  for (int64_t n : t.shape)
    count *= n;
  for (int64_t i = 0; i + 8 <= count; i += 8)
    for (int64_t lane = 0; lane < 8; ++lane) {
      const float *at = data + (i + lane) * step;
      __builtin_prefetch(at + 2048);
      sums[lane] += *at;
    }
  return std::accumulate(sums, sums + 8, 0.0f);
}

/// Fractions of the peak: of the contraction; of one that would take no longer than reading and multiplying.
struct Measured {
  double rate, bound;
};

Measured measure(attnc_engine *engine, attnc::ThreadPool &pool, const Row &row) {
  std::string text = std::string("mixer bench(") + row.inputs + ") -> (" + row.output + ") {\n  " + row.body + "\n}\n";
  attnc_kernel *kernel = nullptr;
  must(attnc_compile_string(engine, row.name, text.data(), text.size(), nullptr, &kernel));
  // Extents by axis: those of the table, and those of a sequence by its name.
  auto extent = [&](std::string dim) {
    size_t colon = dim.find(':');
    auto it = row.sizes.find(dim);
    if (it == row.sizes.end() && colon != std::string::npos)
      it = row.sizes.find(dim.substr(colon + 1));
    return it == row.sizes.end() ? row.sizes.at("N") : it->second;
  };
  std::vector<Tensor> inputs(attnc_kernel_input_count(kernel));
  std::vector<const DLTensor *> in, out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    attnc_argument a;
    attnc_kernel_input(kernel, i, &a);
    std::vector<int64_t> shape;
    for (int d = 0; d < a.rank; ++d)
      shape.push_back(extent(a.dims[d]));
    inputs[i].make(shape, a.has_dtype ? a.dtype : dtypeOf(row.dtype), row.step);
    fillRandom(inputs[i], *a.index_of ? extent(a.index_of) : 1);
    in.push_back(&inputs[i].view);
  }
  Tensor output;
  std::vector<int64_t> shape(8);
  int32_t rank;
  DLDataType dtype;
  must(attnc_kernel_output_shape(kernel, in.data(), 0, shape.size(), shape.data(), &rank, &dtype));
  shape.resize(rank);
  output.make(shape, dtype, 1);
  out.push_back(&output.view);

  double flops = 2;
  for (char axis : row.product)
    flops *= double(extent(std::string(1, axis)));
  std::vector<double> ratios, bounds;
  volatile float read = 0; // of use to nobody
  double begin = cpuSeconds();
  for (int round = -1; round < 5 || (round < 200 && cpuSeconds() - begin < 0.5); ++round) {
    double start = cpuSeconds();
    must(attnc_kernel_run(kernel, in.data(), out.data(), nullptr));
    double between = cpuSeconds();
    double work = attnc::cli::runPeak(pool, false);
    double end = cpuSeconds();
    double peak = work / (end - between);
    double reading = 0;
    if (row.step > 3) {
      for (const Tensor &t : inputs)
        read = readOnce(t, row.step);
      reading = cpuSeconds() - end;
    }
    if (round >= 0) {
      ratios.push_back(flops / (between - start) / peak);
      bounds.push_back(flops / (flops / peak + reading) / peak);
    }
  }
  attnc_kernel_release(kernel);
  auto median = [](std::vector<double> &v) {
    std::nth_element(v.begin(), v.begin() + v.size() / 2, v.end());
    return v[v.size() / 2];
  };
  return {median(ratios), median(bounds)};
}

} // namespace

int main(int argc, char **argv) {
  double floor = 60;
  const char *text = "";
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--floor") && i + 1 < argc)
      floor = std::atof(argv[++i]);
    else
      text = argv[i];
  }
  attnc_engine_options options{};
  options.size = sizeof options;
  // On this thread: others would not count into its time.
  options.parallel_for = [](void *, int64_t count, void (*body)(void *, int64_t), void *data) {
    for (int64_t i = 0; i < count; ++i)
      body(data, i);
  };
  attnc_engine *engine = nullptr;
  must(attnc_engine_create(&options, &engine));
  attnc::ThreadPool pool(1);
  attnc::cli::runPeak(pool, false);
  int below = 0;
  for (const Row &row : table()) {
    std::string sizes;
    for (auto &[axis, n] : row.sizes)
      sizes += " " + axis + "=" + std::to_string(n);
    char label[80];
    std::snprintf(label, sizeof label, "%-28s%-26s %-4s step %-3d", row.name, sizes.c_str(), row.dtype, int(row.step));
    if (!std::strstr(label, text))
      continue;
    Measured measured = measure(engine, pool, row);
    double percent = 100 * measured.rate;
    bool low = percent < floor && std::strncmp(row.name, "small", 5) != 0;
    below += low;
    std::printf("%s %5.1f %%%s", label, percent, low ? "  <" : "");
    if (row.step > 3)
      std::printf("   (%.0f %% if reading the operands were all that packing takes)", 100 * measured.bound);
    std::printf("\n");
    std::fflush(stdout);
  }
  attnc_engine_release(engine);
  std::printf("%d below %g %% of the peak\n", below, floor);
  return below != 0;
}
