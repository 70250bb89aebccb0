//===- Strongly connected components --------------------------------------===//
#ifndef ATTNC_RUNTIME_COMPONENTS_H
#define ATTNC_RUNTIME_COMPONENTS_H

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <vector>

namespace attnc {

/// The strongly connected components of the graph that `next(node)` spans over `nodes`, each sorted; one that leads to
/// another comes after it. Tarjan 1972, "Depth-first search and linear graph algorithms", with the calls kept by hand:
/// graphs are deep after differentiation.
template <typename Nodes, typename Next> std::vector<std::vector<int>> components(const Nodes &nodes, Next next) {
  struct State {
    int index, low;
    bool open;
  };
  struct Call {
    int node;
    decltype(next(0)) successors;
    size_t at;
  };
  std::unordered_map<int, State> states;
  std::vector<int> open;
  std::vector<Call> calls;
  std::vector<std::vector<int>> result;
  auto enter = [&](int node) {
    int index = static_cast<int>(states.size());
    states[node] = {index, index, true};
    open.push_back(node);
    calls.push_back({node, next(node), 0});
  };
  for (int root : nodes) {
    if (states.count(root))
      continue;
    enter(root);
    while (!calls.empty()) {
      Call &call = calls.back();
      State &state = states[call.node];
      if (call.at < call.successors.size()) {
        int to = call.successors[call.at++];
        if (auto known = states.find(to); known == states.end())
          enter(to);
        else if (known->second.open)
          state.low = std::min(state.low, known->second.index);
        continue;
      }
      if (state.low == state.index) {
        auto begin = std::prev(std::find(open.rbegin(), open.rend(), call.node).base());
        std::vector<int> members(begin, open.end());
        open.erase(begin, open.end());
        for (int member : members)
          states[member].open = false;
        std::sort(members.begin(), members.end());
        result.push_back(std::move(members));
      }
      int low = state.low;
      calls.pop_back();
      if (!calls.empty()) {
        State &caller = states[calls.back().node];
        caller.low = std::min(caller.low, low);
      }
    }
  }
  return result;
}

} // namespace attnc

#endif
