#include "tests/unit/admin/exposition_check.h"

#include <cmath>
#include <limits>
#include <regex>
#include <sstream>

namespace sluice {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// What a histogram's samples must agree on, by its labels without le.
struct Buckets {
  std::vector<std::pair<double, double>> counts;  // bound, cumulative count
  double count = -1;
};

class Checker {
 public:
  explicit Checker(Exposed& out) : out_(out) {}

  void read(const std::string& text) {
    if (!text.empty() && text.back() != '\n') fail("the page does not end with a newline");
    std::istringstream lines(text);
    while (std::getline(lines, line_)) {
      line_.starts_with('#') ? comment() : sample();
    }
    close();
  }

 private:
  void fail(const std::string& what) { out_.errors.push_back(what + ": " + line_); }

  void comment() {
    static const std::regex form("# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
    std::smatch match;
    if (!std::regex_match(line_, match, form)) return fail("neither HELP nor TYPE");
    if (match[1] == "HELP") {
      close();
      name_ = match[2];
      if (out_.families.contains(name_)) fail("a family twice");
      out_.families[name_].help = match[3];
      return;
    }
    if (match[2] != name_) return fail("TYPE of another family");
    ExposedFamily& family = out_.families[name_];
    if (!family.type.empty()) fail("a second TYPE");
    family.type = match[3];
    if (family.type != "counter" && family.type != "gauge" && family.type != "histogram")
      fail("unknown type");
    if ((family.type == "counter") != ends_with(name_, "_total"))
      fail("counters, and only they, end in _total");
  }

  void sample() {
    static const std::regex form(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*",?)*)\})? (\S+))re");
    static const std::regex label_form(R"re(([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)")re");
    std::smatch match;
    if (!std::regex_match(line_, match, form)) return fail("not a sample");
    const std::string sample_name = match[1], labels = match[3];
    ExposedFamily& family = out_.families[name_];
    if (family.type.empty()) return fail("a sample before its TYPE");
    double value = 0;
    if (!number(match[4], value)) return fail("not a number");
    if (family.type == "counter" && !(value >= 0)) fail("a counter below 0");

    std::string others;
    double bound = std::numeric_limits<double>::quiet_NaN();
    std::set<std::string> keys;
    for (std::sregex_iterator it(labels.begin(), labels.end(), label_form), end; it != end; ++it) {
      const std::string key = (*it)[1];
      if (!keys.insert(key).second) fail("a label twice");
      if (key == "le") {
        if (!number((*it)[2], bound)) fail("le is not a number");
      } else {
        others += it->str() + ",";
        family.labels.insert(key);
      }
    }
    if (!family.samples.emplace(sample_name + (labels.empty() ? "" : "{" + labels + "}"), value)
             .second) {
      fail("a series twice");
    }
    if (family.type != "histogram") {
      if (sample_name != name_) fail("a sample of another family");
    } else if (sample_name == name_ + "_bucket") {
      if (std::isnan(bound)) fail("a bucket without le");
      buckets_[others].counts.emplace_back(bound, value);
    } else if (sample_name == name_ + "_count") {
      buckets_[others].count = value;
    } else if (sample_name != name_ + "_sum") {
      fail("a sample of another family");
    }
  }

  void close() {
    for (const auto& [labels, buckets] : buckets_) {
      for (size_t i = 1; i < buckets.counts.size(); i++) {
        if (!(buckets.counts[i - 1].first < buckets.counts[i].first)) fail("bounds do not rise");
        if (buckets.counts[i - 1].second > buckets.counts[i].second)
          fail("buckets are not cumulative");
      }
      if (buckets.counts.empty() || !std::isinf(buckets.counts.back().first))
        fail("no +Inf bucket");
      else if (buckets.counts.back().second != buckets.count)
        fail("+Inf is not the count");
    }
    buckets_.clear();
  }

  static bool number(const std::string& text, double& out) {
    if (text == "+Inf" || text == "Inf") {
      out = std::numeric_limits<double>::infinity();
      return true;
    }
    if (text == "-Inf" || text == "Nan" || text == "NaN") {
      out = std::numeric_limits<double>::quiet_NaN();
      return true;
    }
    size_t used = 0;
    try {
      out = std::stod(text, &used);
    } catch (const std::exception&) {
      return false;
    }
    return used == text.size();
  }

  Exposed& out_;
  std::string line_, name_;
  std::map<std::string, Buckets> buckets_;
};

}  // namespace

double Exposed::at(const std::string& series) const {
  for (const auto& [name, family] : families) {
    if (auto it = family.samples.find(series); it != family.samples.end()) return it->second;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

Exposed read_exposition(const std::string& text) {
  Exposed out;
  Checker(out).read(text);
  return out;
}

}  // namespace sluice
