// What compiled code and the cache rely on: sorting rules, fixed pieces, signatures and entries that survive the disk.
#include "runtime/Blob.h"
#include "runtime/Cache.h"
#include "runtime/CacheBytes.h"
#include "runtime/CacheSignature.h"
#include "runtime/Helpers.h"
#include "runtime/KernelImage.h"
#include "runtime/Threads.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <set>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace attnc;

static int failures = 0;
#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                   \
      ++failures;                                                                                                      \
    }                                                                                                                  \
  } while (0)

using Positions = std::vector<int64_t>;

static Positions sorted(std::vector<float> keys, int64_t count, int64_t flags, std::vector<uint8_t> valid = {}) {
  Positions out(size_t(count), -1);
  sortRow(keys.data(), 1, 0, valid.empty() ? nullptr : valid.data(), 1, int64_t(keys.size()), out.data(), 1, count,
          flags);
  return out;
}

static void sorting() {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  // argsort: ascending, stable, NaN after inf, -0 equal to 0.
  CHECK((sorted({3, nan, 1, inf, 1, -inf}, 6, 0) == Positions{5, 2, 4, 0, 3, 1}));
  CHECK((sorted({0.f, -0.f, 0.f}, 3, 0) == Positions{0, 1, 2}));
  // topk: best first, ties to the smaller position, NaN never chosen, -inf may be; 0 past the valid ones.
  CHECK((sorted({1, nan, 2, 2, -inf}, 5, 3) == Positions{2, 3, 0, 4, 0}));
  CHECK((sorted({1, 5, 2, 4}, 2, 3) == Positions{1, 3}));
  CHECK((sorted({1, 5, 2, 4}, 3, 3, {1, 0, 1, 0}) == Positions{2, 0, 0}));
  CHECK((sorted({nan, nan}, 2, 1) == Positions{0, 1}));
  CHECK(sorted({}, 2, 0) == (Positions{0, 0}));
  // More than fits the stack, i64 keys, strides.
  const int64_t n = 5000;
  std::vector<int64_t> keys(size_t(2 * n)), out(size_t(3 * n), -1);
  for (int64_t i = 0; i < n; ++i)
    keys[size_t(2 * i)] = (i * 7919) % 1000 - 500;
  keys[0] = INT64_MIN;
  sortRow(keys.data(), 2, 2, nullptr, 0, n, out.data(), 3, n, 1);
  for (int64_t r = 1; r < n; ++r) {
    int64_t a = out[size_t(3 * (r - 1))], b = out[size_t(3 * r)], ka = keys[size_t(2 * a)], kb = keys[size_t(2 * b)];
    CHECK(ka > kb || (ka == kb && a < b));
  }
  CHECK(out[size_t(3 * (n - 1))] == 0 && out[1] == -1);
}

static void countPiece(const KernelContext *ctx, int64_t begin, int64_t end, char *scratch, int64_t) {
  auto *seen = reinterpret_cast<std::atomic<int> *>(ctx->workspace);
  for (int64_t i = begin; i < end; ++i)
    ++seen[i];
  scratch[99] = 1;
  volatile double x = 0; // long enough for oneTBB to be started
  for (int i = 0; i < 20000; ++i)
    x = x + i;
}

static void loops() {
  for (int threads : {1, 4})
    for (int64_t count : {0, 1, 7, 1000}) {
      ThreadPool pool(threads);
      std::vector<std::atomic<int>> seen(size_t(count) + 1);
      RunState state;
      state.pool = &pool;
      state.scratchLimit = 1000;
      KernelContext ctx = {nullptr, nullptr, reinterpret_cast<char *>(seen.data()), &kernelHelpers(), &state};
      kernelParallelFor(&ctx, count, 3, 100, countPiece, 0);
      for (int64_t i = 0; i < count; ++i)
        CHECK(seen[size_t(i)] == 1);
      CHECK(state.scratchRefused == 0);
      kernelParallelFor(&ctx, 1, 1, 2000, countPiece, 0);
      CHECK(state.scratchRefused == 2000 && seen[0] <= 1);
    }
}

static void signatures() {
  Signature s;
  s.mixer = "m";
  s.symbols = {{"b", false}, {"d", true}};
  Argument a;
  a.name = "x";
  a.dtype = DType::BF16;
  Dim d;
  d.text = "(b r)";
  d.axes = {"b", "r"};
  d.radix = {extentSymbol(0), extentConst(4)};
  d.length = extentMake(ExtentOp::Mul, {extentSymbol(0), extentConst(4)});
  a.dims = {d};
  s.inputs = {a};
  s.requirements = {{extentMake(ExtentOp::Le, {extentConst(1), extentSymbol(1)}), "say"}};
  Param p;
  p.name = "p";
  p.kind = Param::Real;
  p.real = 0.1;
  s.params = {p};
  std::string bytes = serializeSignature(s);
  Signature back;
  CHECK(parseSignature(bytes, back));
  CHECK(serializeSignature(back) == bytes);
  CHECK(back.inputs[0].dtype == DType::BF16 && extentEqual(back.inputs[0].dims[0].length, d.length));
  for (size_t n = 0; n < bytes.size(); ++n)
    CHECK(!parseSignature(bytes.substr(0, n), back));
}

static std::string folder(const char *name) {
  std::string path = std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp") + "/attnc-test-XXXXXX";
  if (!mkdtemp(path.data()))
    std::exit(1);
  return path + "/" + name;
}

static void cache() {
  KernelCache cache(folder("deep/cache"), 10000);
  std::string key = CacheKey().add("a").add("b").finish(), payload;
  CHECK(key != CacheKey().add("ab").finish());
  CHECK(!cache.read('K', key, payload));
  cache.write('K', key, "content");
  CHECK(cache.read('K', key, payload) && payload == "content");
  CHECK(!cache.read('M', key, payload));
  // Filed under a wrong name, cut, or writable by others: missing.
  std::string other = CacheKey().add("other").finish(), path = cache.directory() + "/" + key + ".K";
  std::ofstream(cache.directory() + "/" + other + ".K", std::ios::binary)
      << std::ifstream(path, std::ios::binary).rdbuf();
  CHECK(std::system(("chmod 600 " + cache.directory() + "/*").c_str()) == 0);
  CHECK(!cache.read('K', other, payload));
  CHECK(std::system(("chmod 666 " + path).c_str()) == 0);
  CHECK(!cache.read('K', key, payload));
  cache.write('K', key, "content");
  CHECK(cache.read('K', key, payload));
  CHECK(std::system(("truncate -s 50 " + path).c_str()) == 0);
  CHECK(!cache.read('K', key, payload));
  // Oldest go first; what is not the cache's own stays.
  std::ofstream(cache.directory() + "/mine.txt") << "keep";
  for (int i = 0; i < 30; ++i)
    cache.write('K', CacheKey().add(int64_t(i)).finish(), std::string(1000, 'x'));
  CHECK(!cache.read('K', CacheKey().add(int64_t(0)).finish(), payload));
  CHECK(cache.read('K', CacheKey().add(int64_t(29)).finish(), payload));
  CHECK(std::ifstream(cache.directory() + "/mine.txt").good());
  // Writers at once: every read gives a whole entry.
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        std::string got;
        cache.write('S', key, std::string(500, char('a' + t)));
        if (cache.read('S', key, got))
          wrong += got.size() != 500 || std::set<char>(got.begin(), got.end()).size() != 1;
      }
    });
  for (std::thread &t : threads)
    t.join();
  CHECK(wrong == 0);
  CHECK(std::system(("rm -r " + cache.directory()).c_str()) == 0);
}

static void blobs() {
  KernelBlob blob, back;
  blob.image = std::string(100, '\xc3');
  blob.workspaceBytes = 10;
  blob.run = 20;
  blob.features = {"avx2"};
  blob.buffers = {{"s", "N * N * 4"}};
  std::string bytes = serializeBlob(blob);
  Error error;
  CHECK(parseBlob(bytes, back, error) && back.image == blob.image && back.run == 20 && back.buffers[0].name == "s");
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::string broken = bytes;
    broken[n] = char(broken[n] ^ 4);
    CHECK(!parseBlob(broken, back, error) && !parseBlob(bytes.substr(0, n), back, error));
  }
}

/// What is said of a kernel that cannot be loaded.
static std::string refused(const KernelBlob &blob) {
  Error error;
  return KernelImage::load(blob, error) ? "" : error.render();
}

static void images() {
  KernelBlob blob;
  blob.image = std::string(100, '\xc3');
  blob.workspaceBytes = 10;
  blob.run = 20;
  CHECK(refused(blob).empty());
  blob.arch = "x86-64-v9";
  blob.features = {"avx1024"};
  CHECK(refused(blob) == "attnc: error[A808]: the kernel was compiled for x86-64-v9, but this CPU has no avx1024\n");
  blob.features = {};
  blob.run = 100;
  CHECK(refused(blob) == "attnc: error[A806]: the kernel is cut short or damaged\n");

  std::string_view payload;
  Error error;
  CHECK(!unsealBytes('P', "garbage", payload, error));
  CHECK(error.render() == "attnc: error[A805]: this is no kernel of attnc\n");
  std::string sealed = sealBytes('P', "payload");
  CHECK(unsealBytes('P', sealed, payload, error) && payload == "payload");
  CHECK(!unsealBytes('K', sealed, payload, error) && *error.id == Msg::A805);
  CHECK(!unsealBytes('P', sealed.substr(0, 90), payload, error) && *error.id == Msg::A806);
  // An interface of another number, under a checksum that fits.
  std::string body = sealed.substr(8 + 64);
  body[1] = char(body[1] + 1);
  std::string other = sealed.substr(0, 8) + sha256(body) + body;
  CHECK(!unsealBytes('P', other, payload, error));
  CHECK(error.render().find("error[A807]: the kernel was made for kernel interface ") != std::string::npos);

  // No memory: in a process of its own, whose limit is below what the code needs.
  blob.run = 20;
  blob.image.resize(size_t(64) << 20, '\xc3');
  pid_t child = fork();
  if (child == 0) {
    rlimit limit = {size_t(32) << 20, size_t(32) << 20};
    setrlimit(RLIMIT_AS, &limit);
    Error none;
    bool loaded = KernelImage::load(blob, none) != nullptr;
    _exit(!loaded && none.id == Msg::A800 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
#ifdef PR_SET_MDWE
  // Memory that may not become executable, where the system knows how to refuse it.
  child = fork();
  if (child == 0) {
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0)
      CHECK(refused(blob).find("error[A809]: the system does not let memory become executable") != std::string::npos);
    _exit(failures != 0);
  }
  waitpid(child, &status, 0);
  CHECK(status == 0);
#endif
}

int main() {
  sorting();
  loops();
  signatures();
  cache();
  blobs();
  images();
  return failures != 0;
}
