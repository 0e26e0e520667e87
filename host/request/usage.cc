#include "host/request/usage.h"

#include <algorithm>

#include "host/request/text.h"

namespace sluice {
namespace {

constexpr std::string_view kData = "data:";

}  // namespace

UsageReader::UsageReader(Options options)
    : options_(std::move(options)),
      renames_(options_.incoming != options_.target),
      name_max_(options_.target.size() * 6),  // every byte as \u00XX
      holding_(options_.sse && options_.drop_usage_event) {
  options_.drop_usage_event = holding_;
  append_json_string(new_name_, options_.incoming);
  new_name_ = new_name_.substr(1, new_name_.size() - 2);
}

void UsageReader::feed(std::string_view chunk, std::string& out) {
  if (passes_through()) {
    out += chunk;
    run(chunk, nullptr);
  } else {
    run(chunk, &out);
  }
}

void UsageReader::finish(std::string& out) {
  if (name_open_) {
    name_open_ = false;
    emit(name_, &out);
  }
  if (options_.sse && scan_.begun()) end_event(&out);
  out += held_;
  held_.clear();
}

void UsageReader::run(std::string_view chunk, std::string* out) {
  size_t done = 0;  // bytes of CHUNK emitted or held as a name
  for (size_t i = 0; i < chunk.size(); ++i) {
    if (!name_open_) i += skip(chunk.substr(i));
    if (i == chunk.size()) break;
    const char c = chunk[i];
    JsonScan::Place place = JsonScan::Place::kElsewhere;
    if (options_.sse) {
      sse_byte(c, place);
    } else {
      place = scan_.next(c, usage_);
    }
    if (renames_ && out != nullptr) {
      if (place == JsonScan::Place::kModelOpen) {
        emit(chunk.substr(done, i + 1 - done), out);
        done = i + 1;
        name_open_ = true;
        name_.clear();
      } else if (name_open_ && place == JsonScan::Place::kModel) {
        name_ += c;
        done = i + 1;
        if (name_.size() > name_max_) {  // too long to be the target's
          name_open_ = false;
          emit(name_, out);
        }
      } else if (name_open_) {
        close_name(out);
      }
    }
    if (event_over_) {
      event_over_ = false;
      if (out != nullptr) emit(chunk.substr(done, i + 1 - done), out);
      done = i + 1;
      end_event(out);
    }
  }
  if (out != nullptr && done < chunk.size()) emit(chunk.substr(done), out);
}

size_t UsageReader::skip(std::string_view text) const {
  if (!options_.sse) return scan_.skippable(text);
  if (line_ != Line::kData) return 0;
  // A line's end counts even inside a string that was never closed.
  const size_t n = scan_.skippable(text);
  return std::min(n, text.substr(0, n).find('\n'));
}

void UsageReader::sse_byte(char c, JsonScan::Place& place) {
  if (c == '\n') {
    event_over_ = line_blank_;
    line_ = Line::kStart;
    matched_ = 0;
    line_blank_ = true;
    return;
  }
  if (c != '\r') line_blank_ = false;
  if (line_ == Line::kData) {
    place = scan_.next(c, usage_);
  } else if (line_ == Line::kStart) {
    if (c != kData[matched_]) {
      line_ = Line::kOther;
    } else if (++matched_ == kData.size()) {
      line_ = Line::kData;
    }
  }
}

void UsageReader::end_event(std::string* out) {
  const bool only_usage = scan_.choices_empty() && scan_.usage_here();
  const bool output = !only_usage && (!options_.only_deltas || scan_.is_delta());
  if (scan_.begun() && output) ++data_events_;
  scan_ = {};
  if (options_.drop_usage_event) {
    if (out != nullptr && !(only_usage && holding_)) *out += held_;
    held_.clear();
    holding_ = true;
  }
}

void UsageReader::emit(std::string_view text, std::string* out) {
  if (!options_.drop_usage_event || !holding_) {
    *out += text;
    return;
  }
  held_ += text;
  if (held_.size() > kEventHeldMax) {
    *out += held_;
    held_.clear();
    holding_ = false;  // until the event is over
  }
}

void UsageReader::close_name(std::string* out) {
  name_open_ = false;
  std::string plain;
  const bool ours = append_unescaped(plain, name_) && plain == options_.target;
  emit(ours ? new_name_ : name_, out);
}

}  // namespace sluice
