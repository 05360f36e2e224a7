"""The ``stage`` command: options in, calls to `stage`, text or JSON out. No logic lives here."""
