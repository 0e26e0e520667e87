// Which eligibility class a model name belongs to: one class for each name or pattern that some
// endpoint lists.
//
// An endpoint lists exact names and patterns ("llama-*", a prefix), or its models are unknown and
// it may serve all. A name belongs to the class of that very name, else of the longest pattern that
// fits, else to class 0, whose members are the endpoints with unknown models. Class 1 is all
// endpoints. A longer pattern's class holds the members of the shorter ones that fit it too, so one
// class always tells the whole set. ClassIds are stable: a name keeps its id while nobody serves it
// any more, so that what is parked waits for it; but which class a name belongs to may change with
// what is listed. Names that clients make up take no memory. Threads: ModelClasses one at a time; a
// ClassMap is immutable.
// Complexity: update O(names listed x endpoints that list patterns); find O(length of the name).
// Limits: kClassesMax; beyond it names that nobody has listed for kClassForgetNs give up their ids,
// else new names are left out and counted.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/types.h"
#include "host/pool/string_map.h"

namespace sluice {

// What one endpoint serves.
struct ServedModels {
  uint32_t slot = 0;
  bool unknown = true;             // may be any; the names below are then empty
  std::vector<std::string> names;  // exact, or a prefix and '*'
};

class ClassMap {
 public:
  // nullopt: nobody serves it or ever did, and nobody's models are unknown.
  std::optional<ClassId> find(std::string_view model) const;
  // Exact names that somebody serves now, sorted.
  const std::vector<std::string>& names() const { return names_; }

 private:
  friend class ModelClasses;
  StringMap<ClassId> exact_, prefixes_;   // prefixes without their '*'
  std::vector<uint32_t> prefix_lengths_;  // of prefixes_, longest first, each once
  std::vector<std::string> names_;
  bool open_ = true;  // names that nobody lists may be served all the same
};

class ModelClasses {
 public:
  static constexpr ClassId kOthers = 0;
  static constexpr ClassId kAll = 1;  // every endpoint

  struct Change {
    ClassId id = 0;
    std::vector<uint32_t> members;  // sorted
  };
  // The endpoints are these from now on. Returns the classes whose members changed.
  std::vector<Change> update(TimeNs now, const std::vector<ServedModels>& endpoints);

  std::shared_ptr<const ClassMap> map() const { return map_; }
  size_t size() const { return members_.size(); }
  uint64_t left_out() const {
    return left_out_;
  }  // names for which there was no room, summed over updates

 private:
  struct Known {
    ClassId id = 0;
    TimeNs listed_at = 0;  // last
  };
  std::optional<ClassId> id_of(TimeNs now, const std::string& name);
  void assign(ClassId id, std::vector<uint32_t> members, std::vector<Change>& changes);

  StringMap<Known> known_;                                 // by name as listed, '*' included
  std::vector<std::vector<uint32_t>> members_ = {{}, {}};  // by ClassId
  std::shared_ptr<const ClassMap> map_ = std::make_shared<ClassMap>();
  uint64_t left_out_ = 0;
};

}  // namespace sluice
