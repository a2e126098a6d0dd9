internal import Contract

/// Serves `clinicavoice.appointment.v1.TimeBlockService`; an RPC without a file of its own answers UNIMPLEMENTED.
struct TimeBlockHandlers: AppointmentV1.TimeBlockService {}
