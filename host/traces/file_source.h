// A trace file as a Source: a piece of it, once or several times.
//
// Rows may stand up to kReorderRowsMax rows too late; a row later than that is an error. The first
// rows are read while opening, so that most mistakes show before anything is replayed. A request
// for no token, or with an empty prompt, is one of 1 token. Threads: one. Complexity: O(bytes) in
// all, memory O(kReorderRowsMax) whatever the length; no allocation a row.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "host/traces/lines.h"
#include "host/traces/options.h"
#include "host/traces/row.h"
#include "host/traces/source.h"

namespace sluice::traces {

class FileSource final : public Source {
 public:
  // An error also where the piece holds no row. NAME is what messages call the file.
  static Result<std::unique_ptr<Source>> open(LineReader lines, std::unique_ptr<Format> format,
                                              std::string name, const TraceOptions& options);

  TimeNs next_at() override;
  const Arrival& take() override;
  std::optional<std::string> failure() const override { return failure_; }
  double progress() const override;

 private:
  struct Waiting {
    int64_t at_ns;
    uint32_t slot;  // of rows_
  };

  FileSource(LineReader lines, std::unique_ptr<Format> format, std::string name,
             const TraceOptions& options);
  void find_next();  // sets arrival_ and ready_, or neither and perhaps failure_
  bool next_row();   // into row_; false at the end or after a failure
  void fill_window();
  void insert(int64_t at_ns, uint32_t slot);
  bool begin_copy();
  void show_row(TimeNs at);
  void fail(uint64_t line, std::string_view what);

  LineReader lines_;
  std::unique_ptr<Format> format_;
  std::string name_;
  TimeNs start_, duration_;
  uint32_t repeat_;

  std::vector<Row> rows_;         // kReorderRowsMax + 2 of them, used again and again
  std::vector<uint32_t> free_;    // slots of rows_
  std::deque<Waiting> window_;    // in order of time, rows of one time in order of the file
  bool ended_ = false;            // every row of this copy is in window_ or was given out
  uint32_t row_ = 0;              // the slot that arrival_ shows
  std::vector<uint64_t> blocks_;  // of it

  bool begun_ = false;           // origin_ and newest_ are set
  int64_t origin_ = 0;           // what the trace's time 0 is in the file's time
  int64_t newest_ = 0;           // of the rows that left the window
  uint64_t ordinal_ = 0;         // rows that left the window, over all copies
  TimeNs shift_ = 0;             // of this copy
  uint32_t copy_ = 0;            // from 0
  uint64_t piece_rows_ = 0;      // given out of this copy
  TimeNs first_ = 0, last_ = 0;  // of the piece in this copy, before the shift
  bool ready_ = false;           // arrival_ is the next one
  Arrival arrival_;
  std::optional<std::string> failure_;
};

}  // namespace sluice::traces
