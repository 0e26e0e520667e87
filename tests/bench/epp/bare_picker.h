// The least that an ext_proc server can be: gRPC's asynchronous generic service on two completion
// queues, a thread each, and Protobuf's own parsing. It picks always the same endpoint, echoes the
// body in chunks of 62,000 bytes and passes responses. It chooses nothing, queues nothing, reads no
// body and limits nothing; what Sluice costs is compared with it.
//
// Threads: run_bare_picker() is the caller's thread, until the process ends, and one more.
#pragma once

namespace sluice::bench {

// Says `listening on 127.0.0.1:PORT` on standard output.
int run_bare_picker();

}  // namespace sluice::bench
