"""The gateway `http` is a template for providers that have an HTTP API. It has presets for Kannel and Jasmin."""

from .gateway import TemplateGateway

__all__ = ["TemplateGateway"]
