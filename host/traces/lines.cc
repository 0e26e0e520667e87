#include "host/traces/lines.h"

#include <algorithm>
#include <cstring>

#include "host/traces/limits.h"

namespace sluice::traces {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

LineReader::LineReader(std::unique_ptr<std::istream> in)
    : in_(std::move(in)), buffer_(kLineBytesMax + kPadding) {
  const auto begin = in_->tellg();
  if (begin != std::istream::pos_type(-1) && in_->seekg(0, std::ios::end)) {
    size_bytes_ = static_cast<uint64_t>(in_->tellg() - begin);
  }
  in_->clear();
  if (begin != std::istream::pos_type(-1)) in_->seekg(begin);
}

std::optional<std::string_view> LineReader::next() {
  if (!trouble_.empty()) return std::nullopt;
  if (again_) {
    again_ = false;
    return line_;
  }
  size_t looked_at = 0;
  const char* end = nullptr;
  while (true) {
    const char* begin = buffer_.data() + begin_;
    end = static_cast<const char*>(std::memchr(begin + looked_at, '\n', end_ - begin_ - looked_at));
    if (end != nullptr) break;
    looked_at = end_ - begin_;
    if (looked_at == kLineBytesMax) {
      ++number_;
      trouble_ = "this line is too long";
      return std::nullopt;
    }
    if (fill()) continue;
    if (!trouble_.empty() || begin_ == end_) return std::nullopt;
    end = buffer_.data() + end_;
    break;
  }
  std::string_view line(buffer_.data() + begin_, end - (buffer_.data() + begin_));
  const size_t taken = std::min(line.size() + 1, end_ - begin_);
  begin_ += taken;
  given_bytes_ += taken;
  if (++number_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line_ = line;
}

bool LineReader::fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (!in_->good()) return false;
  in_->read(buffer_.data() + end_, static_cast<std::streamsize>(kLineBytesMax - end_));
  const auto got = static_cast<size_t>(in_->gcount());
  end_ += got;
  if (in_->bad()) trouble_ = "the file cannot be read any further";
  return got != 0 && trouble_.empty();
}

bool LineReader::rewind() {
  in_->clear();
  if (!in_->seekg(0)) return false;
  begin_ = end_ = 0;
  again_ = false;
  number_ = given_bytes_ = 0;
  return true;
}

double LineReader::progress() const {
  if (size_bytes_ == 0) return 0;
  return std::min(1.0, static_cast<double>(given_bytes_) / static_cast<double>(size_bytes_));
}

}  // namespace sluice::traces
