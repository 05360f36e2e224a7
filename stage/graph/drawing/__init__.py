"""Pictures of pipelines and graphs: dot, mermaid, text and SVG."""

from stage.graph.drawing.draw import FORMATS, draw

__all__ = ["FORMATS", "draw"]
