"""From run directories to the summary, tables and figures."""
