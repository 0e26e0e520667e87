// Asio and Beast, in the one order that g++ 12 and Boost 1.74 agree on. Precompiled; include this,
// not Boost.
#pragma once

#include <utility>  // Boost 1.74's coroutines use std::exchange without saying so

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace sluice {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = boost::asio::ip::tcp;
using ErrorCode = boost::system::error_code;
}  // namespace sluice
