// The client side of gRPC's interop tests on gRPC C++.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "grpc/testing/test.grpc.pb.h"
#include "peer.h"

namespace grpc::testing {

// A friend of the context, which shows it the call.
class InteropClientContextInspector {
 public:
  static bool came_compressed(const ::grpc::ClientContext& context) { return peer::came_compressed(context.call_); }
};

}  // namespace grpc::testing

namespace {

using grpc::Status;
using grpc::StatusCode;
using namespace grpc::testing;
using Inspector = InteropClientContextInspector;

constexpr int large_request = 271828, large_response = 314159;
const std::vector<int> request_sizes = {27182, 8, 1828, 45904}, response_sizes = {31415, 9, 2653, 58979};

[[noreturn]] void fail(const std::string& text) { throw std::runtime_error(text); }

void expect(bool holds, const std::string& what) {
  if (!holds) fail(what);
}

void expect_status(const Status& status, StatusCode code) {
  if (status.error_code() != code)
    fail("The status is " + std::to_string(status.error_code()) + " (" + status.error_message() + ") instead of " +
         std::to_string(code) + ".");
}

void expect_zeros(const Payload& payload, int size) {
  expect(payload.body() == std::string(size, '\0'),
         "A payload of " + std::to_string(payload.body().size()) + " bytes instead of " + std::to_string(size) +
             " zeros.");
}

// A context of a call that ends within a minute.
struct Context : grpc::ClientContext {
  Context() { set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60)); }
};

SimpleRequest large() {
  SimpleRequest request;
  request.set_response_size(large_response);
  *request.mutable_payload() = peer::zeros(large_request);
  return request;
}

StreamingInputCallRequest input(int size) {
  StreamingInputCallRequest request;
  *request.mutable_payload() = peer::zeros(size);
  return request;
}

StreamingOutputCallRequest asking(int response, int request_size) {
  StreamingOutputCallRequest request;
  request.add_response_parameters()->set_size(response);
  *request.mutable_payload() = peer::zeros(request_size);
  return request;
}

using Stub = TestService::Stub;

void empty_unary(Stub& stub) {
  Context context;
  Empty response;
  expect_status(stub.EmptyCall(&context, Empty(), &response), StatusCode::OK);
  expect(response.ByteSizeLong() == 0, "The response is not empty.");
}

// One call with a large payload each way; with `flag`, compressed as it says and announced as such.
void unary(Stub& stub, SimpleRequest request, bool compressed, StatusCode code = StatusCode::OK) {
  Context context;
  context.set_compression_algorithm(compressed ? GRPC_COMPRESS_GZIP : GRPC_COMPRESS_NONE);
  SimpleResponse response;
  expect_status(stub.UnaryCall(&context, request, &response), code);
  if (code != StatusCode::OK) return;
  expect_zeros(response.payload(), large_response);
  if (request.has_response_compressed())
    expect(Inspector::came_compressed(context) == request.response_compressed().value(),
           "The response's compressed flag is wrong.");
}

void large_unary(Stub& stub) { unary(stub, large(), false); }

void client_compressed_unary(Stub& stub) {
  SimpleRequest request = large();
  request.mutable_expect_compressed()->set_value(true);
  unary(stub, request, false, StatusCode::INVALID_ARGUMENT);
  unary(stub, request, true);
  request.mutable_expect_compressed()->set_value(false);
  unary(stub, request, false);
}

void server_compressed_unary(Stub& stub) {
  SimpleRequest request = large();
  request.mutable_response_compressed()->set_value(true);
  unary(stub, request, false);
  request.mutable_response_compressed()->set_value(false);
  unary(stub, request, false);
}

void client_streaming(Stub& stub) {
  Context context;
  StreamingInputCallResponse response;
  auto writer = stub.StreamingInputCall(&context, &response);
  for (int size : request_sizes) expect(writer->Write(input(size)), "A request could not be written.");
  writer->WritesDone();
  expect_status(writer->Finish(), StatusCode::OK);
  expect(response.aggregated_payload_size() == 74922, "The aggregated size is wrong.");
}

void client_compressed_streaming(Stub& stub) {
  StreamingInputCallRequest first = input(27182), second = input(45904);
  first.mutable_expect_compressed()->set_value(true);
  second.mutable_expect_compressed()->set_value(false);
  grpc::WriteOptions uncompressed;
  uncompressed.set_no_compression();
  StreamingInputCallResponse response;
  {
    Context context;
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    auto probe = stub.StreamingInputCall(&context, &response);
    probe->Write(first, uncompressed);
    probe->WritesDone();
    expect_status(probe->Finish(), StatusCode::INVALID_ARGUMENT);
  }
  Context context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  auto writer = stub.StreamingInputCall(&context, &response);
  expect(writer->Write(first), "The compressed request could not be written.");
  expect(writer->Write(second, uncompressed), "The uncompressed request could not be written.");
  writer->WritesDone();
  expect_status(writer->Finish(), StatusCode::OK);
  expect(response.aggregated_payload_size() == 73086, "The aggregated size is wrong.");
}

void server_streaming(Stub& stub) {
  Context context;
  StreamingOutputCallRequest request;
  for (int size : response_sizes) request.add_response_parameters()->set_size(size);
  auto reader = stub.StreamingOutputCall(&context, request);
  StreamingOutputCallResponse response;
  for (int size : response_sizes) {
    expect(reader->Read(&response), "A response is missing.");
    expect_zeros(response.payload(), size);
  }
  expect(!reader->Read(&response), "There is a response too many.");
  expect_status(reader->Finish(), StatusCode::OK);
}

void server_compressed_streaming(Stub& stub) {
  Context context;
  StreamingOutputCallRequest request;
  const std::vector<int> sizes = {31415, 92653};
  for (int size : sizes) {
    auto* parameters = request.add_response_parameters();
    parameters->mutable_compressed()->set_value(size == sizes[0]);
    parameters->set_size(size);
  }
  auto reader = stub.StreamingOutputCall(&context, request);
  StreamingOutputCallResponse response;
  for (int size : sizes) {
    expect(reader->Read(&response), "A response is missing.");
    expect(Inspector::came_compressed(context) == (size == sizes[0]), "A response's compressed flag is wrong.");
    expect_zeros(response.payload(), size);
  }
  expect(!reader->Read(&response), "There is a response too many.");
  expect_status(reader->Finish(), StatusCode::OK);
}

void ping_pong(Stub& stub) {
  Context context;
  auto stream = stub.FullDuplexCall(&context);
  StreamingOutputCallResponse response;
  for (size_t turn = 0; turn < request_sizes.size(); ++turn) {
    expect(stream->Write(asking(response_sizes[turn], request_sizes[turn])), "A request could not be written.");
    expect(stream->Read(&response), "A response is missing.");
    expect_zeros(response.payload(), response_sizes[turn]);
  }
  stream->WritesDone();
  expect(!stream->Read(&response), "There is a response too many.");
  expect_status(stream->Finish(), StatusCode::OK);
}

void empty_stream(Stub& stub) {
  Context context;
  auto stream = stub.FullDuplexCall(&context);
  stream->WritesDone();
  StreamingOutputCallResponse response;
  expect(!stream->Read(&response), "There is a response.");
  expect_status(stream->Finish(), StatusCode::OK);
}

void add_echoes(grpc::ClientContext& context) {
  context.AddMetadata("x-grpc-test-echo-initial", "test_initial_metadata_value");
  context.AddMetadata("x-grpc-test-echo-trailing-bin", "\xab\xab\xab");
}

void expect_echoes(const grpc::ClientContext& context) {
  const auto& initial = context.GetServerInitialMetadata();
  const auto first = initial.find("x-grpc-test-echo-initial");
  expect(first != initial.end() && first->second == "test_initial_metadata_value", "The initial metadata is wrong.");
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto last = trailing.find("x-grpc-test-echo-trailing-bin");
  expect(last != trailing.end() && last->second == "\xab\xab\xab", "The trailing metadata is wrong.");
}

void custom_metadata(Stub& stub) {
  {
    Context context;
    add_echoes(context);
    SimpleResponse response;
    expect_status(stub.UnaryCall(&context, large(), &response), StatusCode::OK);
    expect_zeros(response.payload(), large_response);
    expect_echoes(context);
  }
  Context context;
  add_echoes(context);
  auto stream = stub.FullDuplexCall(&context);
  stream->Write(asking(large_response, large_request));
  stream->WritesDone();
  StreamingOutputCallResponse response;
  expect(stream->Read(&response), "The response is missing.");
  expect_zeros(response.payload(), large_response);
  expect(!stream->Read(&response), "There is a response too many.");
  expect_status(stream->Finish(), StatusCode::OK);
  expect_echoes(context);
}

void expect_message(Stub& stub, const std::string& message) {
  Context context;
  SimpleRequest request;
  request.mutable_response_status()->set_code(2);
  request.mutable_response_status()->set_message(message);
  SimpleResponse response;
  const Status status = stub.UnaryCall(&context, request, &response);
  expect_status(status, StatusCode::UNKNOWN);
  expect(status.error_message() == message, "The status message is \"" + status.error_message() + "\".");
}

void special_status_message(Stub& stub) {
  expect_message(stub, "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n");
}

void status_code_and_message(Stub& stub) {
  const std::string message = "test status message";
  expect_message(stub, message);
  Context context;
  auto stream = stub.FullDuplexCall(&context);
  StreamingOutputCallRequest request;
  request.mutable_response_status()->set_code(2);
  request.mutable_response_status()->set_message(message);
  stream->Write(request);
  stream->WritesDone();
  StreamingOutputCallResponse response;
  expect(!stream->Read(&response), "There is a response.");
  const Status status = stream->Finish();
  expect_status(status, StatusCode::UNKNOWN);
  expect(status.error_message() == message, "The status message is \"" + status.error_message() + "\".");
}

void unimplemented_method(Stub& stub) {
  Context context;
  Empty response;
  expect_status(stub.UnimplementedCall(&context, Empty(), &response), StatusCode::UNIMPLEMENTED);
}

void cancel_after_begin(Stub& stub) {
  Context context;
  StreamingInputCallResponse response;
  auto writer = stub.StreamingInputCall(&context, &response);
  context.TryCancel();
  expect_status(writer->Finish(), StatusCode::CANCELLED);
}

void cancel_after_first_response(Stub& stub) {
  Context context;
  auto stream = stub.FullDuplexCall(&context);
  stream->Write(asking(31415, 27182));
  StreamingOutputCallResponse response;
  expect(stream->Read(&response), "The response is missing.");
  expect_zeros(response.payload(), 31415);
  context.TryCancel();
  expect_status(stream->Finish(), StatusCode::CANCELLED);
}

void timeout_on_sleeping_server(Stub& stub) {
  empty_unary(stub);  // a connection that stands already, so that the time is not spent on making it
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(1));
  auto stream = stub.FullDuplexCall(&context);
  StreamingOutputCallRequest request;
  *request.mutable_payload() = peer::zeros(27182);
  stream->Write(request);
  StreamingOutputCallResponse response;
  stream->Read(&response);
  expect_status(stream->Finish(), StatusCode::DEADLINE_EXCEEDED);
}

const std::map<std::string, std::function<void(Stub&)>> cases = {
    {"empty_unary", empty_unary},
    {"large_unary", large_unary},
    {"client_compressed_unary", client_compressed_unary},
    {"server_compressed_unary", server_compressed_unary},
    {"client_streaming", client_streaming},
    {"client_compressed_streaming", client_compressed_streaming},
    {"server_streaming", server_streaming},
    {"server_compressed_streaming", server_compressed_streaming},
    {"ping_pong", ping_pong},
    {"empty_stream", empty_stream},
    {"custom_metadata", custom_metadata},
    {"status_code_and_message", status_code_and_message},
    {"special_status_message", special_status_message},
    {"unimplemented_method", unimplemented_method},
    {"cancel_after_begin", cancel_after_begin},
    {"cancel_after_first_response", cancel_after_first_response},
    {"timeout_on_sleeping_server", timeout_on_sleeping_server},
};

void unimplemented_service(const std::shared_ptr<grpc::Channel>& channel) {
  Context context;
  Empty response;
  expect_status(
      UnimplementedService::NewStub(channel)->UnimplementedCall(&context, Empty(), &response),
      StatusCode::UNIMPLEMENTED);
}

}  // namespace

int peer::run_client(const Flags& flags) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  grpc::ChannelArguments arguments;
  if (flags.is_true("use_tls")) {
    grpc::SslCredentialsOptions options;
    if (flags.is_true("use_test_ca")) options.pem_root_certs = read_file(flags["ca_file"]);
    credentials = grpc::SslCredentials(options);
    if (const auto name = flags["server_host_override"]; !name.empty()) arguments.SetSslTargetNameOverride(name);
  }
  const auto channel =
      grpc::CreateCustomChannel(flags["server_host"] + ":" + flags["server_port"], credentials, arguments);
  const auto name = flags["test_case"];
  try {
    if (name == "unimplemented_service") {
      unimplemented_service(channel);
    } else {
      const auto found = cases.find(name);
      expect(found != cases.end(), "There is no such case.");
      const auto stub = TestService::NewStub(channel);
      found->second(*stub);
    }
  } catch (const std::exception& error) {
    std::cerr << name << " failed: " << error.what() << "\n";
    return 1;
  }
  std::cout << name << " passed\n";
  return 0;
}
