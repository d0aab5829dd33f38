"""The gateway `http`: a template for providers with an HTTP API, and presets for Kannel and Jasmin."""

from .gateway import TemplateGateway

__all__ = ["TemplateGateway"]
