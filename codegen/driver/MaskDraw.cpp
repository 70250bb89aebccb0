//===- Masks as pictures --------------------------------------------------===//
#include "codegen/driver/MaskDraw.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <fmt/format.h>

using namespace mlir;

namespace attnc {

namespace {

// The text has at most so many cells; a cell of a terminal is twice as high as wide.
constexpr int64_t kColumns = 64, kLines = 32;
// The SVG, in pixels.
constexpr double kWidth = 640, kLeft = 40, kTop = 64, kBottom = 24;
constexpr size_t kMostShapes = 100000;

const char *const kWhole = "#2b6cb0", *const kKept = "#63a4e0", *const kMasked = "#cfe4f7", *const kEmpty = "#f4f4f2";

int64_t ceilDiv(int64_t n, int64_t d) { return (n + d - 1) / d; }

std::string percent(double part, double all) { return fmt::format("{:.3g} %", all > 0 ? 100 * part / all : 0); }

double allOf(const MaskPlan &plan) { return double(plan.rows) * double(plan.keys); }

std::string named(const std::string &name, int64_t n) {
  return name.empty() ? std::to_string(n) : fmt::format("{} ({})", name, n);
}

std::string headOf(const MaskPlan &plan, int kernel) {
  std::string text = fmt::format("kernel {}", kernel);
  if (plan.line)
    text += fmt::format(", line {}", plan.line);
  return text + fmt::format(": {} down, {} across, blocks of {} x {}", named(plan.rowName, plan.rows),
                            named(plan.keyName, plan.keys), plan.blockRows, plan.blockKeys);
}

std::string countsOf(const MaskPlan &plan, const MaskData &data) {
  double all = allOf(plan);
  std::string text = fmt::format("visits {} of the positions, evaluates the mask at {}", percent(plan.visited(), all),
                                 percent(plan.visited() - plan.whole(), all));
  text +=
      plan.keptKnown ? fmt::format("; it keeps {}", percent(plan.keptCount(), all)) : "; what it keeps was not counted";
  if (plan.instances > 1)
    text += fmt::format(" (instance {} of {})", data.instance % plan.instances, plan.instances);
  return text;
}

/// One character per cell: what is visited whole, visited with the mask, or not at all.
std::string cellsOf(const MaskPlan &plan) {
  int64_t rows = std::max<int64_t>(1, ceilDiv(plan.rows, kLines)),
          keys = std::max<int64_t>(1, ceilDiv(plan.keys, kColumns));
  int64_t lines = ceilDiv(plan.rows, rows), columns = ceilDiv(plan.keys, keys);
  std::vector<double> visited(size_t(lines * columns)), masked(visited);
  auto overlap = [](int64_t a, int64_t b, int64_t c, int64_t d) {
    return std::max<int64_t>(0, std::min(b, d) - std::max(a, c));
  };
  for (const MaskPlan::Span &s : plan.spans)
    for (int64_t y = s.row / rows; y < lines && y * rows < s.rowEnd; ++y)
      for (int64_t x = s.key / keys; x < columns && x * keys < s.keyEnd; ++x) {
        double n = double(overlap(s.row, s.rowEnd, y * rows, (y + 1) * rows)) *
                   double(overlap(s.key, s.keyEnd, x * keys, (x + 1) * keys));
        visited[size_t(y * columns + x)] += n;
        masked[size_t(y * columns + x)] += s.masked ? n : 0;
      }
  std::string text;
  for (int64_t y = 0; y < lines; ++y) {
    text += "  ";
    for (int64_t x = 0; x < columns; ++x) {
      size_t at = size_t(y * columns + x);
      double size = double(overlap(0, plan.rows, y * rows, (y + 1) * rows)) *
                    double(overlap(0, plan.keys, x * keys, (x + 1) * keys));
      text += visited[at] == 0 ? "·" : masked[at] == 0 && visited[at] >= size ? "█" : "▒";
    }
    text += "\n";
  }
  return text +
         fmt::format("  a cell: {} x {}; █ visited whole, ▒ in part or with the mask, · not at all\n", rows, keys);
}

std::string escaped(const std::string &text) {
  std::string out;
  for (char c : text)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

/// A picture below `top`; its height.
double svgOf(const MaskPlan &plan, int kernel, const MaskData &data, double top, std::string &out) {
  double scale = (kWidth - kLeft - 8) / double(std::max<int64_t>(1, std::max(plan.keys, plan.rows)));
  auto text = [&](double x, double y, const std::string &what) {
    out += fmt::format("<text x=\"{:.6g}\" y=\"{:.6g}\">{}</text>\n", x, y, escaped(what));
  };
  auto rect = [&](int64_t row, int64_t rowEnd, int64_t key, int64_t keyEnd, const char *fill) {
    out += fmt::format("<rect x=\"{:.6g}\" y=\"{:.6g}\" width=\"{:.6g}\" height=\"{:.6g}\" fill=\"{}\"/>\n",
                       kLeft + double(key) * scale, top + kTop + double(row) * scale, double(keyEnd - key) * scale,
                       double(rowEnd - row) * scale, fill);
  };
  text(8, top + 16, headOf(plan, kernel));
  text(8, top + 32, countsOf(plan, data));
  // Legend.
  double x = 8;
  for (auto [fill, what] : {std::pair(kWhole, "visited whole"), std::pair(kKept, "kept by the mask"),
                            std::pair(kMasked, "visited, left out"), std::pair(kEmpty, "not visited")}) {
    out += fmt::format("<rect x=\"{:.6g}\" y=\"{:.6g}\" width=\"10\" height=\"10\" fill=\"{}\" stroke=\"#999\"/>\n", x,
                       top + 40, fill);
    text(x + 14, top + 49, what);
    x += 130;
  }
  rect(0, plan.rows, 0, plan.keys, kEmpty);
  if (plan.spans.size() + plan.kept.size() > kMostShapes) {
    text(kLeft, top + kTop + 20, "too many shapes to draw: take smaller sizes");
  } else {
    for (const MaskPlan::Span &s : plan.spans)
      rect(s.row, s.rowEnd, s.key, s.keyEnd, s.masked ? kMasked : kWhole);
    for (const MaskPlan::Run &r : plan.kept)
      rect(r.row, r.row + 1, r.key, r.keyEnd, kKept);
  }
  return kTop + double(plan.rows) * scale + kBottom;
}

llvm::json::Value jsonOf(const MaskPlan &plan, int kernel, const MaskData &data) {
  double all = std::max(1.0, allOf(plan));
  auto share = [&](bool known, double n) { return known ? llvm::json::Value(n / all) : llvm::json::Value(nullptr); };
  llvm::json::Array spans;
  for (const MaskPlan::Span &s : plan.spans)
    spans.push_back(llvm::json::Object{{"rows", llvm::json::Array{s.row, s.rowEnd}},
                                       {"keys", llvm::json::Array{s.key, s.keyEnd}},
                                       {"masked", s.masked}});
  return llvm::json::Object{{"kernel", kernel},
                            {"line", plan.line ? llvm::json::Value(plan.line) : llvm::json::Value(nullptr)},
                            {"rows", plan.rows},
                            {"keys", plan.keys},
                            {"row_axis", plan.rowName},
                            {"key_axis", plan.keyName},
                            {"block_rows", plan.blockRows},
                            {"block_keys", plan.blockKeys},
                            {"instances", plan.instances},
                            {"instance", plan.instances ? data.instance % plan.instances : 0},
                            {"planned", plan.planned},
                            {"visited", share(plan.known, plan.visited())},
                            {"whole", share(plan.known, plan.whole())},
                            {"kept", share(plan.keptKnown, plan.keptCount())},
                            {"spans", std::move(spans)}};
}

} // namespace

MaskDrawing drawMasks(ModuleOp module, const Signature &signature, const std::vector<int64_t> &symbols,
                      const MaskData &data) {
  MaskDrawing drawing;
  llvm::json::Array masks;
  std::string shapes;
  double height = 8;
  int number = 0;
  module.walk([&](tile::KernelOp kernel) {
    int k = number++;
    std::optional<MaskPlan> plan = planOf(kernel, signature, symbols, data);
    if (!plan)
      return;
    masks.push_back(jsonOf(*plan, k, data));
    drawing.text += headOf(*plan, k) + "\n";
    if (!plan->known)
      drawing.text += "  what is visited depends on values that the kernel computes, or is too much to follow\n";
    else if (!plan->planned)
      drawing.text += "  no mask decides about blocks: all positions are visited\n";
    else
      drawing.text += fmt::format("  {}\n{}", countsOf(*plan, data), cellsOf(*plan));
    if (plan->known)
      height += svgOf(*plan, k, data, height, shapes);
  });
  if (masks.empty())
    drawing.text = "no kernel goes through keys block by block: there is no plan to draw\n";
  drawing.svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.6g}\" height=\"{1:.6g}\" "
                            "viewBox=\"0 0 {0:.6g} {1:.6g}\" font-family=\"sans-serif\" font-size=\"11\">\n"
                            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{2}</svg>\n",
                            kWidth, height, shapes);
  llvm::raw_string_ostream os(drawing.json);
  os << llvm::json::Value(llvm::json::Object{{"mixer", signature.mixer}, {"masks", std::move(masks)}});
  return drawing;
}

} // namespace attnc
