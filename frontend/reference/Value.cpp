#include "frontend/reference/Value.h"
#include <algorithm>

namespace attnc::reference {

static uint64_t key(uint64_t a, uint64_t b) { return a << 32 | b; }

Causes::Causes() { intern({}); }

unsigned Causes::axes(const AxisSet &set) {
  auto [it, fresh] =
      setIndex_.emplace(std::vector<AxisId>(set.begin(), set.end()), static_cast<unsigned>(sets_.size()));
  if (fresh)
    sets_.push_back(set);
  return it->second;
}

CauseList Causes::intern(std::vector<unsigned> sets) {
  std::sort(sets.begin(), sets.end());
  sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
  auto [it, fresh] = listIndex_.emplace(sets, static_cast<CauseList>(lists_.size()));
  if (fresh)
    lists_.push_back(std::move(sets));
  return it->second;
}

CauseList Causes::single(const AxisSet &set) { return intern({axes(set)}); }

CauseList Causes::uniteSlow(CauseList a, CauseList b) {
  auto [it, fresh] = unite_.emplace(key(a, b), 0);
  if (fresh) {
    std::vector<unsigned> sets = lists_[a];
    sets.insert(sets.end(), lists_[b].begin(), lists_[b].end());
    it->second = intern(std::move(sets));
  }
  return it->second;
}

CauseList Causes::join(CauseList list, unsigned set) {
  if (list == 0 || sets_[set].empty())
    return list;
  auto [it, fresh] = join_.emplace(key(list, set), 0);
  if (fresh) {
    std::vector<unsigned> sets;
    for (unsigned s : std::vector<unsigned>(lists_[list]))
      sets.push_back(axes(sets_[s] | sets_[set]));
    it->second = intern(std::move(sets));
  }
  return it->second;
}

CauseList Causes::staying(CauseList list, unsigned set) {
  auto [it, fresh] = staying_.emplace(key(list, set), 0);
  if (fresh) {
    std::vector<unsigned> sets;
    for (unsigned s : lists_[list])
      if (!sets_[s].intersects(sets_[set]))
        sets.push_back(s);
    it->second = intern(std::move(sets));
  }
  return it->second;
}

CauseList Causes::substitute(CauseList list, const Node &read) {
  auto [it, fresh] = substitute_.emplace(key(list, read.id), 0);
  if (fresh) {
    std::vector<unsigned> sets;
    for (unsigned s : std::vector<unsigned>(lists_[list])) {
      AxisSet before = sets_[s], after = before;
      for (const ReadItem &item : read.reads)
        for (AxisId leaf : item.leaves)
          after.erase(leaf);
      for (const ReadItem &item : read.reads)
        if (std::any_of(item.leaves.begin(), item.leaves.end(), [&](AxisId leaf) { return before.contains(leaf); }))
          after |= item.index->axes;
      sets.push_back(axes(after));
    }
    it->second = intern(std::move(sets));
  }
  return it->second;
}

} // namespace attnc::reference
