"""Small notebook files for the tests of the command line."""

import nbformat

HANDLER = '%%runpod_handler\ndef handler(job):\n    return job["input"]'


def book(path, *sources, kernel="python3", **metadata):
    """Write a notebook with these code cells to `path`; a source that begins with MD: is text."""
    node = nbformat.v4.new_notebook()
    node.metadata = {"kernelspec": {"name": kernel, "display_name": kernel}, **metadata}
    for number, source in enumerate(sources, 1):
        new = (
            nbformat.v4.new_markdown_cell(source[3:])
            if source.startswith("MD:")
            else nbformat.v4.new_code_cell(source)
        )
        new.id = f"cell-{number}"
        node.cells.append(new)
    nbformat.write(node, path)
    return path
