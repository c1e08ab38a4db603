# Sphinx: the pages of docs/ and the reference, as one site. `./dev site` calls it.

project = "wengert"
html_title = "wengert"
extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
html_theme = "furo"
html_static_path = []
html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5f8b", "color-brand-content": "#1f5f8b"},
    "dark_css_variables": {"color-brand-primary": "#7fb8e0", "color-brand-content": "#7fb8e0"},
}
pygments_style = "friendly"
pygments_dark_style = "monokai"
# Overloads and specializations of one name are one entry to Sphinx.
suppress_warnings = ["myst.header"]
