from typing import Any

def intrinsic(function) -> Any: ...  # what it makes takes other arguments than the function
