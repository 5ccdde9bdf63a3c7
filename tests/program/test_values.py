"""Values of the libraries that people use: the same in a fresh process, or a sentence."""

import json

import pytest

from rpnb.errors import CannotCapture
from tests.real.libraries import need

# The library; the cell that makes the values; what is the same there.
VALUES = {
    "frame": ("pandas", "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2], 'b': pd.Categorical("
              "['x', 'y'])}, index=pd.date_range('2026-01-01', periods=2))\npart = df[df.a > 1]",
              "[df.a.to_list(), str(df.b.dtype), str(part.index[0]), str(df.index.freq)]"),
    "picture": ("PIL", "from PIL import Image\nimport numpy as np\n"
                "ims = [Image.fromarray(np.full((4, 5, 3), 7, 'uint8'))]\n"
                "ims += [Image.new('P', (3, 2), 4),\n        Image.new('RGBA', (2, 2), 5)]",
                "[[im.mode, im.size, im.tobytes().hex()] for im in ims]"),
    "pydantic": ("pydantic", "import pydantic, typing\n"
                 "class Point(pydantic.BaseModel):\n    x: int = 0\n"
                 "class Job(pydantic.BaseModel):\n    at: Point\n    tags: typing.List[str] = []\n"
                 "    @pydantic.field_validator('tags')\n    @classmethod\n"
                 "    def low(cls, tags): return [t.lower() for t in tags]\n"
                 "job = Job(at=Point(x=3), tags=['A'])",
                 "[job.model_dump(), isinstance(job.at, Point), Job(at={'x': '4'}).at.x]"),
    "fitted model": ("sklearn", "import numpy as np\n"
                     "from sklearn.linear_model import LinearRegression\n"
                     "from sklearn.pipeline import make_pipeline\n"
                     "from sklearn.preprocessing import FunctionTransformer\n"
                     "def doubled(x): return 2 * x\nX = np.arange(6.0).reshape(3, 2)\n"
                     "model = make_pipeline(FunctionTransformer(doubled), LinearRegression())\n"
                     "_ = model.fit(X, [1, 2, 3])", "model.predict([[1, 2]]).round(6).tolist()"),
    "tensor and module": ("torch", "import torch\nclass Net(torch.nn.Module):\n"
                          "    def __init__(self):\n        super().__init__()\n"
                          "        self.lin = torch.nn.Linear(2, 1)\n"
                          "    def forward(self, x): return self.lin(x) * scale\n"
                          "scale = torch.tensor([2.0])\nnet = Net().eval()",
                          "net(torch.ones(1, 2)).tolist()"),
}  # fmt: skip


@pytest.mark.parametrize("case", VALUES)
def test_value_of_a_library_is_the_same_in_a_fresh_process(notebook, case):
    library, text, use = VALUES[case]
    need(library)
    notebook.cell(text)
    notebook.setup(f"x = {use}")
    # As JSON has it: a tuple comes back as a list.
    assert notebook.remote_value("x") == json.loads(json.dumps(notebook.value(use)))


def test_change_in_place_between_builds_is_another_file(notebook):
    pytest.importorskip("pandas")
    notebook.cell("import pandas as pd\ndf = pd.DataFrame({'a': range(10)})")
    notebook.setup("x = int(df.a.sum())")
    before = notebook.build().files
    notebook.cell("df.loc[3, 'a'] = 100")
    assert notebook.build().files != before
    assert notebook.remote_value("x") == 142


def test_model_over_the_limit_is_refused_with_what_to_do(notebook):
    notebook.cell(
        "import numpy as np\nclass Model:\n    def __init__(self):\n"
        "        self.layers = [np.zeros(1_000_000) for _ in range(10)]\nmodel = Model()"
    )
    notebook.setup("x = len(model.layers)")
    with pytest.raises(CannotCapture, match=r"`model` is 80 MB: a set-up cell .*--send model"):
        notebook.build()
