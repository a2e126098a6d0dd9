// A peer for the interop tests: `peer server|client --name=value…`, with the flags of the interop test descriptions.
#include <fstream>
#include <iostream>
#include <sstream>

#include "peer.h"

std::string peer::read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

int main(int count, char** arguments) {
  const std::string side = count > 1 ? arguments[1] : "";
  const peer::Flags flags(count, arguments);
  if (side == "server") return peer::run_server(flags);
  if (side == "client") return peer::run_client(flags);
  std::cerr << "usage: peer server|client --name=value...\n";
  return 64;
}
