// gRPC's interop test service on gRPC C++.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpc/testing/test.grpc.pb.h"
#include "peer.h"

namespace grpc::testing {

// A friend of the context, which shows it the call.
class InteropServerContextInspector {
 public:
  static bool came_compressed(const ::grpc::ServerContext& context) {
    return peer::came_compressed(context.call_.call);
  }
};

}  // namespace grpc::testing

namespace {

using grpc::ServerContext;
using grpc::Status;
using namespace grpc::testing;

void echo_metadata(ServerContext* context) {
  const auto& metadata = context->client_metadata();
  const auto copy = [&](const char* name, auto add) {
    const auto range = metadata.equal_range(name);
    for (auto item = range.first; item != range.second; ++item)
      add(name, std::string(item->second.data(), item->second.length()));
  };
  copy("x-grpc-test-echo-initial",
       [&](const char* name, const std::string& value) { context->AddInitialMetadata(name, value); });
  copy("x-grpc-test-echo-trailing-bin",
       [&](const char* name, const std::string& value) { context->AddTrailingMetadata(name, value); });
}

template <typename Request>
bool is_compressed_as_expected(const ServerContext& context, const Request& request) {
  return !request.has_expect_compressed() || !request.expect_compressed().value() ||
         InteropServerContextInspector::came_compressed(context);
}

const Status not_compressed(grpc::StatusCode::INVALID_ARGUMENT, "The request was expected to be compressed.");

template <typename Request>
Status status_of(const Request& request) {
  if (!request.has_response_status()) return Status::OK;
  return Status(
      static_cast<grpc::StatusCode>(request.response_status().code()), request.response_status().message());
}

template <typename Writer>
void answer(ServerContext* context, const StreamingOutputCallRequest& request, Writer* writer) {
  for (const auto& parameters : request.response_parameters()) {
    std::this_thread::sleep_for(std::chrono::microseconds(parameters.interval_us()));
    StreamingOutputCallResponse response;
    *response.mutable_payload() = peer::zeros(parameters.size());
    grpc::WriteOptions options;
    if (!parameters.compressed().value()) options.set_no_compression();
    writer->Write(response, options);
  }
}

class Service final : public TestService::Service {
 public:
  Status EmptyCall(ServerContext* context, const Empty*, Empty*) override {
    echo_metadata(context);
    return Status::OK;
  }

  Status UnaryCall(ServerContext* context, const SimpleRequest* request, SimpleResponse* response) override {
    echo_metadata(context);
    if (!is_compressed_as_expected(*context, *request)) return not_compressed;
    context->set_compression_algorithm(
        request->response_compressed().value() ? GRPC_COMPRESS_GZIP : GRPC_COMPRESS_NONE);
    *response->mutable_payload() = peer::zeros(request->response_size());
    return status_of(*request);
  }

  Status StreamingOutputCall(
      ServerContext* context, const StreamingOutputCallRequest* request,
      grpc::ServerWriter<StreamingOutputCallResponse>* writer) override {
    echo_metadata(context);
    context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
    answer(context, *request, writer);
    return status_of(*request);
  }

  Status StreamingInputCall(
      ServerContext* context, grpc::ServerReader<StreamingInputCallRequest>* reader,
      StreamingInputCallResponse* response) override {
    echo_metadata(context);
    StreamingInputCallRequest request;
    while (reader->Read(&request)) {
      if (!is_compressed_as_expected(*context, request)) return not_compressed;
      response->set_aggregated_payload_size(
          response->aggregated_payload_size() + static_cast<int>(request.payload().body().size()));
    }
    return Status::OK;
  }

  Status FullDuplexCall(
      ServerContext* context,
      grpc::ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>* stream) override {
    echo_metadata(context);
    StreamingOutputCallRequest request;
    while (stream->Read(&request)) {
      if (request.has_response_status()) return status_of(request);
      answer(context, request, stream);
    }
    return Status::OK;
  }

  Status HalfDuplexCall(
      ServerContext* context,
      grpc::ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>* stream) override {
    echo_metadata(context);
    std::vector<StreamingOutputCallRequest> requests;
    StreamingOutputCallRequest request;
    while (stream->Read(&request)) requests.push_back(request);
    for (const auto& request : requests) answer(context, request, stream);
    return Status::OK;
  }
};

}  // namespace

int peer::run_server(const Flags& flags) {
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (flags.is_true("use_tls")) {
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({read_file(flags["tls_key_file"]), read_file(flags["tls_cert_file"])});
    credentials = grpc::SslServerCredentials(options);
  }
  Service service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + flags["port"], credentials, &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || port == 0) {
    std::cerr << "The server could not listen on port " << flags["port"] << ".\n";
    return 1;
  }
  std::cout << "listening on " << port << std::endl;
  server->Wait();
  return 0;
}
