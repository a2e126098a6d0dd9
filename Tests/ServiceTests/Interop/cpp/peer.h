// What both sides of the C++ peer share.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "grpc/testing/messages.pb.h"

struct grpc_call;
// Exported by libgrpc for such tests; its header is not installed.
uint32_t grpc_call_test_only_get_message_flags(grpc_call* call);

namespace peer {

// The flags of the command line, `--name=value`.
class Flags {
 public:
  Flags(int count, char** arguments) {
    for (int index = 0; index < count; ++index) {
      const std::string argument = arguments[index];
      const auto equals = argument.find('=');
      if (argument.rfind("--", 0) == 0 && equals != std::string::npos)
        values_[argument.substr(2, equals - 2)] = argument.substr(equals + 1);
    }
  }

  std::string operator[](const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? "" : found->second;
  }

  bool is_true(const std::string& name) const { return (*this)[name] == "true"; }

 private:
  std::map<std::string, std::string> values_;
};

std::string read_file(const std::string& path);

int run_server(const Flags& flags);
int run_client(const Flags& flags);

// Whether the message that `call` received last came compressed.
inline bool came_compressed(grpc_call* call) {
  // GRPC_WRITE_INTERNAL_COMPRESS; GRPC_WRITE_INTERNAL_TEST_ONLY_WAS_COMPRESSED is what is left once it was inflated.
  return (grpc_call_test_only_get_message_flags(call) & (0x80000000u | 0x40000000u)) != 0;
}

inline grpc::testing::Payload zeros(int size) {
  grpc::testing::Payload payload;
  payload.set_body(std::string(size, '\0'));
  return payload;
}

}  // namespace peer
