raise RuntimeError("this OpenTelemetry is broken")
