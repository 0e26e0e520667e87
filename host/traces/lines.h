// The lines of a stream, one at a time, in fixed memory.
//
// A line ends with LF or CRLF, the last one also with the stream; a UTF-8 byte order mark before
// the first one is no part of it. Threads: one. Ownership: owns the stream; a line lives until the
// next call and may be read, though not understood, kPadding bytes beyond its end, as simdjson
// wants. Complexity: O(bytes), no allocation after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace sluice::traces {

class LineReader {
 public:
  static constexpr size_t kPadding = 64;

  explicit LineReader(std::unique_ptr<std::istream> in);

  // Nothing at the end, and where a line is longer than kLineBytesMax or cannot be read.
  std::optional<std::string_view> next();
  // Makes the following next() give the line of the last one again.
  void unread() { again_ = true; }
  // The line that next() gave last, or that it found too long; from 1.
  uint64_t number() const { return number_; }
  // Why next() gave nothing; "" = the end.
  std::string_view trouble() const { return trouble_; }
  // Back to the first line; false if the stream cannot go back.
  bool rewind();
  // How much has been given out, 0 .. 1; 0 if the size is not known.
  double progress() const;

 private:
  bool fill();  // false if there was nothing more

  std::unique_ptr<std::istream> in_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // what of it has been read and not given out
  std::string_view line_;       // the one given last
  bool again_ = false;
  uint64_t number_ = 0, given_bytes_ = 0, size_bytes_ = 0;
  std::string_view trouble_;
};

}  // namespace sluice::traces
