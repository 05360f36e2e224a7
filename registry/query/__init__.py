"""The ``where`` language: text, tree, names bound to a universe."""
