"""The documentation site's own pages: what the registries hold, what frozen tables say of it, and the gallery.

`make docs` builds the site; `scripts/build_site.py` hands these pages to MkDocs. Nothing here runs a model, and no
number stands in it: all are read from the tables of finished studies that are in git, or asked of the cost model.
"""
