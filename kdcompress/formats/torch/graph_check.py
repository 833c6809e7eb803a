"""Check of the graph in a .pt2 file: its operators only compute, and no text of it can become code."""

from __future__ import annotations

import json
import re
from typing import Any

from kdcompress.errors import ModelError
from kdcompress.trust import REMEDY, trusts_code

_OPERATORS = re.compile(
    r"torch\.ops\.aten\.(?!__)\w+\.[A-Za-z]\w*"
    r"|torch\.ops\.aten\.__i?(and|or|xor|lshift|rshift)__\.[A-Za-z]\w*"
    r"|torch\.ops\.higher_order\.(cond|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|_operator\.(getitem|add|sub|mul|neg|floordiv|truediv|mod|pow|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt)"
    r"|torch\.(_?sym_(int|float|max|min|not|ite|sum|sqrt))"
)
_ANY_OPERATOR = re.compile(r"torch\.ops\.[A-Za-z]\w*\.(?!__)\w+(\.[A-Za-z]\w*)?")
_REACHING_FILES = re.compile(r"torch\.ops\.aten\.(from_file|save|load|_print|warn)\b.*")
# Sympy evaluates expressions as Python: only sums and products of symbols, and functions of PyTorch's own. Powers of
# numbers could fill the memory
_SYMBOL = r"(?:Symbol\('[a-z]{1,4}\d{1,6}'(?:, \w+=(?:True|False))*\)|\b[a-z]{1,2}\d{1,6}\b)"
_FUNCTIONS = (
    "FloorDiv ModularIndexing Where PythonMod Mod CleanDiv CeilToInt FloorToInt CeilDiv IntTrueDiv FloatTrueDiv "
    "TruncToInt TruncToFloat RoundToInt ToFloat Identity Max Min Add Mul Integer Rational Eq Ne Lt Le Gt Ge "
    "Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan And Or Not"
)
_EXPRESSION_PARTS = re.compile(
    rf"Pow\({_SYMBOL}, Integer\([2-9]\)\)|{_SYMBOL}|\b(?:{'|'.join(_FUNCTIONS.split())})(?=\()|\b(?:true|false)\b"
)
_BETWEEN_PARTS = re.compile(r"(?:[\s+/%(),<>=-]|\*(?!\*)|\b\d{1,20}\b(?!\.))*")
# Names become names in generated code
_NAME = re.compile(r"[\w.+@-]*")
_TEXT = re.compile(r"[^'\"\\\n\r]{0,1000}")
_CONTAINERS = (
    "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", "collections.namedtuple", None,
)  # fmt: skip
_MAX_DEPTH = 60


def check_graph(document: Any, source: str) -> Any:
    """Check a serialized ExportedProgram.

    Args:
        document: The parsed models/model.json.
        source: Name of the file in messages.

    Returns:
        The document without metadata and without the Python code of its guards.

    Raises:
        ModelError: It names an operator that could do more than compute, or has text that could become code.
    """
    return _check(document, source, "", 0)


def _check(value: Any, source: str, key: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ModelError(f"{source} is damaged: its graph is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {_check_text(name, source, "name"): _replaced(name, item, source, depth) for name, item in value.items()}
    if isinstance(value, list):
        return [_check(item, source, key, depth + 1) for item in value]
    return _check_text(value, source, key) if isinstance(value, str) else value


def _replaced(key: str, value: Any, source: str, depth: int) -> Any:
    if key == "metadata":
        return {}
    return [] if key == "guards_code" else _check(value, source, key, depth + 1)


def _check_text(text: str, source: str, key: str) -> str:
    if key in ("target", "as_operator"):
        _check_operator(text, source)
    elif key in ("in_spec", "out_spec"):
        _check_structure(json.loads(text)[1] if text else None, source)
    elif key == "expr_str":
        if not _BETWEEN_PARTS.fullmatch(_EXPRESSION_PARTS.sub("", text)):
            raise ModelError(f"{source} has a size that is no expression of sizes: {_quote(text)}; it is not opened")
    elif not (_TEXT if key in ("as_string", "as_strings") else _NAME).fullmatch(text) or _is_special(text):
        raise ModelError(f"{source} has a name that could become code: {_quote(text)}; it is not opened")
    return text


def _is_special(name: str) -> bool:
    return any(part.startswith("__") and part.endswith("__") for part in name.split("."))


def _check_operator(target: str, source: str) -> None:
    if _OPERATORS.fullmatch(target) and not _REACHING_FILES.fullmatch(target):
        return
    if not (trusts_code() and _ANY_OPERATOR.fullmatch(target)):
        raise ModelError(
            f"{source} holds the operator {_quote(target)}, which is none of PyTorch's own that only compute; "
            f"{REMEDY}, or give module:function that builds the model"
        )


def _check_structure(spec: Any, source: str) -> None:
    """Check the structure of inputs or outputs, whose other types could import modules."""
    if spec is None:
        return
    context = spec["context"]
    plain = json.loads(context) if isinstance(context, str) and context[:1] in '[{"' else context
    if spec["type"] not in _CONTAINERS or not _is_flat(plain):
        raise ModelError(
            f"{source} has inputs or outputs of the type {_quote(str(spec['type']))}; export a module that returns a "
            "tensor, or a tuple or dict of tensors"
        )
    for child in spec["children_spec"]:
        _check_structure(child, source)


def _is_flat(context: Any) -> bool:
    items = context if isinstance(context, list) else [context]
    return all(item is None or isinstance(item, str | int) for item in items)


def _quote(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")
