// The policies that random worlds run: the tree's own .so files, doubles that check what they are
// told, and doubles that misbehave.
//
// Threads: none. A shelf lives as long as any world that uses it; the images stay mapped, as in the
// host. Everything that a double draws comes from its world's seed.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/picker.h"
#include "core/policy.h"

namespace sluice::sim {

// All policies of a directory of .so files, in the order of their names, by kind.
struct Shelf {
  std::vector<PolicyPtr> fairness, ordering, eviction, scoring;

  // Ends the program with a sentence if a file cannot be used. "" = an empty shelf.
  static Shelf load(const std::string& directory);
};

// A fairness policy that believes its events alone: whenever it is asked, the flows that it holds
// for ready must be those that the table shows.
class Mirror {
 public:
  PolicyPtr policy();
  const std::string& wrong() const { return wrong_; }  // the first difference; "" = none

 private:
  using State = std::set<uint32_t>;
  static void hear(const sluice_event& event, State& ready);
  uint32_t pick(const State& ready, const sluice_flows& flows) const;

  mutable std::string wrong_;
  sluice_policy_v1 descriptor_{};
};

// A scoring policy that keeps the books by its events alone: what each request was charged. Takes
// endpoints with less in flight for better.
class Bookkeeper {
 public:
  PolicyPtr policy();
  // What is charged for request SEQ: while it is in flight, or once it is over.
  int64_t charged(uint64_t seq) const { return seq < by_seq_.size() ? by_seq_[seq] : 0; }
  int64_t total() const { return total_; }
  const std::string& wrong() const { return wrong_; }  // a charge that did not come back

 private:
  void hear(const sluice_event& event) const;

  mutable std::vector<int64_t> by_seq_;
  mutable int64_t total_ = 0;
  mutable std::string wrong_;
  sluice_policy_v1 descriptor_{};
};

// One policy of each kind that answers wrongly now and then: throws, names what does not exist,
// idles without leave, scores no number. Between that it does something legal.
class Culprit {
 public:
  explicit Culprit(uint64_t seed) : random_(seed) {}
  PolicyPtr fairness(), ordering(), eviction(), scoring();

 private:
  bool fails() const { return random_.below(4) == 0; }

  mutable Random random_;
  sluice_policy_v1 fairness_{}, ordering_{}, eviction_{}, scoring_{};
};

// A fairness policy that is allowed to idle, and does so now and then for a while.
class Idler {
 public:
  explicit Idler(uint64_t seed) : random_(seed) {}
  PolicyPtr policy();

 private:
  mutable Random random_;
  sluice_policy_v1 descriptor_{};
};

}  // namespace sluice::sim
