#include "host/traces/file_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "host/traces/limits.h"
#include "host/traces/prefix.h"

namespace sluice::traces {
namespace {

constexpr TimeNs kLoneGapNs = 1'000'000'000;  // between copies of a trace of one moment

}  // namespace

FileSource::FileSource(LineReader lines, std::unique_ptr<Format> format, std::string name,
                       const TraceOptions& options)
    : lines_(std::move(lines)),
      format_(std::move(format)),
      name_(std::move(name)),
      start_(options.start),
      duration_(options.duration),
      repeat_(options.repeat),
      rows_(kReorderRowsMax + 2),
      free_(rows_.size()) {
  std::iota(free_.rbegin(), free_.rend(), 0);
  row_ = free_.back();
  free_.pop_back();
}

Result<std::unique_ptr<Source>> FileSource::open(LineReader lines, std::unique_ptr<Format> format,
                                                 std::string name, const TraceOptions& options) {
  std::unique_ptr<FileSource> source(
      new FileSource(std::move(lines), std::move(format), std::move(name), options));
  if (!source->begin_copy()) {
    source->fail(0, "the file cannot be read twice; copy it to a regular file");
  } else {
    source->find_next();
  }
  if (source->failure_) return Error{*source->failure_};
  if (source->ready_) return std::unique_ptr<Source>(std::move(source));
  if (source->ordinal_ == 0) {
    source->fail(0, "there are no rows");
  } else {
    source->fail(0, fmt::format("no row is in the piece from second {:g}; the last one read is at "
                                "second {:g}",
                                static_cast<double>(options.start) / 1e9,
                                static_cast<double>(source->newest_ - source->origin_) / 1e9));
  }
  return Error{*source->failure_};
}

TimeNs FileSource::next_at() {
  if (!ready_) find_next();
  return ready_ ? arrival_.at : kNever;
}

const Arrival& FileSource::take() {
  if (!ready_) find_next();
  ready_ = false;
  return arrival_;
}

double FileSource::progress() const {
  double part = lines_.progress();
  if (duration_ != kNever && piece_rows_ != 0) {
    part = std::max(part, static_cast<double>(last_) / static_cast<double>(duration_));
  }
  return std::min(1.0, (copy_ + part) / repeat_);
}

void FileSource::find_next() {
  while (!failure_) {
    if (!next_row()) {
      if (failure_ || piece_rows_ == 0 || copy_ + 1 == repeat_) return;
      const TimeNs span = last_ - first_;
      shift_ += span + (span == 0 ? kLoneGapNs : span / (piece_rows_ - 1));
      ++copy_;
      if (!begin_copy()) fail(0, "the file cannot be read twice; copy it to a regular file");
      continue;
    }
    const TimeNs at = static_cast<TimeNs>(newest_ - origin_);
    ++ordinal_;
    if (at < start_) continue;
    if (at - start_ >= duration_) {
      ended_ = true;
      for (const Waiting& waiting : window_) free_.push_back(waiting.slot);
      window_.clear();
      continue;
    }
    return show_row(at - start_);
  }
}

void FileSource::show_row(TimeNs at) {
  if (piece_rows_++ == 0) first_ = at;
  last_ = at;
  if (at + shift_ > kTraceMaxNs) return fail(0, "the trace would last over 87600h");
  const Row& row = rows_[row_];
  arrival_ = Arrival{};
  arrival_.at = at + shift_;
  arrival_.flow = row.flow;
  arrival_.objective = row.objective;
  arrival_.model = row.model;
  arrival_.prompt_tokens = std::max(row.prompt_tokens, 1U);
  arrival_.output_tokens = std::max(row.output_tokens, 1U);
  arrival_.ordinal = ordinal_ - 1;
  if (!row.group.empty()) {
    group_blocks(row.group, row.prompt_tokens, blocks_);
  } else {
    id_blocks(row.block_ids, row.prompt_tokens, blocks_);
  }
  arrival_.blocks = blocks_;
  ready_ = true;
}

bool FileSource::next_row() {
  fill_window();
  if (failure_ || window_.empty()) return false;
  free_.push_back(row_);
  row_ = window_.front().slot;
  newest_ = window_.front().at_ns;
  if (!begun_ && format_->has_dates()) origin_ = newest_;
  begun_ = true;
  window_.pop_front();
  return true;
}

void FileSource::fill_window() {
  while (!ended_ && window_.size() <= kReorderRowsMax) {
    const std::optional<std::string_view> line = lines_.next();
    if (!line) {
      ended_ = true;
      if (!lines_.trouble().empty()) fail(lines_.number(), lines_.trouble());
      return;
    }
    if (line->empty()) continue;
    const uint32_t slot = free_.back();
    Row& row = rows_[slot];
    if (const Result<void> read = format_->read(*line, row); !read) {
      return fail(lines_.number(), read.error());
    }
    if (begun_ && row.at_ns < newest_) {
      return fail(lines_.number(),
                  fmt::format("this row belongs more than {} rows before; sort the file by time",
                              kReorderRowsMax));
    }
    free_.pop_back();
    insert(row.at_ns, slot);
    if (static_cast<uint64_t>(window_.back().at_ns - window_.front().at_ns) > kTraceMaxNs) {
      return fail(lines_.number(), "this row is over 87600h from the others");
    }
  }
}

void FileSource::insert(int64_t at_ns, uint32_t slot) {
  auto place = window_.end();
  while (place != window_.begin() && std::prev(place)->at_ns > at_ns) --place;
  window_.insert(place, {at_ns, slot});
}

bool FileSource::begin_copy() {
  if (copy_ != 0 && !lines_.rewind()) return false;
  if (copy_ != 0 && format_->has_header()) (void)lines_.next();
  ended_ = begun_ = false;
  piece_rows_ = 0;
  return true;
}

void FileSource::fail(uint64_t line, std::string_view what) {
  failure_ = line == 0 ? fmt::format("{}: error: {}", name_, what)
                       : fmt::format("{}:{}: error: {}", name_, line, what);
  ready_ = false;
}

}  // namespace sluice::traces
