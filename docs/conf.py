"""Sphinx configuration: MyST Markdown pages and the Python API from its docstrings."""

project = "stage"
author = "The stage developers"
copyright = "2026, the stage developers"
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "stage"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
# Names of types in docstrings are words for people: "sequence of str", "int or None".
nitpicky = False
