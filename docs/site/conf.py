"""Sphinx's settings for the web page. `python -m tandem site` writes the pages that it renders. Nothing comes from a CDN."""
import re

from bs4 import BeautifulSoup
from docutils.utils.math.latex2mathml import tex2mathml

project, author, copyright = "Tandem", "the Tandem authors", "the Tandem authors"
extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_disable_syntax = ["myst_line_comment", "myst_block_break", "myst_target"]
myst_heading_anchors = 3
smartquotes = False
highlight_language = "text"  # a block that names no language
html_theme = "pydata_sphinx_theme"
html_title = "Tandem"
html_static_path, templates_path = ["_static"], ["_templates"]
html_css_files, html_js_files = ["tandem.css"], ["tandem.js"]
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"**": []}
copybutton_selector = "div:not(.output) > div.highlight > pre"
copybutton_only_copy_prompt_lines = False
html_theme_options = {
    "navbar_persistent": ["framework-switch", "search-button"],
    "navbar_align": "left",
    "header_links_before_dropdown": 0,
    "header_dropdown_text": "Lessons",
    "github_url": "https://github.com/tandem-lessons/tandem",
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "footer_start": ["copyright"], "footer_end": [],
}


def _known(latex):
    """The same formula in commands that docutils knows."""
    for theirs, ours in ((r"\\dots\b", r"\\ldots"), (r"\\[bB]igg?[lr]?(?![a-zA-Z])", ""),
                         (r"(frac|binom)(\d)(\d)", r"\1{\2}{\3}")):
        latex = re.sub(theirs, ours, latex)
    return latex


def _placed(markup):
    """The same MathML, with what docutils puts under a letter that has an accent beside it, and labels of braces under them."""
    tree = BeautifulSoup(markup, "html.parser")
    for element in tree.find_all("munderover"):
        base, below, accent = element.find_all(True, recursive=False)
        if base.name == "mi":
            element.name = "msub"
            accented = base.wrap(tree.new_tag("mover", accent="true"))
            accented.append(accent.extract())
    for element in tree.find_all("msub"):
        if element.find(True, recursive=False).name == "munder":
            element.name = "munder"
    return str(tree)


def _math(translator, node):
    """LaTeX becomes MathML, which browsers draw themselves: no script, no fonts to load."""
    from docutils import nodes
    block = isinstance(node, nodes.math_block)
    markup = _placed(tex2mathml(_known(node.astext()), as_block=block))
    translator.body.append(f'<div class="math" tabindex="0">{markup}</div>' if block else markup)
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(_math, None), block_renderers=(_math, None))
