#include "host/pool/model_classes.h"

#include <algorithm>
#include <map>
#include <set>

#include "host/pool/pool_limits.h"

namespace sluice {
namespace {

bool is_pattern(std::string_view name) { return !name.empty() && name.back() == '*'; }

std::string_view without_star(std::string_view pattern) {
  return pattern.substr(0, pattern.size() - 1);
}

void sort_and_deduplicate(std::vector<uint32_t>& slots) {
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
}

}  // namespace

std::optional<ClassId> ClassMap::find(std::string_view model) const {
  if (auto it = exact_.find(model); it != exact_.end()) return it->second;
  for (uint32_t length : prefix_lengths_) {
    if (length > model.size()) continue;
    auto it = prefixes_.find(model.substr(0, length));
    if (it != prefixes_.end()) return it->second;
  }
  if (open_) return ModelClasses::kOthers;
  return std::nullopt;
}

std::vector<ModelClasses::Change> ModelClasses::update(TimeNs now,
                                                       const std::vector<ServedModels>& endpoints) {
  // Who lists each name or pattern. Ordered, so that ids are given out the same way every time.
  std::map<std::string, std::vector<uint32_t>> listed;
  std::vector<uint32_t> unknown, all;
  for (const ServedModels& endpoint : endpoints) {
    all.push_back(endpoint.slot);
    if (endpoint.unknown) {
      unknown.push_back(endpoint.slot);
      continue;
    }
    for (const std::string& name : endpoint.names) listed[name].push_back(endpoint.slot);
  }
  for (const auto& [name, slots] : listed) {
    if (auto it = known_.find(name); it != known_.end()) it->second.listed_at = now;
  }
  for (const auto& [name, slots] : listed) {
    if (!id_of(now, name)) left_out_++;
  }

  auto map = std::make_shared<ClassMap>();
  map->open_ = endpoints.empty() || !unknown.empty();
  std::set<uint32_t, std::greater<>> lengths;
  std::vector<Change> changes;
  sort_and_deduplicate(unknown);
  sort_and_deduplicate(all);
  assign(kOthers, unknown, changes);
  assign(kAll, std::move(all), changes);
  for (const auto& [name, known] : known_) {
    std::vector<uint32_t> members = unknown;
    auto own = listed.find(name);
    if (own != listed.end()) members.insert(members.end(), own->second.begin(), own->second.end());
    std::string_view stem = is_pattern(name) ? without_star(name) : std::string_view(name);
    for (size_t length = 0; length <= stem.size(); length++) {
      auto it = listed.find(std::string(stem.substr(0, length)) + '*');
      if (it != listed.end()) members.insert(members.end(), it->second.begin(), it->second.end());
    }
    sort_and_deduplicate(members);
    assign(known.id, std::move(members), changes);
    if (is_pattern(name)) {
      map->prefixes_.emplace(stem, known.id);
      lengths.insert(static_cast<uint32_t>(stem.size()));
    } else {
      map->exact_.emplace(name, known.id);
      if (own != listed.end()) map->names_.push_back(name);
    }
  }
  map->prefix_lengths_.assign(lengths.begin(), lengths.end());
  std::sort(map->names_.begin(), map->names_.end());
  map_ = std::move(map);
  std::sort(changes.begin(), changes.end(),
            [](const Change& a, const Change& b) { return a.id < b.id; });
  return changes;
}

std::optional<ClassId> ModelClasses::id_of(TimeNs now, const std::string& name) {
  if (auto it = known_.find(name); it != known_.end()) return it->second.id;
  ClassId id = static_cast<ClassId>(members_.size());
  if (members_.size() < kClassesMax) {
    members_.emplace_back();
  } else {
    auto oldest = std::min_element(known_.begin(), known_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.second.listed_at, a.second.id) <
             std::pair(b.second.listed_at, b.second.id);
    });
    if (oldest->second.listed_at + kClassForgetNs > now) return std::nullopt;
    id = oldest->second.id;
    known_.erase(oldest);
  }
  known_.emplace(name, Known{id, now});
  return id;
}

void ModelClasses::assign(ClassId id, std::vector<uint32_t> members, std::vector<Change>& changes) {
  if (members_[id] == members) return;
  members_[id] = members;
  changes.push_back({id, std::move(members)});
}

}  // namespace sluice
