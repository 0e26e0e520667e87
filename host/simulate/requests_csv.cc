#include "host/simulate/requests_csv.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>

namespace sluice::simulate {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr std::string_view kColumns =
    "id,arrival_s,flow,band,model,prompt_tokens,output_tokens,outcome,endpoint,dispatched_s,"
    "first_token_s,finished_s\n";

void put_number(std::string& out, uint64_t number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void put_time(std::string& out, TimeNs at) {
  if (at == kNever) return;
  const uint64_t us = at / 1000 + (at % 1000 >= 500 ? 1 : 0);
  put_number(out, us / 1'000'000);
  char decimals[] = ".000000";
  uint64_t rest = us % 1'000'000;
  for (char* digit = decimals + 6; rest != 0; --digit, rest /= 10) {
    *digit = static_cast<char>('0' + rest % 10);
  }
  out.append(decimals, 7);
}

void put_text(std::string& out, std::string_view text) {
  if (text.find_first_of("\",\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  out += '"';
}

std::string cannot_write(const std::string& path, int error) {
  return path + ": error: cannot be written: " + std::generic_category().message(error) +
         "; choose another directory with --out, or make room";
}

}  // namespace

Result<std::unique_ptr<RequestsCsv>> RequestsCsv::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return Error{cannot_write(path, errno)};
  return std::unique_ptr<RequestsCsv>(new RequestsCsv(path, fd));
}

RequestsCsv::RequestsCsv(std::string path, int fd) : path_(std::move(path)), fd_(fd) {
  buffer_.reserve(kBufferBytes + kBufferBytes / 16);
  buffer_ = kColumns;
}

RequestsCsv::~RequestsCsv() { (void)close(); }

void RequestsCsv::add(const FinishedRequest& r) {
  std::string& out = buffer_;
  put_number(out, r.id);
  out += ',';
  put_time(out, r.arrival);
  out += ',';
  put_text(out, r.flow);
  out += ',';
  put_text(out, r.band);
  out += ',';
  put_text(out, r.model);
  out += ',';
  put_number(out, r.prompt_tokens);
  out += ',';
  put_number(out, r.output_tokens);
  out += ',';
  out += to_string(r.outcome);
  out += ',';
  put_text(out, r.endpoint);
  out += ',';
  put_time(out, r.dispatched);
  out += ',';
  put_time(out, r.first_token);
  out += ',';
  put_time(out, r.finished);
  out += '\n';
  if (out.size() >= kBufferBytes) flush();
}

Result<void> RequestsCsv::close() {
  if (fd_ >= 0) {
    flush();
    if (::close(fd_) != 0 && error_ == 0) error_ = errno;
    fd_ = -1;
  }
  if (error_ != 0) return Error{cannot_write(path_, error_)};
  return {};
}

void RequestsCsv::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty() && error_ == 0 && fd_ >= 0) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  buffer_.clear();
}

}  // namespace sluice::simulate
