"""The command line: python -m tandem lab | install | run | sweep | compare | bench | build | site | proof | teach | grade."""
import argparse
import ast
import os
import sys

from tandem import FRAMEWORKS, TandemError
from tandem.parameters import WrongParameter
from tandem.tools import source


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tandem", description="Deep learning, every network twice: open the "
                                     "lessons, run them with other parameters, compare the twins, build the notebooks.")
    commands = parser.add_subparsers(required=True, metavar="command")

    lab = commands.add_parser("lab", help="open a lesson's two notebooks side by side in JupyterLab")
    lab.add_argument("lesson", nargs="?", default="01", help="its number, such as 11 (default: 01)")
    lab.add_argument("--fresh", action="store_true", help="set your copies of it aside, and take new ones")
    lab.set_defaults(command=_lab)

    install = commands.add_parser("install", help="install what some lessons need beyond the others (lab and test ask for it)")
    install.add_argument("lessons", nargs="*", metavar="lesson", help="numbers, such as 17 (default: all lessons)")
    install.set_defaults(command=_install)

    run = commands.add_parser("run", help="run a lesson with other parameters, both twins, and compare them",
                              epilog="example: python -m tandem run 11 -p epochs 30 -p batch_size 128 --framework pytorch")
    run.add_argument("lesson", help="its number, such as 11")
    run.add_argument("-p", dest="parameters", action="append", default=[], metavar="NAME VALUE",
                     help="a parameter of the lesson and its value; may be repeated")
    run.add_argument("--framework", choices=FRAMEWORKS, help="run this twin alone")
    run.add_argument("--output", metavar="FOLDER", help="where notebooks and records go (default: a new folder in runs/)")
    run.set_defaults(command=_run)

    sweep = commands.add_parser("sweep", help="run a lesson with many values of its parameters, several runs at a time",
                                epilog="example: python -m tandem sweep 06 -p learning_rate 1e-3,3e-3 -p seed 0:4")
    sweep.add_argument("lesson", help="its number, such as 06")
    sweep.add_argument("-p", dest="parameters", action="append", required=True, metavar="NAME VALUES",
                       help="a parameter and its values: 1e-3,3e-3 or 0:4 (0,1,2,3) or one; repeated: all combinations")
    sweep.add_argument("--framework", choices=FRAMEWORKS, help="run this twin alone")
    sweep.add_argument("--output", metavar="FOLDER", help="where runs and table go, and are looked for (default: one in runs/)")
    sweep.add_argument("--address", help="of a Ray cluster: auto, HOST:PORT, ray://HOST:PORT (default: this machine's cores)")
    sweep.add_argument("--at-once", type=_count, metavar="N", help="the most runs at a time (default: one a core)")
    sweep.set_defaults(command=_sweep)

    compare = commands.add_parser("compare", help="print and draw how the twins of a lesson differ, from their records")
    compare.add_argument("lesson", help="its number, such as 11")
    compare.add_argument("--records", metavar="FOLDER", help="the folder of a run (default: the newest records)")
    compare.set_defaults(command=_compare)

    build = commands.add_parser("build", help="for authors: build notebooks/ from lessons/ and run them")
    build.add_argument("lessons", nargs="*", metavar="lesson", help="numbers, such as 02 03 (default: all that changed)")
    build.add_argument("--measure", action="store_true", help="measure time and memory anew for unchanged lessons too")
    build.add_argument("--prose", action="store_true", help="only text, comments or checks of exercises changed: run nothing")
    build.set_defaults(command=_build)

    proof = commands.add_parser("proof", help="prove that the twins of a lesson, or of a pair of your own, are the same network")
    proof.add_argument("lessons", nargs="*", metavar="lesson", help="numbers, such as 02 11, or files of pairs "
                       "(docs/porting.md); default: the lessons whose proof may have changed")
    proof.add_argument("--all", action="store_true", help="also the lessons that are unchanged since they passed")
    proof.add_argument("--mutants", action="store_true", help="plant faults, one at a time, and say who notices")
    proof.set_defaults(command=_proof)

    site = commands.add_parser("site", help="for authors: make the web page from lessons/ and notebooks/; runs nothing")
    site.add_argument("--output", metavar="FOLDER", default="site", help="where it goes (default: site/)")
    site.set_defaults(command=_site)

    teach = commands.add_parser("teach", help="for instructors: make the assignment of a lesson's exercises, in both frameworks")
    teach.add_argument("lesson", help="its number, such as 02")
    teach.add_argument("--folder", default="classroom", help="where assignments and grades are kept (default: classroom/)")
    teach.add_argument("--seed", type=int, default=0, help="other numbers in the hidden checks than those in the public lesson")
    teach.set_defaults(command=_teach)

    grade = commands.add_parser("grade", help="for instructors: grade what students handed in")
    grade.add_argument("lesson", help="its number, such as 02")
    grade.add_argument("submissions", help="the folder with their notebooks: a folder for each student, or all in one")
    grade.add_argument("--folder", default="classroom", help="where assignments and grades are kept (default: classroom/)")
    grade.add_argument("--seconds", type=_count, default=30, help="the longest that a cell may take (default: 30)")
    grade.set_defaults(command=_grade)

    bench = commands.add_parser("bench", help="how long a lesson's twins take alone, and side by side as in the laboratory")
    bench.add_argument("lesson", nargs="?", default="02", help="its number, such as 11 (default: 02)")
    bench.add_argument("-n", dest="runs", type=int, default=1, metavar="RUNS", help="repeat, and print the spread (default: 1)")
    bench.set_defaults(command=_bench)

    for stream in (sys.stdout, sys.stderr):  # a console that knows no "·" gets a "?"
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if place := os.environ.get("TANDEM_RECORDS"):  # kernels start in other folders
        os.environ["TANDEM_RECORDS"] = os.path.abspath(place)
    chosen, rest = parser.parse_known_args(_joined_parameters(sys.argv[1:] if arguments is None else arguments))
    if rest and chosen.command is not _lab:
        parser.error(f"unknown: {' '.join(rest)}")
    try:
        return chosen.command(chosen, rest)
    except KeyboardInterrupt:
        return 130
    except (TandemError, OSError) as error:
        sys.exit(str(error))  # one sentence for what a person can mend; a bug keeps its traceback


def _lab(chosen, rest):
    from tandem.tools import install, lab

    lesson = source.find(chosen.lesson)
    install.require(lesson)
    return lab.open_lab(lesson, rest, chosen.fresh)


def _install(chosen, _):
    from tandem.tools import install

    install.install([source.find(number) for number in chosen.lessons] or source.all_lessons())


def _run(chosen, _):
    from tandem.tools import install, run

    lesson = source.find(chosen.lesson)
    install.require(lesson)
    parameters = dict(_parameter(text) for text in chosen.parameters)
    folder = run.run(lesson, parameters, [chosen.framework] if chosen.framework else None, chosen.output)
    if not chosen.framework and None not in lesson.frameworks:
        run.compare(lesson, folder)


def _sweep(chosen, _):
    from tandem.tools import install, sweep

    lesson = source.find(chosen.lesson)
    install.require(lesson)
    failed = sweep.sweep(lesson, dict(_parameter(text) for text in chosen.parameters),
                         [chosen.framework] if chosen.framework else None, chosen.output,
                         lambda runs: sweep.on_ray(runs, chosen.address, chosen.at_once))
    return 1 if failed else 0


def _compare(chosen, _):
    from tandem.tools import run

    run.compare(source.find(chosen.lesson), chosen.records)


def _build(chosen, _):
    from tandem.tools import build, install

    lessons = [source.find(number) for number in chosen.lessons] or build.changed_lessons()
    if not lessons:
        print("Every notebook is what its source makes: nothing to build.")
        return
    if chosen.prose:
        build.retell(lessons)
    else:
        for lesson in lessons:
            install.require(lesson)
        build.build(lessons, chosen.measure)


def _site(chosen, _):
    from tandem.tools import site

    site.build(chosen.output)


def _teach(chosen, _):
    from tandem.tools import classroom, install

    lesson = source.find(chosen.lesson)
    install.require(lesson)
    classroom.teach(lesson, chosen.folder, chosen.seed)


def _grade(chosen, _):
    from tandem.tools import classroom, install

    lesson = source.find(chosen.lesson)
    install.require(lesson)
    classroom.grade(lesson, chosen.submissions, chosen.folder, chosen.seconds)


def _bench(chosen, _):
    from tandem.tools import bench

    bench.bench(source.find(chosen.lesson), chosen.runs)


def _joined_parameters(arguments):
    """Writes "-p NAME VALUE" as "-p=NAME VALUE": argparse would take a value such as -1e-3 for an option."""
    rest, joined = list(arguments), []
    while rest:
        word = rest.pop(0)
        if word == "-p" and len(rest) >= 2 and "=" not in rest[0]:
            word = f"-p={rest.pop(0)} {rest.pop(0)}"
        elif word == "-p" and rest:
            word = f"-p={rest.pop(0).replace('=', ' ', 1)}"
        joined.append(word)
    return joined


def _parameter(text):
    """(name, value) of what stood behind -p: "epochs 30", or "epochs=30"."""
    name, given, value = text.removeprefix("=").partition(" ")
    if not given:
        raise WrongParameter(f"-p {name}: give a name and a value, for example: -p epochs 30")
    return name, _value(value)


def _proof(chosen, _):
    from tandem.tools import mutants, proof

    if chosen.mutants:
        return mutants.main([source.find(number) for number in chosen.lessons] or proof.lessons_to_prove())
    return proof.main(chosen.lessons, chosen.all)


def _count(text):
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def _value(text):
    """30 and 1e-3 become numbers, True and None what they are in Python; anything else stays text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


if __name__ == "__main__":
    sys.exit(main())
