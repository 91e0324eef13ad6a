"""The page: everything a person reads of one sweep, in one HTML file that needs nothing else."""

from workflow.page.content import Inputs, render, write_page

__all__ = ["Inputs", "render", "write_page"]
