"""Takes the folders of this machine out of text for a page, which others read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

# What stands before the last name of an absolute path, one from home, or one such as ../models/big.onnx
_FOLDER = re.compile(r"(?<![\w:/\\.~-])(?:~\w*|\.{1,2}|[A-Za-z]:)?[/\\](?:[^\s/\\:;,'\"()]+[/\\])*(?=[^\s/\\])")


def without_folders(text: str, folders: Iterable[str]) -> str:
    """Leave of each path in a text its last name.

    Args:
        text: The text.
        folders: Folders that it may name, whose names may have spaces; also URLs of such.

    Returns:
        The text without them, and without what else looks like a folder.
    """
    known = {form for folder in folders for form in (folder, str(Path(folder).absolute()))}
    for folder in sorted((form for form in known if len(Path(form).parts) > 1), key=len, reverse=True):
        text = text.replace(f"{folder}{os.sep}", "").replace(folder, Path(folder).name)
    return _FOLDER.sub("", text)
