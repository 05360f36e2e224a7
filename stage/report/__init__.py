"""What happened, as text, JSON and one HTML page."""
