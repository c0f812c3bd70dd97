"""What docs/adding.md tells a stranger to write: its files by their path, and the study of all of them."""

import re
from pathlib import Path

import yaml

PAGE = Path(__file__).parents[1] / "docs/adding.md"
_TEXT = PAGE.read_text(encoding="utf-8")
FILES: dict[str, str] = dict(re.findall(r"^`(src/mute/[a-z_/]+\.py)`:\n\n```python\n(.*?)^```$", _TEXT, re.M | re.S))
# Before it stands how a file outside the package is named.
*_, _STUDY = re.findall(r"^```yaml\n(.*?)^```$", _TEXT, re.M | re.S)
STUDY: dict = yaml.safe_load(_STUDY)
