#include "core/decision_log.h"

#include <array>
#include <charconv>

namespace sluice {
namespace {

using Kind = LogRecord::Kind;

// The words of the format. They are the file's, not the program's: renaming an enumerator leaves
// them alone.
constexpr std::array<std::string_view, 15> kKindWords = {
    "band", "endpoint", "class", "submit", "move",    "dispatch", "requeue", "served",
    "end",  "idle",     "held",  "free",   "settled", "gap",      "close"};
constexpr std::array<std::string_view, 2> kHeldWords = {"size", "better"};
constexpr std::array<std::string_view, kOutcomes> kOutcomeWords = {"completed",
                                                                   "upstream_error",
                                                                   "client_gone",
                                                                   "cancelled",
                                                                   "rejected_full",
                                                                   "rejected_no_endpoint",
                                                                   "rejected_unknown_model",
                                                                   "rejected_bad",
                                                                   "rejected_draining",
                                                                   "drained",
                                                                   "expired",
                                                                   "evicted",
                                                                   "revoked"};

template <size_t n>
constexpr size_t index_of(const std::array<std::string_view, n>& words, std::string_view word) {
  size_t i = 0;
  while (i < n && words[i] != word) ++i;
  return i;
}

void append_number(std::string& out, uint64_t value) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void append_field(std::string& out, std::string_view name, uint64_t value) {
  out += name;
  append_number(out, value);
}

// The length of the UTF-8 sequence that TEXT starts with; 0 if it is none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t length = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (first == 0xe0 && byte(1) < 0xa0) return 0;  // longer than it need be
  if (first == 0xed && byte(1) > 0x9f) return 0;  // surrogates
  if (first == 0xf0 && byte(1) < 0x90) return 0;  // longer than it need be
  if (first == 0xf4 && byte(1) > 0x8f) return 0;  // beyond the last code point
  return length;
}

bool is_control(std::string_view sequence) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 1) return byte(0) <= ' ' || byte(0) == 0x7f;
  return sequence.size() == 2 && byte(0) == 0xc2 && byte(1) < 0xa0;  // U+0080 .. U+009F
}

void append_escaped(std::string& out, std::string_view name) {
  constexpr char kHex[] = "0123456789ABCDEF";
  while (!name.empty()) {
    const size_t length = utf8_length(name);
    const std::string_view sequence = name.substr(0, length == 0 ? 1 : length);
    if (length == 0 || is_control(sequence) || sequence == "%") {
      for (const char c : sequence) {
        out += '%';
        out += kHex[static_cast<unsigned char>(c) >> 4];
        out += kHex[static_cast<unsigned char>(c) & 15];
      }
    } else {
      out += sequence;
    }
    name.remove_prefix(sequence.size());
  }
}

void append_name(std::string& out, std::string_view name) {
  if (name.empty()) return;
  out += " name=";
  append_escaped(out, name);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads a line from left to right; the first thing that does not fit makes it fail, with the place
// and what was due.
class Reader {
 public:
  Reader(std::string_view line, std::string& error) : line_(line), rest_(line), error_(error) {}

  bool number(uint64_t& value, uint64_t most = UINT64_MAX) {
    const char* end = rest_.data() + rest_.size();
    const auto [stop, code] = std::from_chars(rest_.data(), end, value);
    const auto length = static_cast<size_t>(stop - rest_.data());
    if (code != std::errc() || value > most || (length > 1 && rest_[0] == '0')) {
      return fail("a number, at most " + std::to_string(most));
    }
    rest_.remove_prefix(length);
    return true;
  }
  bool number(uint32_t& value) {
    uint64_t wide = 0;
    if (!number(wide, UINT32_MAX)) return false;
    value = static_cast<uint32_t>(wide);
    return true;
  }
  bool number(int32_t& value) {
    const bool negative = take("-");
    uint64_t wide = 0;
    if (!number(wide, negative ? uint64_t{1} << 31 : INT32_MAX)) return false;
    if (negative && wide == 0) return fail("a number without a sign");
    value =
        static_cast<int32_t>(negative ? -static_cast<int64_t>(wide) : static_cast<int64_t>(wide));
    return true;
  }

  // NAME, which ends in '=', and its value.
  template <typename T>
  bool field(std::string_view name, T& value) {
    return expect(name) && number(value);
  }

  bool expect(std::string_view text) { return take(text) || fail('"' + std::string(text) + '"'); }

  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  // Up to the next space or the end.
  std::string_view word() {
    const std::string_view found = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(found.size());
    return found;
  }

  // " name=..." if it is there, percent-decoded.
  bool name(std::string& out) {
    if (!take(" name=")) return true;
    const std::string_view written = rest_.substr(0, rest_.find(' '));
    if (written.empty()) return fail("a name");
    for (size_t i = 0; i < written.size(); ++i) {
      if (written[i] != '%') {
        out += written[i];
        continue;
      }
      const int high = i + 2 < written.size() ? hex_digit(written[i + 1]) : -1;
      const int low = i + 2 < written.size() ? hex_digit(written[i + 2]) : -1;
      if (high < 0 || low < 0) return fail("a name whose % is followed by two of 0-9A-F");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (escape_name(out) != written) return fail("a name escaped as the format says");
    rest_.remove_prefix(written.size());
    return true;
  }

  bool end() { return rest_.empty() || fail("the end of the line"); }

  bool fail(const std::string& due) {
    error_ = "column " + std::to_string(line_.size() - rest_.size() + 1) + ": expected " + due;
    return false;
  }

 private:
  std::string_view line_, rest_;
  std::string& error_;
};

bool read_members(Reader& in, std::vector<uint32_t>& members) {
  if (!in.expect(" members=")) return false;
  if (in.take("none")) return true;
  do {
    if (!in.number(members.emplace_back())) return false;
  } while (in.take(","));
  return true;
}

bool read_place(Reader& in, LogRecord& r) {
  return in.field(" band=", r.band) && in.field(" flow=", r.flow) && in.field(" class=", r.cls) &&
         in.field(" key=", r.key);
}

bool read_fields(Reader& in, ParsedRecord& out) {
  LogRecord& r = out.record;
  switch (r.kind) {
    case Kind::kBand: {
      int32_t priority = 0;
      if (!in.field(" ", r.band) || !in.field(" priority=", priority)) return false;
      r.value = static_cast<uint64_t>(int64_t{priority});
      r.flag = in.take(" hold");
      return in.name(out.name);
    }
    case Kind::kEndpoint:
      if (!in.field(" ", r.endpoint) || !in.expect(" limit=")) return false;
      if (in.take("none")) {
        r.value = kNone;
      } else if (!in.number(r.value, kNone - 1)) {
        return false;
      }
      r.flag = in.take(" open");
      return r.flag || in.expect(" closed");
    case Kind::kClass:
      return in.field(" ", r.cls) && read_members(in, out.members);
    case Kind::kSubmit:
      return in.field(" #", r.seq) && read_place(in, r) && in.field(" bytes=", r.value) &&
             in.name(out.name);
    case Kind::kMove:
      return in.field(" #", r.seq) && read_place(in, r) && in.name(out.name);
    case Kind::kDispatch:
      if (!in.field(" #", r.seq) || !in.field(" endpoint=", r.endpoint) ||
          !in.field(" attempt=", r.value))
        return false;
      r.flag = in.take(" earlier");
      return true;
    case Kind::kRequeue:
      return in.field(" #", r.seq) && in.field(" class=", r.cls);
    case Kind::kServed:
      return in.field(" #", r.seq) && in.field(" endpoint=", r.endpoint);
    case Kind::kEnd: {
      if (!in.field(" #", r.seq) || !in.expect(" ")) return false;
      const size_t outcome = index_of(kOutcomeWords, in.word());
      if (outcome == kOutcomeWords.size()) return in.fail("an outcome before this");
      r.outcome = static_cast<Outcome>(outcome);
      return true;
    }
    case Kind::kIdle:
      return in.field(" band=", r.band);
    case Kind::kHeld:
      if (!in.field(" #", r.seq) || !in.expect(" ")) return false;
      r.value = index_of(kHeldWords, in.word());
      return r.value != kHeldWords.size() || in.fail("a reason before this");
    case Kind::kFree:
      return in.field(" #", r.seq);
    case Kind::kGap:
      return in.field(" lost=", r.value);
    case Kind::kSettled:
    case Kind::kClose:
      return true;
  }
  return false;
}

void append_place(std::string& out, const LogRecord& r) {
  append_field(out, " band=", r.band);
  append_field(out, " flow=", r.flow);
  append_field(out, " class=", r.cls);
  append_field(out, " key=", r.key);
}

}  // namespace

void format_line(const LogRecord& r, std::string& out) {
  append_number(out, r.at);
  out += ' ';
  out += kKindWords[static_cast<size_t>(r.kind)];
  switch (r.kind) {
    case Kind::kBand:
      append_field(out, " ", r.band);
      out += " priority=";
      out += std::to_string(static_cast<int32_t>(r.value));
      if (r.flag) out += " hold";
      append_name(out, r.name);
      break;
    case Kind::kEndpoint:
      append_field(out, " ", r.endpoint);
      if (r.value >= kNone) {
        out += " limit=none";
      } else {
        append_field(out, " limit=", r.value);
      }
      out += r.flag ? " open" : " closed";
      break;
    case Kind::kClass:
      append_field(out, " ", r.cls);
      out += " members=";
      if (r.members == nullptr || r.members->empty()) {
        out += "none";
      } else {
        for (const uint32_t member : *r.members) {
          append_number(out, member);
          out += ',';
        }
        out.pop_back();
      }
      break;
    case Kind::kSubmit:
      append_field(out, " #", r.seq);
      append_place(out, r);
      append_field(out, " bytes=", r.value);
      append_name(out, r.name);
      break;
    case Kind::kMove:
      append_field(out, " #", r.seq);
      append_place(out, r);
      append_name(out, r.name);
      break;
    case Kind::kDispatch:
      append_field(out, " #", r.seq);
      append_field(out, " endpoint=", r.endpoint);
      append_field(out, " attempt=", r.value);
      if (r.flag) out += " earlier";
      break;
    case Kind::kRequeue:
      append_field(out, " #", r.seq);
      append_field(out, " class=", r.cls);
      break;
    case Kind::kServed:
      append_field(out, " #", r.seq);
      append_field(out, " endpoint=", r.endpoint);
      break;
    case Kind::kEnd:
      append_field(out, " #", r.seq);
      out += ' ';
      out += kOutcomeWords[static_cast<size_t>(r.outcome)];
      break;
    case Kind::kIdle:
      append_field(out, " band=", r.band);
      break;
    case Kind::kHeld:
      append_field(out, " #", r.seq);
      out += ' ';
      out += kHeldWords[r.value];
      break;
    case Kind::kFree:
      append_field(out, " #", r.seq);
      break;
    case Kind::kGap:
      append_field(out, " lost=", r.value);
      break;
    case Kind::kSettled:
    case Kind::kClose:
      break;
  }
}

bool parse_line(std::string_view line, ParsedRecord& out, std::string& error) {
  out.record = LogRecord();
  out.name.clear();
  out.members.clear();
  Reader in(line, error);
  if (!in.number(out.record.at) || !in.expect(" ")) return false;
  const size_t kind = index_of(kKindWords, in.word());
  if (kind == kKindWords.size()) return in.fail("a kind of record before this");
  out.record.kind = static_cast<Kind>(kind);
  if (!read_fields(in, out) || !in.end()) return false;
  out.record.name = out.name;
  if (out.record.kind == Kind::kClass) out.record.members = &out.members;
  return true;
}

std::string escape_name(std::string_view name) {
  std::string out;
  append_escaped(out, name);
  return out;
}

}  // namespace sluice
