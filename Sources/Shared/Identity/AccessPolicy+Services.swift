extension AccessPolicy {
  /// The table of DOMAIN 1 for patient-service.
  package static let patientService = AccessPolicy(
    domain: "patient.clinicavoice",
    rules: infrastructure.merging(
      entries(
        of: patientServiceName,
        [
          (
            .staff,
            [
              "CreatePatient", "GetPatientByMrn", "ListPatients", "SearchPatients", "UpdatePatient",
              "DeactivatePatient", "ReactivatePatient", "SendInvitation", "DeactivateAccount",
            ]
          ),
          (.everyRole, ["GetPatient"]),
          (.staffAndServices, ["BatchGetPatients", "WatchPatients", "ExportPatients"]),
          (.open, ["ActivateAccount"]),
          (.services, ["RecordLogin", "ValidatePatientReferences", "ImportPatients"]),
          (.roles([.patient, .service]), ["ResolvePatientIdentity"]),
        ])
    ) { _, last in last },
    serviceLimits: [
      // S188.
      "appointment-service": [
        "/\(patientServiceName)/ValidatePatientReferences",
        "/\(patientServiceName)/BatchGetPatients",
        "/\(patientServiceName)/ResolvePatientIdentity",
      ]
    ])

  /// The table of DOMAIN 1 for appointment-service, which serves time blocks as well.
  package static let appointmentService = AccessPolicy(
    domain: "appointment.clinicavoice",
    rules: infrastructure.merging(
      entries(
        of: appointmentServiceName,
        [
          (
            .staff,
            [
              "CreateAppointment", "BatchCreateAppointments", "UpdateAppointment", "RescheduleAppointment",
              "UpdateAppointmentStatus", "CancelPatientAppointments", "ListAppointmentHistory", "SearchAvailability",
              "GetAppointmentAnalytics", "BatchGetVisitSummaries", "GetScheduleSettings", "UpdateScheduleSettings",
            ]
          ),
          (.everyRole, ["GetAppointment", "ListAppointments"]),
          (
            .staffAndServices,
            ["BatchGetAppointments", "FindOrphans", "WatchAppointments", "ExportAppointments"]
          ),
          (.services, ["ImportAppointments"]),
        ])
    ) { _, last in last }.merging(
      entries(
        of: timeBlockServiceName,
        [(.staff, ["CreateTimeBlock", "GetTimeBlock", "ListTimeBlocks", "UpdateTimeBlock", "DeleteTimeBlock"])])
    ) { _, last in last },
    // Nothing in patient-service calls this way (DESIGN 1), so its certificate opens nothing here.
    serviceLimits: ["patient-service": []])

  private static let patientServiceName = "clinicavoice.patient.v1.PatientService"
  private static let appointmentServiceName = "clinicavoice.appointment.v1.AppointmentService"
  private static let timeBlockServiceName = "clinicavoice.appointment.v1.TimeBlockService"
}
