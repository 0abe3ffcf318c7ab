//===- Status.h - a status code with its message -------------------------===//
//
// Licensed under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The runtime uses no exceptions: what can fail returns a Status. Success is a
// null pointer, so returning it costs nothing on the hot path. Header-only and
// free of dependencies, because the compiler uses the package reader as well.
//
//===----------------------------------------------------------------------===//

#ifndef AICC_RUNTIME_CORE_STATUS_H
#define AICC_RUNTIME_CORE_STATUS_H

#include <memory>
#include <string>
#include <utility>

namespace aicc {

// The same numbers as AICC_* in aicc/runtime.h.
enum class Code : int {
  ok = 0,
  invalidArgument = 1,
  notFound = 2,
  badPackage = 3,
  unsupported = 4,
  outOfMemory = 5,
  deviceError = 6,
  ioError = 7,
};

class [[nodiscard]] Status {
public:
  Status() = default;
  Status(Code code, std::string message)
      : rep(std::make_unique<Rep>(Rep{code, std::move(message)})) {}

  bool ok() const { return !rep; }
  explicit operator bool() const { return static_cast<bool>(rep); }
  Code code() const { return rep ? rep->code : Code::ok; }
  const std::string &message() const {
    static const std::string empty;
    return rep ? rep->message : empty;
  }
  // Puts what the caller knows in front: "subject: message".
  Status in(const std::string &subject) && {
    if (rep)
      rep->message = subject + ": " + rep->message;
    return std::move(*this);
  }

private:
  struct Rep {
    Code code;
    std::string message;
  };
  std::unique_ptr<Rep> rep;
};

inline Status invalidArgument(std::string message) {
  return Status(Code::invalidArgument, std::move(message));
}

} // namespace aicc

// Returns from the enclosing function when `expression` is an error.
#define AICC_RETURN_IF_ERROR(expression)                                       \
  do {                                                                         \
    if (::aicc::Status aiccStatus = (expression); !aiccStatus.ok())            \
      return aiccStatus;                                                       \
  } while (false)

#endif
