"""A class: assignments made of a lesson's exercises, and what students hand in, graded (docs/teaching/README.md).

    python -m tandem teach 02            the assignment in both frameworks: classroom/release is for the students
    python -m tandem grade 02 FOLDER     grades the notebooks in FOLDER: classroom/grades_02.csv, and a page of feedback for each

nbgrader does it, in an environment of its own (requirements-teaching.txt). In front of it stands `graft`: nbgrader alone leaves a
student ungraded who deleted a check or copied a cell, and a whole class waits for one answer that kills its kernel.
"""
import ast
import collections
import csv
import json
import os
import re
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

import tandem
from tandem import FRAMEWORK_NAMES, TandemError
from tandem.tools import exercises, notebook

REQUIREMENTS = "requirements-teaching.txt"
SECONDS = 30  # the longest that a cell of a submission may take
LOOK = "Look at it yourself"
UNSEEN_CHECK = "# More checks run here when this is graded."
CONFIG = f'''c = get_config()  # noqa: F821  (nbgrader gives it)
c.CourseDirectory.course_id = "tandem"
c.CourseDirectory.submitted_directory = "grafted"  # what was handed in, with the released checks: see tandem/tools/classroom.py
c.ClearSolutions.code_stub = {{"python": "{exercises.STUB}"}}
c.OverwriteCells.add_missing_cells = True
c.IgnorePattern.enabled = True  # else a word on stderr, such as a library's warning, costs the points of a check
c.IgnorePattern.pattern = r"[\\s\\S]*"
'''
SCORES = """
import json, sys
from nbgrader.api import Gradebook
found = {}
with Gradebook(sys.argv[1]) as book:
    for submission in book.assignment_submissions(sys.argv[2]):
        found[submission.student.id] = {grade.name: grade.score for one in submission.notebooks for grade in one.grades}
print(json.dumps(found))
"""


class ClassroomError(TandemError):
    """An assignment cannot be made or graded; the message says what to do."""


@dataclass
class Submission:
    """What one student handed in, in one framework, and what became of it."""
    student: str
    framework: str
    path: Path
    odd: list = field(default_factory=list)  # what a person should look at
    scores: dict = field(default_factory=dict)  # {exercise: points}
    said: dict = field(default_factory=dict)  # {exercise: what its check said}


def install(report=print):
    """Makes .venv-teaching, with nbgrader, or renews it where its requirements changed."""
    place, wanted = tandem.ROOT / ".venv-teaching", (tandem.ROOT / REQUIREMENTS).read_text(encoding="utf-8")
    stamp = place / "installed"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    report("Installing nbgrader into .venv-teaching, once: half a minute, 0.3 GB.")
    venv.create(place, with_pip=True, clear=True)
    done = subprocess.run([_program("python"), "-m", "pip", "install", "--disable-pip-version-check", "-q", "-r", REQUIREMENTS],
                          cwd=tandem.ROOT)
    if done.returncode:
        raise ClassroomError("nbgrader could not be installed (why stands above): mend that, and type the command again.")
    kernel = place / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True, exist_ok=True)  # nbgrader's notebooks run with the frameworks, here
    kernel.write_text(json.dumps({"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                                  "display_name": "Tandem", "language": "python"}), encoding="utf-8")
    stamp.write_text(wanted, encoding="utf-8")


def teach(lesson, folder="classroom", seed=0, report=print):
    """Makes a lesson's assignments in both frameworks: folder/source for the instructor, folder/release for the students.

    seed: other random numbers for the hidden checks than those that everybody can read in the lesson; every solution and every
    known mistake is tried with them first.
    """
    if not exercises.of_lesson(lesson):
        raise ClassroomError(f"Lesson {lesson.title} has no exercises: take one of {_listed(_lessons_with_exercises())}.")
    lesson, course = exercises.with_seed(lesson, seed), Path(folder)
    install(report)
    if seed:
        _try_all(lesson, seed, report)
    course.mkdir(parents=True, exist_ok=True)
    if not (course / "nbgrader_config.py").exists():
        (course / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    for framework in lesson.frameworks:
        name = _name(lesson, framework)
        place = course / "source" / name
        place.mkdir(parents=True, exist_ok=True)
        nbformat.write(assignment(lesson, framework), place / f"{name}.ipynb")
        done = _nbgrader(course, "generate_assignment", name, "--force")
        if done.returncode:
            raise ClassroomError(f"nbgrader could not make the assignment:\n{done.stderr.strip()}")
    points = sum(one.points for one in exercises.of_lesson(lesson))
    either = " one of these, or both and each student chooses" if len(lesson.frameworks) > 1 else ""
    report(f"Lesson {lesson.title}: {points} points. Hand out{either}:")
    for framework in lesson.frameworks:
        report(f"  {course / 'release' / _name(lesson, framework) / lesson.notebook_name(framework)}")
    report(f"What comes back goes into a folder, a folder for each student or all in one; then:\n"
           f"  make grade LESSON={lesson.name[:2]} SUBMISSIONS=that_folder")


def grade(lesson, submissions, folder="classroom", seconds=SECONDS, report=print):
    """Grades every notebook of `submissions` that is of this lesson. Returns the submissions, with scores; writes grades_NN.csv.

    Answers are somebody else's program: they run here with your rights. See docs/teaching/README.md.
    """
    course = Path(folder)
    number = lesson.name[:2]
    if not all((course / "release" / _name(lesson, framework)).is_dir() for framework in lesson.frameworks):
        raise ClassroomError(f"{course} holds no assignment of lesson {lesson.title}: make teach LESSON={number} comes first.")
    install(report)
    found, left_out = collect(lesson, submissions)
    for path, why in left_out:
        report(f"  left out: {path} ({why})")
    if not found:
        name = lesson.notebook_name(lesson.frameworks[0])
        raise ClassroomError(f"{submissions} holds no notebook of lesson {lesson.title}. They are known by their names: {name} "
                             f"in a folder named after the student, or ada_{name}.")
    for place, one in enumerate(found, 1):
        _grade_one(lesson, one, course, seconds)
        report(f"  {place} of {len(found)}: {one.student}{_in(one.framework)}: {_in_words(lesson, one)}")
    for framework in {one.framework for one in found}:
        _nbgrader(course, "generate_feedback", _name(lesson, framework), "--force")
    grades = course / f"grades_{number}.csv"
    _write_grades(lesson, found, grades)
    report("\n".join(_overview(lesson, found)))
    report(f"{grades} has every point; {course / 'feedback'} a page for each student.")
    return found


def collect(lesson, folder):
    """([Submission], [(path, why it is none)]) of the notebooks in a folder, each student's newest one in a framework."""
    if not Path(folder).is_dir():
        raise ClassroomError(f"{folder} is not a folder: name the one with the students' notebooks (a zip has to be unpacked).")
    newest, left_out = {}, []
    paths = [path for path in Path(folder).rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    for path in sorted(paths, key=lambda path: (path.stat().st_mtime, path)):
        framework = next((one for one in lesson.frameworks if _name(lesson, one) in path.name), "")
        if framework == "":
            left_out.append((path, "another lesson's, by its name"))
            continue
        inside = path.relative_to(folder).parts
        student = inside[0] if len(inside) > 1 else path.stem.replace(_name(lesson, framework), "")
        student = re.sub(r"[^\w.-]+", "_", student).strip("_-. ") or "student"
        before = newest.get((student, framework))
        odd = [f"handed in more than once; graded: {path.name} (the newest)"] if before else []
        newest[student, framework] = Submission(student, framework, path, odd)
    return sorted(newest.values(), key=lambda one: (one.student, one.framework)), left_out


def assignment(lesson, framework):
    """The instructor's notebook: the lesson's cells that the exercises need as a locked set-up, then each exercise with its
    solution and both checks, in nbgrader's form."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": notebook.KERNEL, "language_info": notebook.LANGUAGE})
    title = (f"# {lesson.title}: exercises{_in(framework)}\n\nRun the set-up, then write each answer into its cell, in place of "
             "the line that raises `NotImplementedError`. A check without an error is right; some run only when this is graded.")
    _add(made, title, "title", locked=True, text=True)
    practice = exercises.of_lesson(lesson)
    own = [cell for one in practice for cell in one.cells]
    needed = [cell for cell in lesson.cells_of(framework) if {"network", "classroom"} & set(cell.tags) and cell not in own]
    for number, cell in enumerate(needed):
        _add(made, cell.source, f"setup-{number}", locked=True)
    for one in practice:
        right = f"right_{one.name.replace('-', '_')}"
        for number, cell in enumerate(cell for cell in one.cells if cell.framework in (None, framework)):
            roles = set(cell.tags)
            if "solution" in roles:
                _add(made, cell.source, f"{one.name}-answer", solution=True)
            elif "check" in roles:
                text = f"{right} = False\n{cell.source}\n{right} = True"
                _add(made, text, f"{one.name}-check", locked=True, points=1)
            elif "hidden" in roles:  # its points are not to be had by an answer that the first check refuses
                first = f'assert {right}, "the check above comes first"'
                text = f"{UNSEEN_CHECK}\n### BEGIN HIDDEN TESTS\n{first}\n{cell.source}\n### END HIDDEN TESTS"
                _add(made, text, f"{one.name}-hidden", locked=True, points=one.points - 1)
            elif "classroom" in roles:
                _add(made, cell.source, f"{one.name}-given-{number}", locked=True)
            elif "hint" in roles:
                text = f"<details>\n<summary>A hint</summary>\n\n{cell.source}\n\n</details>"
                made.cells.append(nbformat.v4.new_markdown_cell(text, id=f"{one.name}-hint-{number}"[:64]))
            elif cell.kind == "markdown":  # not locked: nbgrader stops where a locked text stands before a check that is missing
                made.cells.append(nbformat.v4.new_markdown_cell(cell.source, id=f"{one.name}-text-{number}"[:64]))
    return made


def graft(released, submitted):
    """(the released notebook with a student's answers in it, [what was odd]): all else is as it was released.

    A cell is known by its nbgrader id, else by its own id, else by its text, an answer also by a function that the released cell
    defines. Code cells that the student added come in front of the next answer, for they may hold helpers.
    """
    made, odd = nbformat.from_dict(released), []
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in made.cells if "nbgrader" in cell.metadata}
    answers = {name: cell for name, cell in cells.items() if cell.metadata.nbgrader.solution}
    found, added = {}, []
    for cell in submitted.cells:
        if cell.cell_type == "code":
            name = _known_as(cell, cells, answers)
            if name is None:
                added.append(cell.source)
            elif name in answers:
                if name in found:
                    odd.append(f"{_of(name)}: more than one answer cell; the last one counts")
                found[name] = "\n\n".join([*added, cell.source])
                added = []
    if added and found:  # helpers behind the last answer
        last = list(found)[-1]
        found[last] = "\n\n".join([*added, found[last]])
    for name, cell in answers.items():
        if name in found:
            cell.source = found[name]
            odd += [f"{_of(name)}: {what}" for what in to_look_at(found[name])]
        else:
            odd.append(f"{_of(name)}: no answer cell")
    return made, odd


GIVEN = set("np numpy on_arrays gradient_on_arrays answers_and_gradients reference difference torch tf keras builtins".split())
"""What checks stand on: no answer has to change it."""
FOREIGN = set("os sys subprocess importlib signal ctypes socket torch tensorflow keras".split())
"""What no answer has to import: the set-up has imported the framework."""


def to_look_at(answer):
    """What a person should look at in an answer. Checks run in the same process, which an answer can alter: this finds the
    plain ways, not every way."""
    try:
        nodes = list(ast.walk(ast.parse(answer)))
    except SyntaxError as error:
        return [f"is not Python (line {error.lineno})"]
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [f"imports {alias.name}" for alias in node.names if alias.name.split(".")[0] in FOREIGN]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FOREIGN:
            found.append(f"imports from {node.module}")
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store) and _root(node) in GIVEN:
            found.append(f"assigns to {ast.unparse(node)}")
    return found


def _add(made, code, name, solution=False, locked=False, points=None, text=False):
    about = {"schema_version": 3, "grade_id": name, "grade": points is not None, "solution": solution, "locked": locked,
             "task": False} | ({} if points is None else {"points": points})
    new = nbformat.v4.new_markdown_cell if text else nbformat.v4.new_code_cell
    made.cells.append(new(code, id=name[:64], metadata={"nbgrader": about}))


def _known_as(cell, cells, answers):
    """The nbgrader id of a student's code cell, or None for one that was added."""
    texts = {released.source: name for name, released in cells.items()}
    for name in (cell.metadata.get("nbgrader", {}).get("grade_id"), cell.get("id"), texts.get(cell.source)):
        if name in cells:
            return name
    defined = set(re.findall(r"^(?:def|class) (\w+)", cell.source, re.MULTILINE))
    return next((name for name, answer in answers.items()
                 if defined & set(re.findall(r"^(?:def|class) (\w+)", answer.source, re.MULTILINE))), None)


def _root(node):
    while isinstance(node, ast.Attribute):
        node = node.value
    return getattr(node, "id", None)


def _grade_one(lesson, one, course, seconds):
    """Grades one submission; where an answer kills the kernel, that one is taken out and the others are graded."""
    name = _name(lesson, one.framework)
    released = nbformat.read(course / "release" / name / f"{name}.ipynb", as_version=4)
    try:
        whole, odd = graft(released, nbformat.read(one.path, as_version=4))
    except Exception as error:  # nbformat raises many kinds for a damaged file
        one.odd.append(f"cannot be read ({type(error).__name__}): ask for it again")
        return
    one.odd += odd
    if not _autograded(whole, name, one, course, seconds):
        for answer in [cell for cell in released.cells if cell.metadata.get("nbgrader", {}).get("solution")]:
            exercise = answer.metadata.nbgrader.grade_id
            without = nbformat.from_dict(whole)
            for cell in without.cells:
                if cell.metadata.get("nbgrader", {}).get("grade_id") == exercise:
                    cell.source = answer.source
            if _autograded(without, name, one, course, seconds):
                one.odd.append(f"{_of(exercise)}: ends the Python process; taken out, the rest is graded")
                break
        else:
            one.odd.append("could not be graded: run it by hand")
            return
    scores = _scores(course, name)[one.student]
    run = nbformat.read(course / "autograded" / one.student / name / f"{name}.ipynb", as_version=4)
    for exercise in exercises.of_lesson(lesson):
        cells = [f"{exercise.name}-check", f"{exercise.name}-hidden"]
        one.scores[exercise.name] = sum(scores[cell] for cell in cells)
        one.said[exercise.name] = _said(run, cells)


def _autograded(whole, name, one, course, seconds):
    """Whether nbgrader could run it to its end."""
    place = course / "grafted" / one.student / name
    place.mkdir(parents=True, exist_ok=True)
    nbformat.write(whole, place / f"{name}.ipynb")
    arguments = ("--student", one.student, "--force", f"--Execute.timeout={seconds}")
    return _nbgrader(course, "autograde", name, *arguments).returncode == 0


def _said(run, cells):
    """What the first check that fails says; "" where all is right."""
    errors = [output for cell in run.cells if cell.metadata.get("nbgrader", {}).get("grade_id") in cells
              for output in cell.outputs if output.output_type == "error"]
    if not errors:
        return ""
    kind, words = errors[0].ename, " ".join(errors[0].evalue.split())
    if kind == "NotImplementedError" and not words:
        return "not answered"
    if kind == "KeyboardInterrupt":
        return "takes too long: interrupted"
    return words if kind == "AssertionError" else f"{kind}: {words}"


def _scores(course, name):
    """{student: {cell: points}} of an assignment, from nbgrader's gradebook."""
    done = subprocess.run([_program("python"), "-c", SCORES, "sqlite:///gradebook.db", name], cwd=course,
                          capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise ClassroomError(f"{course / 'gradebook.db'} cannot be read:\n{done.stderr.strip()}")
    return json.loads(done.stdout)


def _in_words(lesson, one):
    if not one.scores:
        return "not graded"
    points = sum(exercise.points for exercise in exercises.of_lesson(lesson))
    return f"{sum(one.scores.values()):g} of {points}" + (f"  ({LOOK}: {'; '.join(one.odd)})" if one.odd else "")


def _write_grades(lesson, found, path):
    names = [one.name for one in exercises.of_lesson(lesson)]
    with open(path, "w", newline="", encoding="utf-8-sig") as file:  # with a mark by which spreadsheets know UTF-8
        rows = csv.writer(file)
        said = [f"{name}: what the check said" for name in names]
        rows.writerow(["student", "framework", *names, "points", LOOK.lower(), *said])
        for one in found:
            points = [*one.scores.values(), sum(one.scores.values())] if one.scores else [""] * (len(names) + 1)
            rows.writerow([one.student, one.framework, *points, "; ".join(one.odd), *(one.said.get(name, "") for name in names)])


def _overview(lesson, found):
    """For each exercise, how many have it right, and what its checks said most often: what to talk about in class."""
    graded = [one for one in found if one.scores]
    for exercise in exercises.of_lesson(lesson):
        right = sum(one.scores[exercise.name] == exercise.points for one in graded)
        yield f"{exercise.name}: {right} of {len(graded)} right"
        said = [re.sub(r"[-+]?\d[\d.e+-]*", "…", one.said[exercise.name]) for one in graded if one.said[exercise.name]]
        for words, times in collections.Counter(said).most_common(3):
            yield f"  {times} x {words if len(words) < 160 else words[:157] + '…'}"


def _try_all(lesson, seed, report):
    report("Trying every solution and every known mistake with these numbers: a minute.")
    for framework in lesson.frameworks:
        for name, answers in exercises.tried(lesson, framework, seed).items():
            for answer, outcome in answers.items():
                if not exercises.right_verdict(answer, outcome):
                    raise ClassroomError(f"With seed {seed}, exercise '{name}' misjudges '{answer}'{_in(framework)}: "
                                         "take another seed.")


def _in(framework):
    return f", {FRAMEWORK_NAMES[framework]}" if framework else ""


def _name(lesson, framework):
    return lesson.notebook_name(framework).removesuffix(".ipynb")


def _of(grade_id):
    return grade_id.removesuffix("-answer")


def _lessons_with_exercises():
    from tandem.tools import source

    return [lesson.name[:2] for lesson in source.all_lessons() if exercises.of_lesson(lesson)]


def _listed(words):
    return ", ".join(words[:-1]) + " or " + words[-1]


def _program(name):
    return str(tandem.ROOT.resolve() / ".venv-teaching" / ("Scripts" if os.name == "nt" else "bin") / name)


def _nbgrader(course, *arguments):
    programs = str(Path(_program("nbgrader")).parent)  # nbgrader starts alembic by its bare name
    environment = os.environ | {"PATH": programs + os.pathsep + os.environ.get("PATH", ""), "CUDA_VISIBLE_DEVICES": "-1",
                                "JUPYTER_PREFER_ENV_PATH": "1"}
    return subprocess.run([_program("python"), "-m", "nbgrader", *arguments], cwd=course, env=environment,
                          capture_output=True, text=True, encoding="utf-8", errors="replace")


if __name__ == "__main__":
    install()
