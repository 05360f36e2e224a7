"""Task forms other than the class: functions and shell scripts, and the built-in no-op."""
