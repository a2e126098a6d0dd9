@main
struct AppointmentServiceMain {
  static func main() async {}
}
