import pytest

from rpnb.errors import BadInput
from rpnb.program.fields import REQUIRED, Field, defaults, fields, missing, to_input, with_values

SCHEMA = """
INPUT_SCHEMA = {
    "prompt": {"type": str, "required": True},
    "steps": {"type": int, "required": False, "default": 20, "constraints": lambda s: 0 < s <= 50},
    "mode": {"type": str, "default": "fast", "constraints": lambda m: m in ["fast", "good"]},
    "seed": {"type": int, "default": None},
}
"""
HANDLER = """
def handler(job):
    checked = validate(job["input"], INPUT_SCHEMA)
"""
FROM_SCHEMA = [
    Field("prompt", "str", REQUIRED, True),
    Field("steps", "int", 20, False, None, 0, 50),
    Field("mode", "str", "fast", False, ("fast", "good")),
    Field("seed", "int", None, False),
]


def test_fields_schema_in_program_is_read():
    assert fields(SCHEMA + HANDLER) == FROM_SCHEMA


def test_fields_schema_in_sibling_module_is_found():
    text = "from schemas import INPUT_SCHEMA\n" + HANDLER
    assert fields(text, module_text={"schemas": SCHEMA}.get) == FROM_SCHEMA


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('return job["input"]["prompt"]', [Field("prompt", "any", REQUIRED, True)]),
        ('x = job["input"]\n    return x.get("steps", 20)', [Field("steps", "int", 20, False)]),
        ('x = job.get("input", {})\n    return x["a"]', [Field("a", "any", REQUIRED, True)]),
        ('x = job.get("input") or {}\n    x.get("on", False)', [Field("on", "bool", False, False)]),
        ('return int(job["input"]["n"])', [Field("n", "int", REQUIRED, True)]),
        ('return float(job["input"].get("t"))', [Field("t", "float", None, False)]),
        ('return job["input"].get("w", WIDTH)', [Field("w", "any", REQUIRED, False)]),
        ('return job["input"].pop("a")', [Field("a", "any", REQUIRED, True)]),
        ('return job["id"]', []),
        ('x = job["input"]\n    x["a"] if "a" in x else 0', [Field("a", "any", None, False)]),
        (
            'p = job["input"].get("p")\n    if not p:\n        return {"error": "no p"}',
            [Field("p", "any", REQUIRED, True)],
        ),
    ],
)  # fmt: skip
def test_fields_reads_of_input_are_found(body, expected):
    assert fields(f"def handler(job):\n    {body}\n") == expected


def test_fields_function_given_the_input_is_followed():
    text = """
def size(options, scale):
    return options.get("width", 512) * scale

def run(event):
    return size(event["input"], 2)
"""
    assert fields(text, "run") == [Field("width", "int", 512, False)]


def test_fields_text_without_syntax_has_none():
    assert fields("def handler(job:\n") == []


def test_defaults_need_every_required_field():
    assert defaults(FROM_SCHEMA) is None
    assert defaults(FROM_SCHEMA[1:]) == {"steps": 20, "mode": "fast"}


def test_defaults_without_fields_are_no_input():
    assert defaults([]) is None


def test_missing_names_empty_required_fields():
    assert missing(FROM_SCHEMA, {"prompt": ""}) == ["prompt"]


def test_to_input_converts_by_type_and_leaves_empty_out():
    kinds = {"n": "int", "f": "float", "on": "bool", "l": "list", "text": "str", "free": "any"}
    found = [Field(name, kind) for name, kind in kinds.items()]
    found.append(Field("none", "str", None, required=False))
    typed = {
        "n": "3",
        "f": "0.5",
        "on": "Yes",
        "l": "[1]",
        "text": "42",
        "free": '{"a": 1}',
        "none": "",
    }
    assert to_input(found, typed) == {
        "n": 3, "f": 0.5, "on": True, "l": [1], "text": "42", "free": {"a": 1}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("int", "three", "`x` takes a whole number, not 'three'"),
        ("list", '{"a": 1}', "`x` takes a list as JSON"),
        ("bool", "perhaps", "true or false"),
        ("str", "", "`x` is required"),
    ],
)
def test_to_input_wrong_value_names_the_field(kind, value, message):
    with pytest.raises(BadInput, match=message):
        to_input([Field("x", kind)], {"x": value})


def test_with_values_earlier_input_becomes_default():
    assert with_values([Field("a")], {"a": 5})[0].default == 5
