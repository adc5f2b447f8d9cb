"""python -m minigan.report: writes a run folder's report.html again."""

from minigan import cli, report


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.report",
        description="Write report.html in a run's folder from what lies there now, and print its path. Training writes "
        "it, too; call this after scoring a run, or to look at one that is under way.",
    )
    p.add_argument(
        "folder", type=cli.path, metavar="RUN_FOLDER", help="the folder of a run, such as runs/chaudhary2024"
    )
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    print(report.write(parser().parse_args(argv).folder))
    return 0


if __name__ == "__main__":
    cli.run(main)
