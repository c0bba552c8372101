"""Attributes of an ONNX node as Python values."""

from __future__ import annotations

from onnx import NodeProto, helper


def attributes_of(node: NodeProto) -> dict:
    """Return the attributes of ``node``: name -> number, bytes, list or tensor."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
