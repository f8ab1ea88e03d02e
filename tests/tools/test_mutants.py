"""Planted faults: what the tool needs before it plants any."""
import pytest

import tandem
from tandem import FRAMEWORKS, TandemError
from tandem.tools import mutants, source


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_lesson_without_a_built_notebook_is_told_to_build_it(framework, tmp_path, monkeypatch):
    lesson = source.find("06")
    monkeypatch.setattr(tandem, "ROOT", tmp_path)
    with pytest.raises(TandemError, match="tandem build 06"):
        mutants.judge(lesson, framework)
