"""The parts of a push: what goes, what is compared, what the journal knows."""
