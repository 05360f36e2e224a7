"""Tables that people have, of any usual form: read, understood, and made into data IDs or a whole repository."""
