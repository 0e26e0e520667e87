// Columns of one type that plugins have declared: a value a row, that of `absent` where the row's
// source has none.
//
// Borrows ABSENT, which may grow between clear() and clear(). O(columns) a row.
#pragma once

#include <vector>

namespace sluice {

template <typename T>
class DeclaredColumns {
 public:
  explicit DeclaredColumns(const std::vector<T>& absent) : absent_(absent) {}

  void clear() {
    columns_.resize(absent_.size());
    for (auto& column : columns_) column.clear();
  }
  void add(const std::vector<T>& values) {
    for (size_t k = 0; k < columns_.size(); ++k)
      columns_[k].push_back(k < values.size() ? values[k] : absent_[k]);
  }
  // As plugins see them, until the next change.
  const T* const* view() {
    pointers_.clear();
    for (const auto& column : columns_) pointers_.push_back(column.data());
    return pointers_.data();
  }

 private:
  const std::vector<T>& absent_;
  std::vector<std::vector<T>> columns_;
  std::vector<const T*> pointers_;
};

}  // namespace sluice
